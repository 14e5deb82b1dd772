#include "iss/numerics.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace espalier::iss {
namespace {

/// Magnitude / 2^shift, ties to even.
std::uint64_t rne_shift_magnitude(std::uint64_t value, int shift) {
  if (shift <= 0) return value;
  if (shift > 62) return 0;
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  const std::uint64_t rest = value & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t whole = value >> shift;
  return whole + ((rest > half || (rest == half && (whole & 1U) != 0)) ? 1 : 0);
}

/// The machine looks at the lower bound first: programs that are not ours may cross the two.
int bounded(std::int64_t value, int lo, int hi) {
  if (value < lo) return lo;
  return value > hi ? hi : static_cast<int>(value);
}

}  // namespace

std::int64_t rne_shift(std::int64_t value, int shift) {
  const auto magnitude = static_cast<std::int64_t>(
      rne_shift_magnitude(static_cast<std::uint64_t>(value < 0 ? -value : value), shift));
  return value < 0 ? -magnitude : magnitude;
}

int requantise(std::int32_t acc, std::uint32_t scale_bits, int zero, int lo, int hi) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t kMin = std::numeric_limits<std::int32_t>::min();
  const bool negative = acc < 0;
  const std::uint64_t magnitude =
      negative ? std::uint64_t{0} - static_cast<std::uint64_t>(std::int64_t{acc}) : acc;
  const int scale_exponent = static_cast<int>((scale_bits >> 23) & 0xFFU);
  std::int64_t value = 0;
  if (magnitude != 0 && scale_exponent == 255) {
    value = negative ? kMin : kMax;
  } else if (magnitude != 0 && scale_exponent != 0) {
    // acc = significand * 2^exponent, 24 bits.
    const int shift = static_cast<int>(std::bit_width(magnitude)) - 24;
    std::uint64_t significand =
        shift > 0 ? rne_shift_magnitude(magnitude, shift) : magnitude << -shift;
    int exponent = shift;
    if ((significand >> 24) != 0) {
      significand >>= 1;
      ++exponent;
    }
    const std::uint64_t product = significand * ((scale_bits & 0x7FFFFFU) | 0x800000U);
    const int drop = (product >> 47) != 0 ? 24 : 23;
    const std::uint64_t rounded = rne_shift_magnitude(product, drop);
    exponent += scale_exponent - 150 + drop;
    // rounded may be 2^24 exactly: the same number as 2^23 one exponent up.
    if (exponent >= 8) {
      value = negative ? kMin : kMax;
    } else {
      const std::uint64_t whole =
          exponent >= 0 ? rounded << exponent : rne_shift_magnitude(rounded, -exponent);
      const auto limited =
          static_cast<std::int64_t>(std::min<std::uint64_t>(whole, std::uint64_t{1} << 31));
      value = std::clamp(negative ? -limited : limited, kMin, kMax);
    }
  }
  return bounded(value + zero, lo, hi);
}

int residual_add(int y, int zy, std::uint32_t ma, int b, int zb, std::uint32_t mb, int shift,
                 int zero, int lo, int hi) {
  const std::int64_t sum = std::int64_t{y - zy} * ma + std::int64_t{b - zb} * mb;
  return bounded(rne_shift(sum, shift) + zero, lo, hi);
}

int score(int y, int zy, std::uint32_t ma, int b, int zb, std::uint32_t mb) {
  const std::int64_t m = (ma & ~0xFFU) | static_cast<std::uint32_t>(b + 128);
  return static_cast<std::int16_t>(std::int64_t{y - zy} * m + std::int64_t{y - zb} * mb);
}

}  // namespace espalier::iss
