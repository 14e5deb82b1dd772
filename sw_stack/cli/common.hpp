#pragma once
// What the subcommands share: exit codes, messages, numbers as text.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace CLI {
class Validator;
}  // namespace CLI

namespace espalier::cli {

inline constexpr int kOk = 0;             ///< done
inline constexpr int kDiffers = 1;        ///< a comparison failed
inline constexpr int kBadInput = 2;       ///< a file, a model or an option is at fault
inline constexpr int kInterrupted = 128;  ///< plus the signal: 130 after Ctrl-C, 143 after SIGTERM

/// Writes `espalier: PLACE: MESSAGE` to stderr, on one line, and what else is wrong behind it, two
/// blanks before each. Returns kBadInput.
int complain(const Diagnostic& diagnostic);

/// Prints to stdout.
void print(std::string_view text);

/// `0.485,0.456,0.406` as numbers. Errors: kUsage, naming the option.
Result<std::vector<float>> parse_list(const std::string& option, const std::string& text);

/// `60,40` as whole numbers from low to high. Errors: kUsage, naming the option.
Result<std::vector<std::uint64_t>> parse_wholes(const std::string& option, const std::string& text,
                                                std::uint64_t low, std::uint64_t high);

/// A validator for numbers from low to high; refuses NaN.
CLI::Validator between(double low, double high);
/// One for whole numbers, as in `option->transform(whole(1, 256))`: it leaves plain digits.
CLI::Validator whole(std::uint64_t low, std::uint64_t high);

}  // namespace espalier::cli
