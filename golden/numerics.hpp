#pragma once
// The scalar arithmetic of the machine, as the architecture defines it (section 2). Everything
// here assumes the default rounding mode, to nearest even.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace espalier::golden {

/// rne(fp32(acc) * scale): the accumulator rounds to fp32, the product rounds to fp32, and that
/// rounds to an integer, each time to nearest even. Saturates where the integer leaves int32.
/// Range: scale finite and positive.
inline std::int32_t requantise(std::int32_t acc, float scale) {
  const float product = static_cast<float>(acc) * scale;
  const float rounded = std::nearbyintf(product);
  if (rounded >= 2147483648.0F) return std::numeric_limits<std::int32_t>::max();
  if (rounded < -2147483648.0F) return std::numeric_limits<std::int32_t>::min();
  return static_cast<std::int32_t>(rounded);
}

/// clamp(value + zero, lo, hi) as an int8; the sum cannot overflow.
/// Range: lo <= hi, both in int8.
inline std::int8_t offset_clamp(std::int64_t value, int zero, int lo, int hi) {
  return static_cast<std::int8_t>(std::clamp<std::int64_t>(value + zero, lo, hi));
}

/// y = clamp(requantise(acc, scale) + zero, lo, hi): the output of a convolution or average pool.
inline std::int8_t requantise_clamp(std::int32_t acc, float scale, int zero, int lo, int hi) {
  return offset_clamp(requantise(acc, scale), zero, lo, hi);
}

/// value / 2^shift, rounded to nearest even.
/// Range: shift 0..62, |value| < 2^62.
inline std::int64_t rne_shift(std::int64_t value, int shift) {
  if (shift == 0) return value;
  const std::int64_t floor = value >> shift;  // arithmetic: towards minus infinity
  const std::int64_t rest = value - (floor << shift);
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  const bool up = rest > half || (rest == half && (floor & 1) != 0);
  return floor + (up ? 1 : 0);
}

/// What a residual add needs beside its two operands.
struct AddParameters {
  int za = 0, zb = 0, zy = 0;
  std::uint32_t ma = 0, mb = 0;  ///< below 2^22
  int shift = 13;                ///< 13..31
  int lo = -128, hi = 127;
};

/// y = clamp(rne_shift((a - za) * ma + (b - zb) * mb, shift) + zy, lo, hi): exact inside, rounded
/// once; the sum needs 32 bits and a sign.
inline std::int8_t residual_add(std::int8_t a, std::int8_t b, const AddParameters& p) {
  const std::int64_t sum = std::int64_t{a - p.za} * p.ma + std::int64_t{b - p.zb} * p.mb;
  return offset_clamp(rne_shift(sum, p.shift), p.zy, p.lo, p.hi);
}

}  // namespace espalier::golden
