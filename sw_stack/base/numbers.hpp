#pragma once
// Numbers written as text.

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace espalier {

/// A whole number in decimal digits; one too large becomes the largest.
inline std::optional<std::uint64_t> parse_whole(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace espalier
