#pragma once
// `--calibrate`, `--count`, `--mean` and `--std`, as commands that quantise take them.

#include <cstdint>
#include <string>

#include "flows/calibrate.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace espalier::cli {

/// The options as they are written. It must outlive the command that it is added to.
class CalibrationOption {
 public:
  void add(CLI::App& command);
  /// Errors: kUsage for what are no numbers.
  [[nodiscard]] Result<flows::CalibrationOptions> read() const;

 private:
  std::string images_, mean_, std_;
  std::optional<std::uint64_t> count_;
};

}  // namespace espalier::cli
