#pragma once
// The fixed-point multipliers of a residual add.

#include <cstdint>
#include <optional>

namespace espalier::quantise {

struct AddMultipliers {
  std::uint32_t ma = 0, mb = 0;
  int shift = 13;
};

/// The largest multipliers below 2^22 for the ratios a = s_a / s_y and b = s_b / s_y: the greater
/// lies in 2^21 .. 2^22 unless the shift is at its limit. Range of the shift: 13..31.
/// Nothing where a ratio is negative or not finite, both are 0, or one is 2^9 or more.
std::optional<AddMultipliers> add_multipliers(double a, double b);

}  // namespace espalier::quantise
