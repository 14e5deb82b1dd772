#pragma once
// Bit fields of instruction words, by shifts and masks.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace espalier::isa {

/// Writes the low `width` bits of `value` at bit `offset` of little-endian bytes that hold zeros
/// there.
constexpr void put_bits(std::span<std::uint8_t> bytes, unsigned offset, unsigned width,
                        std::uint64_t value) {
  for (unsigned i = 0; i < width; ++i) {
    const unsigned bit = offset + i;
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    if (((value >> i) & 1U) != 0) {
      bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | mask);
    }
  }
}

/// Reads `width` bits (at most 32) at bit `offset`, sign-extended where asked.
constexpr std::int64_t get_bits(std::span<const std::uint8_t> bytes, unsigned offset,
                                unsigned width, bool is_signed) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i) {
    const unsigned bit = offset + i;
    value |= static_cast<std::uint64_t>((bytes[bit / 8] >> (bit % 8)) & 1U) << i;
  }
  if (is_signed && ((value >> (width - 1)) & 1U) != 0) {
    return static_cast<std::int64_t>(value) - (std::int64_t{1} << width);
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace espalier::isa
