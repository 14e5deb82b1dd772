#include "two_of_four.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace espalier::tests {

void two_of_four(ir::QuantGraph& graph, std::uint64_t seed, bool spare_first, int most) {
  std::mt19937_64 random(seed);
  for (ir::QuantNode& node : graph.nodes) {
    auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr) continue;
    if (spare_first) {
      spare_first = false;
      continue;
    }
    const int depth = graph.tensors[static_cast<std::size_t>(node.inputs[0])].shape.c;
    for (auto row = conv->weights.begin(); row != conv->weights.end(); row += depth) {
      for (int c = 0; c < depth; c += 4) {
        std::array<int, 4> order = {0, 1, 2, 3};
        std::shuffle(order.begin(), order.end(), random);
        for (int i = most; i < 4; ++i) {
          const int lost = c + order[static_cast<std::size_t>(i)];
          if (lost < depth) row[lost] = 0;
        }
      }
    }
  }
}

}  // namespace espalier::tests
