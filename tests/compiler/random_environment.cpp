#include "random_environment.hpp"

#include <algorithm>
#include <random>

#include "base/integers.hpp"
#include "ir/weight_mask.hpp"

namespace espalier::tests {

environment::Environment random_environment(const ir::QuantGraph& graph, environment::Kind kind,
                                            std::uint64_t seed) {
  using environment::Kind;
  std::mt19937_64 random(seed);
  environment::Environment made{graph.name, masks::fingerprint(graph), {100, {0.5F}, {0.25F}}, {}};
  for (const ir::QuantNode& node : graph.nodes) {
    const auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr || masks::is_copy(graph, node)) continue;
    environment::Layer layer;
    layer.name = node.name;
    layer.kind = made.layers.empty() ? Kind::kDense : kind;
    layer.channels = static_cast<std::uint32_t>(conv->out_channels);
    layer.taps = static_cast<std::uint32_t>(conv->window.kh * conv->window.kw);
    layer.inputs = static_cast<std::uint32_t>(at(graph.tensors, node.inputs[0]).shape.c);
    if (layer.kind != Kind::kDense) layer.bits.resize(ir::bit_bytes(layer.count()));
    std::size_t i = 0;
    for (std::size_t row = 0; row < layer.channels * layer.taps; ++row) {
      for (std::uint32_t c = 0; c < layer.inputs; c += environment::kGroup) {
        const std::uint32_t size = std::min(environment::kGroup, layer.inputs - c);
        const auto first = random() % size, second = random() % size;
        for (std::uint32_t k = 0; k < size; ++k, ++i) {
          const bool stays =
              kind == Kind::kWeights
                  ? random() % 2 == 1
                  : k == first || k == (first == second ? (first + 1) % size : second);
          if (layer.kind != Kind::kDense && stays) ir::set_bit(layer.bits, i);
        }
      }
    }
    for (std::size_t n = 0; n < layer.channels; ++n) {
      layer.bias.push_back(conv->bias[n] / 2 + static_cast<int>(random() % 100));
      layer.scale.push_back(conv->scale[n] * (0.5F + 0.001F * static_cast<float>(random() % 1000)));
    }
    made.layers.push_back(std::move(layer));
  }
  return made;
}

}  // namespace espalier::tests
