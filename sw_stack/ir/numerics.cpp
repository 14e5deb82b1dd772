#include "ir/numerics.hpp"

#include <algorithm>
#include <cmath>

namespace espalier::ir {

std::optional<AddMultipliers> add_multipliers(double a, double b) {
  constexpr double kLimit = 1 << 22;
  const double greater = std::max(a, b);
  if (!std::isfinite(a) || !std::isfinite(b) || a < 0 || b < 0 || greater <= 0) return std::nullopt;
  for (int shift = 31; shift >= 13; --shift) {
    const double scaled_a = std::nearbyint(std::ldexp(a, shift));
    const double scaled_b = std::nearbyint(std::ldexp(b, shift));
    if (std::max(scaled_a, scaled_b) >= kLimit) continue;
    return AddMultipliers{static_cast<std::uint32_t>(scaled_a),
                          static_cast<std::uint32_t>(scaled_b), shift};
  }
  return std::nullopt;
}

float pool_multiplier(float x_scale, float y_scale, int count) {
  const float divisor = y_scale * static_cast<float>(count);
  return x_scale / divisor;
}

}  // namespace espalier::ir
