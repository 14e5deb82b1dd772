#include "quantise/layers.hpp"

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"

namespace espalier::quantise {
namespace {

constexpr std::int64_t kLargestProduct = 255 * 128;

/// The scale of one output channel's weights: the finest that holds them, coarser where the bias
/// or the multiplier would leave its range.
double weight_scale(std::span<const float> weights, double bias, double x_scale, double y_scale,
                    std::int64_t limit) {
  float most = 0;
  for (const float w : weights) most = std::max(most, std::abs(w));
  const double step_of_y = y_scale / x_scale;  // a multiplier of 1
  double scale = most > 0 ? static_cast<double>(most) / 127.0 : step_of_y / 256;
  scale = std::max(scale, std::ldexp(step_of_y, -60));
  return std::max(scale, std::abs(bias) / (x_scale * static_cast<double>(limit - 1)));
}

/// Nearest whole number, ties to even, of what is below 2^51: without a call, so that a loop of it
/// runs on vectors.
double nearest(double value) {
  constexpr double kOnes = 6755399441055744.0;  // 1.5 * 2^52: doubles around it are whole numbers
  return (value + kOnes) - kOnes;
}

/// Weights in steps of `scale`, -127 to 127.
void quantise_weights(std::span<const float> weights, double scale, std::int8_t* out) {
  for (std::size_t k = 0; k < weights.size(); ++k)
    out[k] = static_cast<std::int8_t>(
        static_cast<int>(std::clamp(nearest(weights[k] / scale), -127.0, 127.0)));
}

/// A bias that makes up for what rounding takes from the output of mean inputs.
double corrected(double bias, std::span<const float> weights, const std::int8_t* steps,
                 double scale, std::span<const double> input_means) {
  for (std::size_t first = 0; first < weights.size(); first += input_means.size()) {
    for (std::size_t c = 0; c < input_means.size(); ++c)
      bias += (weights[first + c] - steps[first + c] * scale) * input_means[c];
  }
  return bias;
}

}  // namespace

std::int64_t conv_depth(const ir::FloatConv& conv) {
  return static_cast<std::int64_t>(conv.weights.size()) / conv.out_channels;
}

std::int64_t bias_limit(std::int64_t depth) {
  constexpr std::int64_t kLimit = (std::int64_t{1} << 31) - 1;
  return depth > kLimit / kLargestProduct ? -1 : kLimit - depth * kLargestProduct;
}

Clamp quantised_clamp(const Step& step, const ir::Quant& y) {
  return {ir::stored(step.lo, y, ir::Ties::kEven), ir::stored(step.hi, y, ir::Ties::kEven)};
}

ir::QuantConv quantise_conv(const ir::FloatConv& conv, const ir::Quant& x, const ir::Quant& y,
                            std::span<const double> input_means) {
  const auto depth = static_cast<std::size_t>(conv_depth(conv));
  const std::int64_t limit = bias_limit(conv_depth(conv));
  ESP_CHECK(limit > 0);
  const double x_scale = x.scale;
  const double y_scale = y.scale;
  ir::QuantConv result;
  result.window = conv.window;
  result.out_channels = conv.out_channels;
  for (const float value : conv.border)
    result.border.push_back(static_cast<std::int8_t>(ir::stored(value, x, ir::Ties::kEven)));
  result.reads = conv.reads;
  result.weights.resize(conv.weights.size());
  for (int n = 0; n < conv.out_channels; ++n) {
    const std::span<const float> weights(conv.weights.data() + n * depth, depth);
    double bias = conv.bias[n];
    const auto stored = static_cast<float>(weight_scale(weights, bias, x_scale, y_scale, limit));
    const double scale = stored;
    std::int8_t* const steps = result.weights.data() + n * depth;
    quantise_weights(weights, scale, steps);
    if (!input_means.empty()) bias = corrected(bias, weights, steps, scale, input_means);
    const double whole = std::nearbyint(bias / (x_scale * scale));
    const auto most = static_cast<double>(limit);
    result.bias.push_back(static_cast<std::int32_t>(std::clamp(whole, -most, most)));
    result.scale.push_back((x.scale * stored) / y.scale);  // as others compute it from a model
  }
  return result;
}

ir::QuantConv rescale_conv(int channels, const ir::Quant& x, const ir::Quant& y) {
  const auto count = static_cast<std::size_t>(channels);
  ir::QuantConv conv;
  conv.out_channels = channels;
  conv.weights.assign(count * count, 0);
  for (std::size_t c = 0; c < count; ++c) conv.weights[c * count + c] = 1;
  conv.bias.assign(count, 0);
  conv.scale.assign(count, x.scale / y.scale);
  conv.reads.resize(count);  // nothing is multiplied
  return conv;
}

}  // namespace espalier::quantise
