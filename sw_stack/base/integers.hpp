#pragma once
// Whole numbers: rounding up, and as places in lists.

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace espalier {

/// Range: 0 or more over 1 or more; the sum must fit.
template <std::integral T>
constexpr T ceil_div(T value, std::type_identity_t<T> by) {
  return static_cast<T>((value + by - 1) / by);
}

/// The next multiple.
template <std::integral T>
constexpr T round_up(T value, std::type_identity_t<T> to) {
  return static_cast<T>(ceil_div(value, to) * to);
}

/// Two numbers as a quotient.
template <typename A, typename B>
constexpr double ratio(A a, B b) {
  return static_cast<double>(a) / static_cast<double>(b);
}

/// An id, count or enumerator as a place in a list.
template <typename T>
requires(std::integral<T> || std::is_enum_v<T>) constexpr std::size_t index(T id) {
  return static_cast<std::size_t>(id);
}

/// The element with this id.
template <typename List>
constexpr decltype(auto) at(List& list, int id) {
  return list[index(id)];
}

}  // namespace espalier
