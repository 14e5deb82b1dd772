#include "quantise/plan.hpp"

#include <algorithm>
#include <numeric>

namespace espalier::quantise {
namespace {

/// Sets that only ever grow together; a set's name is its least member.
class Groups {
 public:
  explicit Groups(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int find(int i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(int a, int b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<int> parent_;
};

bool takes_clamp(const ir::FloatOp& op) {
  return !std::holds_alternative<ir::FloatConcat>(op) &&
         !std::holds_alternative<ir::FloatSoftmax>(op);
}

}  // namespace

Plan make_plan(const ir::FloatGraph& graph) {
  Plan plan;
  plan.output = graph.output;
  const std::size_t tensors = graph.tensors.size();
  std::vector<int> uses(tensors, 0);
  for (const ir::FloatNode& node : graph.nodes) {
    for (const int input : node.inputs) ++uses[input];
  }
  ++uses[graph.output];
  std::vector<int> maker(tensors, -1);  // step of each tensor
  for (const ir::FloatNode& node : graph.nodes) {
    if (std::holds_alternative<ir::FloatSoftmax>(node.op)) {
      plan.softmax = true;
      plan.output = node.inputs[0];
      continue;
    }
    Step step{&node, node.output};
    if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op)) {
      const int from = node.inputs[0];
      const int before = maker[from];
      if (before >= 0 && uses[from] == 1 && takes_clamp(plan.steps[before].node->op)) {
        Step& made = plan.steps[before];
        made.lo = std::clamp(clamp->lo, made.lo, made.hi);
        made.hi = std::clamp(clamp->hi, made.lo, made.hi);
        made.output = node.output;
        maker[node.output] = before;
        continue;
      }
      step.lo = clamp->lo;
      step.hi = clamp->hi;
    }
    maker[node.output] = static_cast<int>(plan.steps.size());
    plan.steps.push_back(step);
  }

  plan.used.assign(tensors, false);
  plan.used[graph.input] = true;
  Groups groups(tensors);
  for (const Step& step : plan.steps) {
    plan.used[step.output] = true;
    const auto* pool = std::get_if<ir::FloatPool>(&step.node->op);
    const bool shares = std::holds_alternative<ir::FloatConcat>(step.node->op) ||
                        (pool != nullptr && pool->kind == ir::PoolKind::kMax);
    if (!shares) continue;
    for (const int input : step.node->inputs) groups.join(input, step.output);
  }
  for (std::size_t i = 0; i < tensors; ++i) plan.group.push_back(groups.find(static_cast<int>(i)));
  return plan;
}

}  // namespace espalier::quantise
