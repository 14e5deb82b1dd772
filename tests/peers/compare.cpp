#include "tests/peers/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "golden/golden.hpp"
#include "images/input.hpp"
#include "import/onnx/onnx.hpp"

namespace espalier::peers {
namespace {

/// Without a change of scale many means lie half-way between integers, where fp32 decides by its
/// own errors: they are at most 1 apart, however many.
constexpr const char* kSameScale = "average, same scale";

std::string kind_of(const ir::QuantGraph& graph, const ir::QuantNode& node) {
  const ir::Shape& x = graph.tensors[static_cast<std::size_t>(node.inputs[0])].shape;
  if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
    // With a clamp that saturation does not imply, ONNX Runtime computes in float between
    // DequantizeLinear and QuantizeLinear.
    if (conv->lo > -128 || conv->hi < 127) return "convolution, clamped";
    return conv->window.kh == x.h && conv->window.kw == x.w ? "matrix product" : "convolution";
  }
  if (const auto* pool = std::get_if<ir::QuantPool>(&node.op)) {
    if (pool->kind == ir::PoolKind::kMax) return "max pool";
    const ir::Window& w = pool->window;
    const bool global = w.kh == x.h && w.kw == x.w && w.pad_top + w.pad_left == 0;
    const ir::QuantTensor& y = graph.tensors[static_cast<std::size_t>(node.output)];
    const bool same = y.quant == graph.tensors[static_cast<std::size_t>(node.inputs[0])].quant;
    return global ? "global average" : same ? kSameScale : "average pool";
  }
  if (std::holds_alternative<ir::QuantConcat>(node.op)) return "concat";
  return node.inputs.size() == 1 ? "change of scale" : "add";
}

bool is_exact(const std::string& kind) {
  return kind == "convolution" || kind == "matrix product" || kind == "global average" ||
         kind == "max pool";
}

void count(const std::vector<std::int8_t>& a, const std::vector<std::int8_t>& b,
           std::uint64_t& differ, int& worst) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int distance = std::abs(int{a[i]} - int{b[i]});
    differ += distance != 0 ? 1 : 0;
    worst = std::max(worst, distance);
  }
}

}  // namespace

void Comparison::add(const Comparison& other) {
  for (const auto& [kind, theirs] : other.kinds) {
    Tally& ours = kinds[kind];
    if (ours.first.empty()) ours.first = theirs.first;
    ours.nodes += theirs.nodes;
    ours.values += theirs.values;
    ours.differ += theirs.differ;
    ours.worst = std::max(ours.worst, theirs.worst);
  }
  images += other.images;
  same_top += other.same_top;
  outputs += other.outputs;
  outputs_differ += other.outputs_differ;
  outputs_worst = std::max(outputs_worst, other.outputs_worst);
}

bool Comparison::within_bounds() const {
  if (kinds.empty()) return false;  // nothing was compared
  return std::all_of(kinds.begin(), kinds.end(), [](const auto& entry) {
    const Tally& tally = entry.second;
    if (tally.values == 0) return false;
    if (is_exact(entry.first)) return tally.differ == 0;
    if (entry.first == kSameScale) return tally.worst <= 1;
    return tally.worst <= 1 && tally.differ * 10000 <= tally.values;
  });
}

void Comparison::print(const std::string& title) const {
  fmt::print("{}: {}\n", title, within_bounds() ? "agrees" : "DIFFERS");
  for (const auto& [kind, tally] : kinds) {
    fmt::print("  {:20} {:5} nodes {:12} values {:8} differ, by {} at most{}\n", kind, tally.nodes,
               tally.values, tally.differ, tally.worst,
               tally.first.empty() ? "" : ", first in '" + tally.first + "'");
  }
  fmt::print("  the whole: same top-1 in {} of {} images; {} of {} outputs differ, by {} at most\n",
             same_top, images, outputs_differ, outputs, outputs_worst);
}

Result<Comparison> compare(const Places& places, const std::string& label, const std::string& model,
                           const std::vector<float>& images) {
  const auto imported = import_::parse_onnx_model(model, ".", label);
  if (!imported) return imported.error();
  const auto* graph = std::get_if<ir::QuantGraph>(&*imported);
  if (graph == nullptr) return fail(ErrorCode::kUnsupported, "is not quantised", label);
  std::vector<std::string> wanted;
  for (const ir::QuantTensor& tensor : graph->tensors) wanted.push_back(tensor.name);
  const ir::QuantTensor& input = graph->tensors[static_cast<std::size_t>(graph->input)];
  const auto theirs = run_runtime(places, label, model, input.shape, images, wanted);
  if (!theirs) return theirs.error();

  Comparison result;
  const golden::Runner golden(*graph);
  const auto size = static_cast<std::size_t>(input.shape.count());
  for (std::size_t i = 0; i < theirs->size(); ++i) {
    const std::span<const float> image(images.data() + i * size, size);
    const auto whole = golden.run(images::quantise_values(image, input.quant));
    std::vector<golden::Tensor> values(graph->tensors.size());
    const auto given = [&](int t) -> const std::vector<std::int8_t>* {
      const auto found = (*theirs)[i].find(graph->tensors[static_cast<std::size_t>(t)].name);
      return found == (*theirs)[i].end() ? nullptr : &found->second;
    };
    const auto at = [&](int t) -> golden::Tensor& { return values[static_cast<std::size_t>(t)]; };
    if (const auto* start = given(graph->input)) at(graph->input) = *start;
    if (at(graph->input) != whole[static_cast<std::size_t>(graph->input)]) {
      return fail(ErrorCode::kMismatch, "the quantised inputs differ", label);
    }
    for (const ir::QuantNode& node : graph->nodes) {
      std::vector<golden::Tensor> inputs;
      for (const int t : node.inputs) inputs.push_back(at(t));
      at(node.output) = golden::run_node(*graph, node, inputs);
      const auto* wanted_values = given(node.output);
      if (wanted_values == nullptr) continue;
      if (wanted_values->size() != at(node.output).size()) {
        return fail(ErrorCode::kShape, "has another size", "node '" + node.name + "'");
      }
      Tally& tally = result.kinds[kind_of(*graph, node)];
      ++tally.nodes;
      tally.values += wanted_values->size();
      const std::uint64_t before = tally.differ;
      count(*wanted_values, at(node.output), tally.differ, tally.worst);
      if (tally.differ != before && tally.first.empty()) tally.first = node.name;
      at(node.output) = *wanted_values;
    }
    const golden::Tensor& ours = whole[static_cast<std::size_t>(graph->output)];
    const golden::Tensor& last = at(graph->output);
    ++result.images;
    // Ties are common in int8: the classes that one side puts first must be among the other's.
    const auto top =
        static_cast<std::size_t>(std::max_element(ours.begin(), ours.end()) - ours.begin());
    result.same_top += last[top] == *std::max_element(last.begin(), last.end()) ? 1 : 0;
    result.outputs += ours.size();
    count(ours, last, result.outputs_differ, result.outputs_worst);
  }
  return result;
}

}  // namespace espalier::peers
