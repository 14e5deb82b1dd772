#pragma once
// Text for people: numbers, tables and lines.

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/integers.hpp"
#include "base/numbers.hpp"

namespace espalier::report {

/// The text with control characters replaced: names in files may hold anything.
std::string printable(std::string_view text);

/// 16 hexadecimal digits.
std::string fingerprint_text(std::uint64_t fingerprint);
/// 1.2 KiB, 3.4 MiB.
std::string bytes_text(std::uint64_t bytes);

/// Rows of text as columns; numbers stand right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// A line for each row.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// A report as it grows.
class Page {
 public:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  void add(const Table& table) { text_ += table.text(); }
  /// `  what             value`.
  void line(std::string_view what, std::string_view value) { add("  {:<17}{}\n", what, value); }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace espalier::report
