#include "cli/common.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace espalier::cli {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Characters of UTF-8 text on a terminal, near enough: bytes that do not continue one.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// A number, perhaps with a unit, or nothing.
bool is_number(const std::string& text) {
  const std::size_t end = text.find_first_not_of("0123456789,.");
  return text.empty() || text == "-" ||
         (end != 0 && (end == std::string::npos || text[end] == ' '));
}

}  // namespace

int complain(const Diagnostic& diagnostic) {
  fmt::print(stderr, "espalier: {}\n", printable(diagnostic.text()));
  return kBadInput;
}

int complain(const Diagnostic& diagnostic, const std::vector<std::string>& more) {
  const int code = complain(diagnostic);
  for (const std::string& line : more) fmt::print(stderr, "  {}\n", printable(line));
  return code;
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = '?';
  }
  return out;
}

std::string grouped(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024 * 1024));
}

std::string json_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void print_json(const Json& json) { fmt::print("{}", json_text(json)); }

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

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
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

void Table::print() const {
  std::vector<std::size_t> widths(rows_[0].size(), 0);
  std::vector<bool> right(rows_[0].size(), rows_.size() > 1);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      widths[i] = std::max(widths[i], width(rows_[r][i]));
      if (r > 0 && !is_number(rows_[r][i])) right[i] = false;
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (right[i] ? space + row[i] : row[i] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

ProgressBar::ProgressBar(std::string what, std::uint64_t total, bool quiet)
    : what_(std::move(what)),
      total_(total),
      visible_(!quiet && isatty(STDERR_FILENO) != 0),
      start_(now()) {}

ProgressBar::~ProgressBar() {
  if (visible_ && drawn_ > 0) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::show(std::uint64_t done) {
  if (!visible_ || total_ == 0) return;
  const double time = now();
  if (time - drawn_ < 0.1 && done != total_) return;
  drawn_ = time;
  constexpr std::uint64_t kWidth = 32;
  const auto filled = static_cast<std::size_t>(kWidth * std::min(done, total_) / total_);
  const double left =
      done == 0 ? 0
                : (time - start_) / static_cast<double>(done) * static_cast<double>(total_ - done);
  fmt::print(stderr, "\r\x1b[K{} [{}{}] {}/{}  {:.0f} s left", what_, std::string(filled, '#'),
             std::string(kWidth - filled, '.'), done, total_, left);
  std::fflush(stderr);
}

}  // namespace espalier::cli
