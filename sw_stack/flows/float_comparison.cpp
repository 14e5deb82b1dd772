#include "flows/float_comparison.hpp"

#include <algorithm>
#include <map>

#include "images/output.hpp"

namespace espalier::flows {

Result<std::unique_ptr<FloatComparison>> FloatComparison::open(const ir::FloatGraph& model,
                                                               const ir::QuantGraph& graph,
                                                               const std::string& place) {
  std::map<std::string, int> by_name;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    by_name.emplace(model.tensors[i].name, static_cast<int>(i));
  }
  std::unique_ptr<FloatComparison> comparison(new FloatComparison(model, graph));
  for (const ir::QuantNode& node : graph.nodes) {
    const ir::QuantTensor& tensor = graph.tensors[static_cast<std::size_t>(node.output)];
    const auto found = by_name.find(tensor.name);
    if (found == by_name.end()) continue;
    if (model.tensors[static_cast<std::size_t>(found->second)].shape != tensor.shape) {
      return fail(ErrorCode::kMismatch,
                  "is another network: tensor " + tensor.name + " has another shape", place);
    }
    comparison->pairs_.push_back({found->second, node.output, node.name, ir::op_name(node.op), {}});
  }
  const bool same_input = model.tensors[static_cast<std::size_t>(model.input)].shape ==
                          graph.tensors[static_cast<std::size_t>(graph.input)].shape;
  const bool has_output = std::ranges::any_of(
      comparison->pairs_, [&graph](const Pair& pair) { return pair.quant_tensor == graph.output; });
  if (!same_input || !has_output) {
    return fail(ErrorCode::kMismatch, "is another network than the program's", place);
  }
  return comparison;
}

void FloatComparison::add(std::span<const float> input, std::span<const golden::Tensor> tensors,
                          std::optional<int> label) {
  const std::vector<std::vector<float>> reference = golden::run_float(model_, input);
  const std::lock_guard lock(mutex_);
  ++images_;
  for (Pair& pair : pairs_) {
    const auto quant = static_cast<std::size_t>(pair.quant_tensor);
    pair.meter.add(reference[static_cast<std::size_t>(pair.float_tensor)], tensors[quant],
                   graph_.tensors[quant].quant);
  }
  if (!label) return;
  ++labelled_;
  const std::vector<float>& scores = reference[static_cast<std::size_t>(model_.output)];
  correct_ += images::arg_max(std::span(scores)) == *label ? 1 : 0;
}

FloatNoise FloatComparison::noise() const {
  FloatNoise noise;
  noise.images = images_;
  if (labelled_ > 0) noise.top1 = static_cast<double>(correct_) / static_cast<double>(labelled_);
  for (const Pair& pair : pairs_) noise.layers.push_back({pair.name, pair.op, pair.meter.db()});
  return noise;
}

}  // namespace espalier::flows
