#include "import/onnx/dims.hpp"

#include <onnx/shape_inference/implementation.h>

#include <functional>
#include <numeric>

namespace espalier::import_ {
namespace {

std::int64_t product(const std::vector<std::int64_t>& dims, std::size_t from = 0) {
  return std::accumulate(dims.begin() + static_cast<std::ptrdiff_t>(from), dims.end(),
                         std::int64_t{1}, std::multiplies<>());
}

void take(const onnx::ValueInfoProto& value, Dims& dims) {
  if (!value.type().has_tensor_type() || !value.type().tensor_type().has_shape()) return;
  std::vector<std::int64_t> list;
  for (const auto& dim : value.type().tensor_type().shape().dim()) {
    if (!dim.has_dim_value() || dim.dim_value() < 1) return;
    list.push_back(dim.dim_value());
  }
  dims[value.name()] = std::move(list);
}

}  // namespace

Dims infer_dims(const onnx::ModelProto& model) {
  onnx::ModelProto copy = model;
  for (auto& input : *copy.mutable_graph()->mutable_input()) {
    auto* shape = input.mutable_type()->mutable_tensor_type()->mutable_shape();
    if (shape->dim_size() > 0 && shape->dim(0).dim_value() < 1)
      shape->mutable_dim(0)->set_dim_value(1);
  }
  try {
    onnx::shape_inference::InferShapes(copy);
  } catch (const std::exception&) {
    // What was found until then, and what the file says, is there all the same.
  }
  Dims dims;
  const auto& graph = copy.graph();
  for (const auto* list : {&graph.input(), &graph.value_info(), &graph.output()}) {
    for (const auto& value : *list) take(value, dims);
  }
  for (const auto& tensor : graph.initializer())
    dims[tensor.name()] = {tensor.dims().begin(), tensor.dims().end()};
  return dims;
}

std::int64_t node_macs(const onnx::NodeProto& node, const Dims& dims) {
  const auto of = [&](const std::string& name) -> const std::vector<std::int64_t>* {
    const auto found = dims.find(name);
    return found == dims.end() ? nullptr : &found->second;
  };
  const auto input = [&](int i) { return i < node.input_size() ? of(node.input(i)) : nullptr; };
  const std::string& op = node.op_type();
  const bool linear = op.starts_with("QLinear");  // each operand has a scale and a zero point
  const auto* const x = input(0);
  const auto* const w = input(linear ? 3 : 1);
  const auto* const y = node.output_size() > 0 ? of(node.output(0)) : nullptr;
  if (x == nullptr || w == nullptr || x->empty() || w->empty()) return 0;
  if (op == "ConvTranspose") return product(*x) * product(*w, 1);
  if (y == nullptr) return 0;
  if (op == "Conv" || op == "ConvInteger" || op == "QLinearConv")
    return product(*y) * product(*w, 1);
  if (op == "MatMul" || op == "MatMulInteger" || op == "QLinearMatMul")
    return product(*y) * x->back();
  if (op != "Gemm" && op != "QGemm") return 0;
  bool turned = false;
  for (const auto& attribute : node.attribute())
    turned = turned || (attribute.name() == "transA" && attribute.i() != 0);
  return product(*y) * (turned ? x->front() : x->back());
}

}  // namespace espalier::import_
