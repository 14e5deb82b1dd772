#pragma once
// A name by value, in tables that the compiler makes.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <string_view>

namespace espalier::isa {

/// Up to 31 characters; what is longer is cut off.
class ShortName {
 public:
  static constexpr std::size_t kMost = 31;
  constexpr ShortName() = default;
  constexpr ShortName(const char* text) : ShortName(std::string_view(text)) {}  // NOLINT: implicit
  constexpr ShortName(std::string_view text) {                                  // NOLINT
    std::copy_n(text.begin(), std::min(text.size(), kMost), text_.begin());
  }
  [[nodiscard]] constexpr std::string_view view() const { return {text_.data()}; }
  constexpr operator std::string_view() const { return view(); }  // NOLINT: implicit on purpose
  constexpr bool operator==(const std::convertible_to<std::string_view> auto& text) const {
    return view() == std::string_view(text);
  }
  friend std::ostream& operator<<(std::ostream& out, const ShortName& name) {
    return out << name.view();
  }

 private:
  std::array<char, kMost + 1> text_{};
};

}  // namespace espalier::isa
