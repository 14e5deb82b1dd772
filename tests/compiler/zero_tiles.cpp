#include "zero_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace espalier::tests {

void zero_tiles(ir::QuantGraph& graph, int lanes, double share, std::uint64_t seed, bool all) {
  std::mt19937_64 random(seed);
  for (ir::QuantNode& node : graph.nodes) {
    auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr) continue;
    const int depth = graph.tensors[static_cast<std::size_t>(node.inputs[0])].shape.c;
    const int taps = conv->window.kh * conv->window.kw;
    if (!all && depth <= lanes) continue;
    const int k_blocks = (depth + lanes - 1) / lanes;
    const int n_blocks = (conv->out_channels + lanes - 1) / lanes;
    std::vector<bool> zero(static_cast<std::size_t>(taps) * k_blocks * n_blocks, false);
    std::fill_n(zero.begin(), std::lround(share * static_cast<double>(zero.size())), true);
    std::shuffle(zero.begin(), zero.end(), random);
    std::size_t at = 0;
    for (int n = 0; n < conv->out_channels; ++n) {
      for (int tap = 0; tap < taps; ++tap) {
        for (int c = 0; c < depth; ++c, ++at) {
          const int tile = (tap * k_blocks + c / lanes) * n_blocks + n / lanes;
          if (zero[static_cast<std::size_t>(tile)]) conv->weights[at] = 0;
        }
      }
    }
  }
}

}  // namespace espalier::tests
