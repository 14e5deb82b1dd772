#pragma once
// What a user sees while a flow works: bars and notes on stderr.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "flows/listener.hpp"

namespace espalier::cli {

/// A bar on stderr where that is a terminal; nothing elsewhere. It is wiped out at the end.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  [[nodiscard]] const std::string& what() const { return what_; }
  void show(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  bool visible_;
  double start_ = 0, drawn_ = 0;
};

/// Listens to one flow; what it shows is gone when it is.
class Terminal {
 public:
  /// `quiet`: notes only.
  explicit Terminal(bool quiet = false) : quiet_(quiet) {}
  [[nodiscard]] flows::Listener listener();

 private:
  void show(std::string_view what, std::uint64_t done, std::uint64_t total);

  bool quiet_;
  std::unique_ptr<ProgressBar> bar_;
};

/// What `flow` returns, which is given a listener; what it showed is gone by then.
template <typename Flow>
auto watched(bool quiet, const Flow& flow) {
  Terminal terminal(quiet);
  return flow(terminal.listener());
}

}  // namespace espalier::cli
