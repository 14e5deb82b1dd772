#pragma once
// What the subcommands share: exit codes, messages, numbers as text.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace espalier::cli {

using Json = nlohmann::ordered_json;

inline constexpr int kOk = 0;             ///< done
inline constexpr int kDiffers = 1;        ///< a comparison failed
inline constexpr int kBadInput = 2;       ///< a file, a model or an option is at fault
inline constexpr int kInterrupted = 128;  ///< plus the signal: 130 after Ctrl-C, 143 after SIGTERM

/// Writes `espalier: PLACE: MESSAGE` to stderr, on one line, and returns kBadInput.
int complain(const Diagnostic& diagnostic);
/// The same, with further lines behind it, two blanks before each.
int complain(const Diagnostic& diagnostic, const std::vector<std::string>& more);

/// The text with control characters replaced: names in files may hold anything.
std::string printable(std::string_view text);

/// 1,234,567.
std::string grouped(std::uint64_t value);
/// 1.2 KiB, 3.4 MiB.
std::string bytes_text(std::uint64_t bytes);

/// Prints JSON to stdout, indented; bytes that are not UTF-8 are replaced.
void print_json(const Json& json);
std::string json_text(const Json& json);

/// `0.485,0.456,0.406` as numbers. Errors: kUsage, naming the option.
Result<std::vector<float>> parse_list(const std::string& option, const std::string& text);

/// A whole number in decimal digits; one too large becomes the largest.
std::optional<std::uint64_t> parse_whole(std::string_view text);
/// `60,40` as whole numbers from low to high. Errors: kUsage, naming the option.
Result<std::vector<std::uint64_t>> parse_wholes(const std::string& option, const std::string& text,
                                                std::uint64_t low, std::uint64_t high);

/// A validator for numbers from low to high; refuses NaN.
CLI::Validator between(double low, double high);
/// One for whole numbers, as in `option->transform(whole(1, 256))`: it leaves plain digits.
CLI::Validator whole(std::uint64_t low, std::uint64_t high);

/// Rows of text as columns; numbers stand right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// A bar on stderr where that is a terminal; nothing elsewhere.
class ProgressBar {
 public:
  ProgressBar(std::string what, std::uint64_t total, bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void show(std::uint64_t done);

 private:
  std::string what_;
  std::uint64_t total_;
  bool visible_;
  double start_ = 0, drawn_ = 0;
};

}  // namespace espalier::cli
