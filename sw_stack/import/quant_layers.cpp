#include "import/quant_layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"

namespace espalier::import_ {
namespace {

/// Diagonal weights that leave rounding a scale of its own.
constexpr int kDiagonal = 127;

/// The bias of output channel n in steps of `unit`.
Result<std::int32_t> bias_steps(const WorkNode& node, const StoredDense& constants,
                                const ir::FloatConv& conv, std::size_t n, float unit) {
  double steps = ir::steps(conv.bias[n], unit, ir::Ties::kEven);
  if (n < constants.bias.size() || constants.bias.size() == 1) {
    // Runtimes take the integers as they are, whatever rounding the bias' own scale went through.
    const float scale = constants.bias_scale.empty() ? unit : one_of(constants.bias_scale, n);
    if (std::abs(scale - unit) <= 1e-3F * unit)
      steps = static_cast<double>(one_of(constants.bias, n));
  }
  if (!(std::abs(steps) < 2147483648.0)) {
    return work_error(
        node, ErrorCode::kRange,
        fmt::format("bias of channel {} is {} steps; the limit is 2147483647", n, steps));
  }
  return static_cast<std::int32_t>(steps);
}

}  // namespace

Result<ir::QuantConv> quantised_copy(const WorkNode& node, const std::vector<int>& source,
                                     int channels, const Border& border) {
  const ir::Window window = around(border);
  auto selection = selection_conv(source, channels, {}, {}, window, 0, 0);
  if (!selection) return work_error(node, selection.error().code, selection.error().message);
  ir::QuantConv op;
  op.window = window;
  op.out_channels = selection->out_channels;
  op.weights.assign(selection->weights.begin(), selection->weights.end());
  op.bias.assign(source.size(), 0);
  op.scale.assign(source.size(), 1.0F);
  op.reads = std::move(selection->reads);
  return op;
}

Result<ir::QuantConv> quantised_dense(const WorkNode& node, const ir::FloatConv& conv,
                                      const StoredDense* constants, const ir::Quant& x,
                                      const ir::Quant& y) {
  if (constants == nullptr) {
    return work_error(node, ErrorCode::kUnsupported,
                      "has weights that are not quantised: a float island in a quantised model is "
                      "not supported");
  }
  const std::vector<float>& scales = constants->scale;
  const auto outputs = static_cast<std::size_t>(conv.out_channels);
  if (scales.size() != 1 && (scales.size() != outputs || constants->axis != constants->channels)) {
    return work_error(node, ErrorCode::kUnsupported,
                      fmt::format("has weights with {} scales on axis {}; one, or one an output "
                                  "channel on axis {}, is supported",
                                  scales.size(), constants->axis, constants->channels));
  }
  ir::QuantConv result;
  result.window = conv.window;
  result.out_channels = conv.out_channels;
  result.reads = conv.reads;
  result.weights.reserve(conv.weights.size());
  const std::size_t depth = conv.weights.size() / outputs;
  for (std::size_t n = 0; n < outputs; ++n) {
    const float scale = one_of(scales, n);
    for (std::size_t k = 0; k < depth; ++k) {
      const double step = std::nearbyint(static_cast<double>(conv.weights[n * depth + k]) / scale);
      if (!(step >= -128 && step <= 127)) {
        return work_error(
            node, ErrorCode::kUnsupported,
            fmt::format("has weights with zero point {}, of which one is {} away: the "
                        "limits are -128 and 127",
                        constants->zero, step));
      }
      result.weights.push_back(static_cast<std::int8_t>(step));
    }
    const float unit = x.scale * scale;
    result.scale.push_back(unit / y.scale);
    const auto bias = bias_steps(node, *constants, conv, n, unit);
    if (!bias) return bias.error();
    result.bias.push_back(*bias);
  }
  return result;
}

Result<ir::QuantConv> quantised_affine(const WorkNode& node, const Affine& affine,
                                       const ir::Quant& x, const ir::Quant& y) {
  const std::size_t channels = affine.scale.size();
  const auto count = static_cast<int>(channels);
  auto op = quantised_copy(node, every_channel(count), count, {});
  if (!op) return op.error();
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
