#include "personal/backward.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "personal/backward_builder.hpp"
#include "ir/numerics.hpp"
#include "base/integers.hpp"

namespace espalier::personal {
namespace {

constexpr int kMost = 127;  // gradients are symmetric

/// A multiplier that the requantiser takes: normal and finite.
float multiplier(double value) {
  return static_cast<float>(std::clamp(value, double{std::numeric_limits<float>::min()}, 1e30));
}

}  // namespace

Result<Backward> Backward::make(const ir::QuantGraph& forward, const std::vector<bool>& scored) {
  Backward out = BackwardBuilder(forward, scored).run();
  if (out.scores_.empty()) {
    return fail(ErrorCode::kUnsupported, "no tensor that is to be scored has a gradient",
                forward.name);
  }
  out.set_scales(out.first_scales());
  if (const Status s = ir::verify(out.graph_); !s) return s.error();
  return out;
}

double Backward::real(int tensor) const {
  const Value& value = values_[index(tensor)];
  return scales_[index(value.slot)] * value.factor;
}

void Backward::set_scales(std::span<const float> scales) {
  ESP_CHECK(scales.size() == slots());
  scales_.assign(scales.begin(), scales.end());
  for (std::size_t t = 0; t < values_.size(); ++t) {
    if (values_[t].slot >= 0) graph_.tensors[t].quant.scale = scales_[index(values_[t].slot)];
  }
  for (const Scaled& scaled : scaled_) {
    ir::QuantNode& node = graph_.nodes[scaled.node];
    const double out = real(node.output);
    if (auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      const double in = real(node.inputs[0]);
      for (std::size_t c = 0; c < conv->scale.size(); ++c)
        conv->scale[c] = multiplier(in * scaled.units[c] / out);
      continue;
    }
    constexpr double kLimit = 500;  // the adder's multipliers: below 2^9
    auto& add = std::get<ir::QuantAdd>(node.op);
    const auto m = ir::add_multipliers(std::min(real(node.inputs[0]) / out, kLimit),
                                       std::min(real(node.inputs[1]) / out, kLimit));
    ESP_CHECK(m.has_value());
    add.ma = m->ma;
    add.mb = m->mb;
    add.shift = m->shift;
  }
}

std::vector<float> Backward::first_scales() const {
  std::vector<float> scales(slots(), 1.0F);
  // Sums of products of random signs: the root of their number.
  for (const Scaled& scaled : scaled_) {
    const ir::QuantNode& node = graph_.nodes[scaled.node];
    const auto* conv = std::get_if<ir::QuantConv>(&node.op);
    const auto slot = index(values_[index(node.output)].slot);
    if (conv == nullptr || slot == 0) continue;
    const Value& in = values_[index(node.inputs[0])];
    const double terms = static_cast<double>(conv->weights.size()) / conv->out_channels;
    const double unit = *std::ranges::max_element(scaled.units);
    scales[slot] = multiplier(scales[index(in.slot)] * in.factor * unit * 32 * std::sqrt(terms) /
                              values_[index(node.output)].factor);
  }
  return scales;
}

std::vector<int> Backward::maxima(std::span<const std::vector<std::int8_t>> tensors) const {
  std::vector<int> list;
  for (const int tensor : observed_) {
    int most = 0;
    for (const std::int8_t v : tensors[index(tensor)]) most = std::max(most, std::abs(int{v}));
    list.push_back(most);
  }
  return list;
}

OutputGradient Backward::quantise_output(std::span<const double> gradient) {
  double most = 0;
  for (const double g : gradient) most = std::max(most, std::abs(g));
  OutputGradient out{std::vector<std::int8_t>(gradient.size(), 0), most / kMost};
  if (most == 0) return out;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    out.values[i] = static_cast<std::int8_t>(std::nearbyint(gradient[i] / out.scale));
  return out;
}

double Backward::unit(const Score& score) const { return real(score.gradient) * score.scale; }

std::int32_t Backward::sum(std::span<const std::int8_t> sums, std::size_t channel) {
  std::uint32_t value = 0;
  for (std::size_t byte = 0; byte < 4; ++byte)
    value |= std::uint32_t{static_cast<std::uint8_t>(sums[4 * channel + byte])} << (8 * byte);
  return static_cast<std::int32_t>(value);
}

}  // namespace espalier::personal
