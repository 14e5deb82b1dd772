#include "cli/compare_float.hpp"

#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace espalier::cli {

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
  correct_ += arg_max(std::span(scores)) == *label ? 1 : 0;
}

std::optional<double> FloatComparison::top1() const {
  if (labelled_ == 0) return std::nullopt;
  return static_cast<double>(correct_) / static_cast<double>(labelled_);
}

Json FloatComparison::report() const {
  Json json;
  json["images"] = images_;
  json["top1"] = top1() ? Json(*top1()) : Json();
  json["layers"] = Json::array();
  for (const Pair& pair : pairs_) {
    const double db = pair.meter.db();
    json["layers"].push_back(
        {{"name", pair.name},
         {"op", pair.op},
         {"sqnr_db", std::isfinite(db) ? Json(std::round(db * 100) / 100) : Json()}});
  }
  return json;
}

void FloatComparison::print() const {
  fmt::print("signal to quantisation noise over {} image{}\n", images_, images_ == 1 ? "" : "s");
  Table table({"layer", "operator", "dB"});
  for (const Pair& pair : pairs_) {
    const double db = pair.meter.db();
    table.add({printable(pair.name), pair.op, std::isfinite(db) ? fmt::format("{:.1f}", db) : "-"});
  }
  table.print();
}

}  // namespace espalier::cli
