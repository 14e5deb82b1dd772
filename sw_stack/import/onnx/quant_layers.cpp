// Convolutions of quantised ONNX models.

#include "import/onnx/quant_layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"

namespace espalier::import_ {
namespace {

/// Diagonal weights that leave rounding a scale of its own.
constexpr int kDiagonal = 127;

/// The bias of output channel n in steps of `unit`.
Result<std::int32_t> bias_steps(const WorkNode& node, const DenseConstants& constants,
                                const ir::FloatConv& conv, std::size_t n, float unit) {
  double steps = ir::steps(conv.bias[n], unit, ir::Ties::kEven);
  if (constants.bias != nullptr && constants.bias->steps != nullptr) {
    // Runtimes take the integers as they are, whatever rounding the bias' own scale went through.
    const ConstantSteps& own = *constants.bias->steps;
    const float scale = own.scale[own.scale.size() == 1 ? 0 : std::min(n, own.scale.size() - 1)];
    const bool known = n < own.steps.size() || own.steps.size() == 1;
    if (known && std::abs(scale - unit) <= 1e-3F * unit) {
      steps = static_cast<double>(own.steps[own.steps.size() == 1 ? 0 : n]);
    }
  }
  if (!(std::abs(steps) < 2147483648.0)) {
    return work_error(
        node, ErrorCode::kRange,
        fmt::format("bias of channel {} is {} steps; the limit is 2147483647", n, steps));
  }
  return static_cast<std::int32_t>(steps);
}

}  // namespace

Diagnostic work_error(const WorkNode& node, ErrorCode code, std::string message) {
  return fail(code, std::move(message), "node '" + node.name + "'");
}

Result<ir::QuantConv> quantised_copy(const WorkNode& node, int channels) {
  const auto count = static_cast<std::size_t>(channels);
  if (std::int64_t{channels} * channels > kMaxExpandedWeights) {
    return work_error(node, ErrorCode::kUnsupported,
                      fmt::format("needs a convolution of {} weights in its place; the limit is {}",
                                  std::int64_t{channels} * channels, kMaxExpandedWeights));
  }
  ir::QuantConv op;
  op.out_channels = channels;
  op.weights.assign(count * count, 0);
  for (std::size_t c = 0; c < count; ++c) op.weights[c * count + c] = 1;
  op.bias.assign(count, 0);
  op.scale.assign(count, 1.0F);
  op.reads.resize(count);  // nothing is multiplied
  return op;
}

Result<ir::QuantConv> quantised_dense(const Context& context, const WorkNode& node,
                                      const ir::FloatConv& conv, const ir::Quant& x,
                                      const ir::Quant& y) {
  const auto found = context.dense.find(node.output);
  if (found == context.dense.end() || found->second.weights->steps == nullptr) {
    return work_error(node, ErrorCode::kUnsupported,
                      "has weights that are not quantised: a float island in a quantised model is "
                      "not supported");
  }
  const DenseConstants& constants = found->second;
  const ConstantSteps& steps = *constants.weights->steps;
  const auto outputs = static_cast<std::size_t>(conv.out_channels);
  if (steps.scale.size() != 1 && (steps.scale.size() != outputs || steps.axis != constants.axis)) {
    return work_error(node, ErrorCode::kUnsupported,
                      fmt::format("has weights with {} scales on axis {}; one, or one an output "
                                  "channel on axis {}, is supported",
                                  steps.scale.size(), steps.axis, constants.axis));
  }
  ir::QuantConv result;
  result.window = conv.window;
  result.out_channels = conv.out_channels;
  result.reads = conv.reads;
  result.weights.reserve(conv.weights.size());
  const std::size_t depth = conv.weights.size() / outputs;
  for (std::size_t n = 0; n < outputs; ++n) {
    const float scale = steps.scale[steps.scale.size() == 1 ? 0 : n];
    for (std::size_t k = 0; k < depth; ++k) {
      const double step = std::nearbyint(static_cast<double>(conv.weights[n * depth + k]) / scale);
      if (!(step >= -128 && step <= 127)) {
        return work_error(
            node, ErrorCode::kUnsupported,
            fmt::format("has weights with zero point {}, of which one is {} away: the "
                        "limits are -128 and 127",
                        steps.zero, step));
      }
      result.weights.push_back(static_cast<std::int8_t>(step));
    }
    const float unit = x.scale * scale;
    result.scale.push_back(unit / y.scale);
    const auto bias = bias_steps(node, constants, conv, n, unit);
    if (!bias) return bias.error();
    result.bias.push_back(*bias);
  }
  return result;
}

Result<ir::QuantConv> quantised_affine(const WorkNode& node, const Affine& affine,
                                       const ir::Quant& x, const ir::Quant& y) {
  auto op = quantised_copy(node, static_cast<int>(affine.scale.size()));
  if (!op) return op.error();
  const std::size_t channels = affine.scale.size();
  for (std::size_t c = 0; c < channels; ++c) {
    const float gain = affine.scale[c];
    op->reads[c] = {static_cast<int>(c), static_cast<int>(c) + 1};
    // Without a gain the weight is 0 and the scale that of the result.
    const float step = gain == 0 ? y.scale / (256 * x.scale) : std::abs(gain) / kDiagonal;
    op->weights[c * channels + c] = static_cast<std::int8_t>(gain == 0  ? 0
                                                             : gain < 0 ? -kDiagonal
                                                                        : kDiagonal);
    op->scale[c] = (x.scale * step) / y.scale;
    const double bias = std::nearbyint(static_cast<double>(affine.shift[c]) /
                                       (static_cast<double>(x.scale) * step));
    if (!(std::abs(bias) < 2147483648.0)) {
      return work_error(node, ErrorCode::kRange,
                        fmt::format("adds {} to channel {}, which is {} steps; the limit is "
                                    "2147483647",
                                    affine.shift[c], c, bias));
    }
    op->bias[c] = static_cast<std::int32_t>(bias);
  }
  return op;
}

}  // namespace espalier::import_
