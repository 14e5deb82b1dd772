#pragma once
// Hard pruning: the graph without its masked channels.

#include <vector>

#include "ir/graph.hpp"
#include "masks/mask.hpp"

namespace espalier::masks {

struct Pruned {
  ir::QuantGraph graph;
  std::vector<int> origin;  ///< by its tensors: the tensor of the dense graph
};

/// Removes masked channels from weights, scales, biases and concatenations, and what the output
/// does not need any more. Every tensor is that of the dense graph with the mask applied, its live
/// channels alone. A concatenation of which one input is left becomes that input.
/// `graph` and `mask` belong to `channels`. Errors: kRange where a node that the output needs has
/// no live input channel, with the node.
Result<Pruned> prune(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask);

}  // namespace espalier::masks
