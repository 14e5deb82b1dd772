#include "cli/common.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/numbers.hpp"
#include "report/text.hpp"

namespace espalier::cli {
int complain(const Diagnostic& diagnostic) {
  fmt::print(stderr, "espalier: {}\n", report::printable(diagnostic.text()));
  for (const std::string& line : diagnostic.more)
    fmt::print(stderr, "  {}\n", report::printable(line));
  return kBadInput;
}

void print(std::string_view text) { fmt::print("{}", text); }

Result<std::vector<float>> parse_list(const std::string& option, const std::string& text) {
  std::vector<float> values;
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    float value = 0;
    const auto [rest, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (error != std::errc() || rest != item.data() + item.size() || !std::isfinite(value)) {
      return fail(ErrorCode::kUsage,
                  "`" + item + "` is not a number; give one a channel, as in 0.5,0.5,0.5", option);
    }
    values.push_back(value);
    if (end == text.size()) return values;
    at = end + 1;
  }
}

namespace {

/// What is wrong with a whole number, or nothing.
std::string whole_complaint(const std::string& text, std::optional<std::uint64_t> value,
                            std::uint64_t low, std::uint64_t high) {
  if (!value) return fmt::format("`{}` is no whole number; {} to {}", text, low, high);
  if (*value < low || *value > high)
    return fmt::format("`{}` is out of range; {} to {}", text, low, high);
  return {};
}

}  // namespace

Result<std::vector<std::uint64_t>> parse_wholes(const std::string& option, const std::string& text,
                                                std::uint64_t low, std::uint64_t high) {
  std::vector<std::uint64_t> values;
  for (std::size_t at = 0;;) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    const auto value = parse_whole(item);
    if (std::string wrong = whole_complaint(item, value, low, high); !wrong.empty())
      return fail(ErrorCode::kUsage, std::move(wrong), option);
    values.push_back(*value);
    if (end == text.size()) return values;
    at = end + 1;
  }
}

CLI::Validator whole(std::uint64_t low, std::uint64_t high) {
  return CLI::Validator(
      [low, high](std::string& text) -> std::string {
        const auto value = parse_whole(text);
        std::string wrong = whole_complaint(text, value, low, high);
        if (wrong.empty()) text = std::to_string(*value);
        return wrong;
      },
      high < 1'000'000 ? fmt::format("{}..{}", low, high) : "", "whole");
}

CLI::Validator between(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) -> std::string {
        double value = 0;
        const bool parsed = CLI::detail::lexical_cast(text, value);
        if (parsed && value >= low && value <= high) return {};
        return fmt::format("`{}` is out of range; {} to {}", text, low, high);
      },
      high < 1e6 ? fmt::format("{}..{}", low, high) : "", "between");
}

}  // namespace espalier::cli
