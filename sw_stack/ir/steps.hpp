#pragma once
// Constants in steps of a scale, as those who write models quantise them.

#include <algorithm>
#include <cmath>

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

}  // namespace espalier::ir
