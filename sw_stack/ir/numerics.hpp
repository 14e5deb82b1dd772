#pragma once
// Numbers that several rooms must make alike: constants in steps of a scale, and multipliers.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "ir/graph.hpp"

namespace espalier::ir {

/// Where a number goes that is half-way between two steps. All divide by the scale in fp32.
enum class Ties {
  kEven,  ///< QuantizeLinear of ONNX, as its runtimes compute it; our quantiser
  kAway,  ///< TfLiteRound: the bounds of TensorFlow Lite's activation functions
};

/// `real` in steps of `scale`, rounded to an integer; infinite where fp32 is.
inline float steps(float real, float scale, Ties ties) {
  const float quotient = real / scale;
  return ties == Ties::kEven ? std::nearbyintf(quotient) : std::roundf(quotient);
}

/// `real` as a tensor of `quant` stores it, saturated to low .. high. `real` is no NaN.
inline int stored(float real, const Quant& quant, Ties ties, int low = -128, int high = 127) {
  const double at = static_cast<double>(steps(real, quant.scale, ties)) + quant.zero;
  return static_cast<int>(std::clamp(at, double(low), double(high)));
}

/// The fixed-point multipliers of a residual add.
struct AddMultipliers {
  std::uint32_t ma = 0, mb = 0;
  int shift = 13;
};

/// The largest multipliers below 2^22 for the ratios a = s_a / s_y and b = s_b / s_y: the greater
/// lies in 2^21 .. 2^22 unless the shift is at its limit. Range of the shift: 13..31.
/// Nothing where a ratio is negative or not finite, both are 0, or one is 2^9 or more.
std::optional<AddMultipliers> add_multipliers(double a, double b);

/// The fp32 multiplier of an average pool over `count` pixels: sx / (sy * float(count)).
float pool_multiplier(float x_scale, float y_scale, int count);

}  // namespace espalier::ir
