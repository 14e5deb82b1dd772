#pragma once
// The machine's arithmetic as its circuits do it: integers only. Golden states the same numbers in
// fp32 (golden/numerics.hpp); the two are compared in tests.
// Source: docs/numerics.md.

#include <cstdint>

namespace espalier::iss {

/// rne(fp32(acc) * scale) + zero, clamped. `scale_bits` is an fp32 whose sign is ignored; zero and
/// subnormal multipliers give 0, exponent 255 saturates.
int requantise(std::int32_t acc, std::uint32_t scale_bits, int zero, int lo, int hi);

/// value / 2^shift, ties to even. Range: shift 0..62.
std::int64_t rne_shift(std::int64_t value, int shift);

/// clamp(rne_shift((y - zy) * ma + (b - zb) * mb, shift) + zero, lo, hi).
int residual_add(int y, int zy, std::uint32_t ma, int b, int zb, std::uint32_t mb, int shift,
                 int zero, int lo, int hi);

/// What a CONV with `product` and `gap` adds to its sums: the low 16 bits, signed, of
/// (y - zy) * m + (y - zb) * mb, where m is `ma` with b + 128 in the place of its low byte.
int score(int y, int zy, std::uint32_t ma, int b, int zb, std::uint32_t mb);

}  // namespace espalier::iss
