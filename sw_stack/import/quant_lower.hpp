#pragma once
// The one lowering of models that are quantised already, whatever their format: float operators
// between Dequantise and Quantise nodes become the integer ones that have the same scales.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "import/work_graph.hpp"
#include "ir/numerics.hpp"

namespace espalier::import_ {

/// Where the runtime that a model was quantised for computes otherwise than another's; all else is
/// one rule for all. How the bias of a convolution is meant says StoredDense.
struct Producer {
  ir::Ties bounds;  ///< of clamps and activation functions, in steps of the result
  /// How a stored tensor moves into another scale, alone or into a concatenation.
  enum class Move : std::uint8_t {
    kAdder,       ///< by the residual adder's multiplier of 22 bits, in its own stage
    kConvolution  ///< by the fp32 multiplier of a 1 x 1 convolution
  } move;
};
/// Bounds: QuantizeLinear. Moves: DequantizeLinear and QuantizeLinear in fp32.
inline constexpr Producer kOnnx{ir::Ties::kEven, Producer::Move::kAdder};
/// Bounds: CalculateActivationRangeQuantized. Moves: Requantize, by the multiplier (of 31 bits)
/// that convolutions have there, too.
inline constexpr Producer kTensorFlowLite{ir::Ties::kAway, Producer::Move::kConvolution};

/// Element n of what is one for all, or one each.
template <typename T>
T one_of(const std::vector<T>& values, std::size_t n) {
  return values[values.size() == 1 ? 0 : std::min(n, values.size() - 1)];
}

/// The constants of a convolution or a matrix product, as the model stores them; its weights are
/// those of the work graph's operator, which are step * scale.
struct StoredDense {
  std::vector<float> scale;        ///< of the weights: one, or one a place of an axis
  std::size_t axis = 0;            ///< of the scales, where there are several
  std::size_t channels = 0;        ///< the axis of the output channels
  std::int64_t zero = 0;           ///< zero point of the weights; the steps are without it
  std::vector<std::int64_t> bias;  ///< steps; none: the operator's own bias is rounded to some
  std::vector<float> bias_scale;   ///< of the bias; none: that of the products, whatever it says
};
/// By the tensor of the work graph that the operator makes.
using StoredConstants = std::map<int, StoredDense>;

/// Whether anything is quantised in the graph.
bool is_quantised(const WorkGraph& work);

/// The graph with its Quantise and Dequantise nodes resolved.
/// Errors: kUnsupported where an operator computes in float between them, or what it needs is not
/// quantised, with its node; kRange; what ir::verify complains of.
Result<ir::QuantGraph> lower_quantised(WorkGraph work, const StoredConstants& constants,
                                       const Producer& producer, const std::string& name);

}  // namespace espalier::import_
