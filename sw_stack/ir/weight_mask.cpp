#include "ir/weight_mask.hpp"

namespace espalier::ir {

void zero_weights(QuantGraph& graph, const WeightMask& mask) {
  if (mask.empty()) return;
  ESP_CHECK(mask.size() == graph.nodes.size());
  for (std::size_t n = 0; n < mask.size(); ++n) {
    if (mask[n].empty()) continue;
    std::vector<std::int8_t>& weights = std::get<QuantConv>(graph.nodes[n].op).weights;
    ESP_CHECK(mask[n].size() == bit_bytes(weights.size()));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (!get_bit(mask[n], i)) weights[i] = 0;
    }
  }
}

}  // namespace espalier::ir
