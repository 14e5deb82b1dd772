#pragma once
// What the quantiser makes of each node, before any number is chosen.

#include <limits>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::quantise {

/// One node of the quantised graph: a float node and the clamps folded into it.
struct Step {
  const ir::FloatNode* node = nullptr;
  int output = -1;  ///< tensor of the float graph: the last folded clamp's
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
};

struct Plan {
  std::vector<Step> steps;
  std::vector<bool> used;  ///< tensors of the float graph that are kept
  std::vector<int> group;  ///< tensors with one number share one scale; the least id of them
  int output = -1;
  bool softmax = false;
};

Plan make_plan(const ir::FloatGraph& graph);

}  // namespace espalier::quantise
