#include "examples/shapes/train/folded.hpp"

#include <onnx/onnx_pb.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <map>

#include "base/whole_file.hpp"

namespace espalier::shapes {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data holds little-endian floats");

// Builds the nodes of an ONNX graph one after the other; each returns the name of its output.
class GraphWriter {
 public:
  explicit GraphWriter(onnx::GraphProto& graph) : graph_(graph) {}

  std::string conv(const std::string& name, const FoldedConv& layer, const std::string& input) {
    const std::string weights = tensor(name + ".weight", layer.weights,
                                       {layer.outputs, layer.inputs, layer.kernel, layer.kernel});
    const std::string bias = tensor(name + ".bias", layer.bias, {layer.outputs});
    onnx::NodeProto& node = add("Conv", name, {input, weights, bias});
    const std::int64_t pad = layer.kernel / 2;
    ints(node, "dilations", {1, 1});
    integer(node, "group", 1);
    ints(node, "kernel_shape", {layer.kernel, layer.kernel});
    ints(node, "pads", {pad, pad, pad, pad});
    ints(node, "strides", {layer.stride, layer.stride});
    return name;
  }

  std::string gemm(const std::string& name, const FoldedConv& layer, const std::string& input,
                   const std::string& output) {
    const std::string weights =
        tensor(name + ".weight", layer.weights, {layer.outputs, layer.inputs});
    const std::string bias = tensor(name + ".bias", layer.bias, {layer.outputs});
    onnx::NodeProto& node = add("Gemm", name, {input, weights, bias});
    node.set_output(0, output);
    integer(node, "transB", 1);
    return output;
  }

  std::string simple(const char* type, const std::string& name,
                     std::initializer_list<std::string> inputs) {
    add(type, name, inputs);
    return name;
  }

 private:
  onnx::NodeProto& add(const char* type, const std::string& name,
                       std::initializer_list<std::string> inputs) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(type);
    node.set_name(name);
    for (const std::string& input : inputs) {
      node.add_input(input);
    }
    node.add_output(name);
    return node;
  }

  std::string tensor(const std::string& name, const std::vector<float>& values,
                     std::initializer_list<std::int64_t> shape) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t size : shape) {
      tensor.add_dims(size);
    }
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }

  static void integer(onnx::NodeProto& node, const char* name, std::int64_t value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  static void ints(onnx::NodeProto& node, const char* name,
                   std::initializer_list<std::int64_t> values) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) {
      attribute.add_ints(value);
    }
  }

  onnx::GraphProto& graph_;
};

void describe(onnx::ValueInfoProto& value, const char* name,
              std::initializer_list<std::int64_t> shape) {
  value.set_name(name);
  onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t size : shape) {
    type.mutable_shape()->add_dim()->set_dim_value(size);
  }
}

std::size_t count(const FoldedConv& layer) { return layer.weights.size() + layer.bias.size(); }

}  // namespace

std::size_t FoldedNet::parameters() const {
  std::size_t total = count(stem) + count(classifier);
  for (const FoldedBlock& block : blocks) {
    total += count(block.first) + count(block.second);
    total += block.shortcut ? count(*block.shortcut) : 0;
  }
  return total;
}

Result<FoldedNet> read_onnx(const std::string& path) {
  onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kIo, "cannot be opened", path);
  if (!model.ParseFromIstream(&file)) return fail(ErrorCode::kMalformed, "is no ONNX", path);
  std::map<std::string, const onnx::TensorProto*> tensors;
  for (const onnx::TensorProto& tensor : model.graph().initializer())
    tensors[tensor.name()] = &tensor;
  std::map<std::string, std::int64_t> strides;
  for (const onnx::NodeProto& node : model.graph().node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == "strides") strides[node.name()] = attribute.ints(0);
    }
  }
  const auto numbers = [&](const std::string& name) {
    const auto at = tensors.find(name);
    if (at == tensors.end()) return std::vector<float>();
    std::vector<float> values(at->second->raw_data().size() / sizeof(float));
    std::memcpy(values.data(), at->second->raw_data().data(), values.size() * sizeof(float));
    return values;
  };
  const auto layer = [&](const std::string& name) -> std::optional<FoldedConv> {
    const auto at = tensors.find(name + ".weight");
    if (at == tensors.end() || at->second->dims_size() < 2) return {};
    FoldedConv conv;
    conv.outputs = at->second->dims(0);
    conv.inputs = at->second->dims(1);
    if (at->second->dims_size() == 4) conv.kernel = at->second->dims(2);
    if (strides.contains(name)) conv.stride = strides[name];
    conv.weights = numbers(name + ".weight");
    conv.bias = numbers(name + ".bias");
    return conv;
  };
  FoldedNet net;
  const auto stem = layer("stem"), classifier = layer("classifier");
  if (!stem || !classifier) return fail(ErrorCode::kMalformed, "is no network of shapes", path);
  net.stem = *stem;
  net.classifier = *classifier;
  for (int i = 1; const auto first = layer("block" + std::to_string(i) + ".first"); ++i) {
    const std::string name = "block" + std::to_string(i);
    const auto second = layer(name + ".second");
    if (!second) return fail(ErrorCode::kMalformed, "has no " + name + ".second", path);
    net.blocks.push_back({*first, *second, layer(name + ".shortcut")});
  }
  return net;
}

Status write_onnx(const FoldedNet& net, std::int64_t side, const std::string& path) {
  onnx::ModelProto model;
  model.set_ir_version(7);
  model.set_producer_name("espalier shapes_train");
  onnx::OperatorSetIdProto& operators = *model.add_opset_import();
  operators.set_domain("");
  operators.set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("shapes");
  describe(*graph.add_input(), "image", {1, net.stem.inputs, side, side});
  describe(*graph.add_output(), "logits", {1, net.classifier.outputs});

  GraphWriter writer(graph);
  std::string at = writer.simple("Relu", "stem.relu", {writer.conv("stem", net.stem, "image")});
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    const FoldedBlock& block = net.blocks[i];
    const std::string name = "block" + std::to_string(i + 1);
    const std::string skip =
        block.shortcut ? writer.conv(name + ".shortcut", *block.shortcut, at) : at;
    std::string branch = writer.conv(name + ".first", block.first, at);
    branch = writer.simple("Relu", name + ".first.relu", {branch});
    branch = writer.conv(name + ".second", block.second, branch);
    at = writer.simple("Add", name + ".add", {branch, skip});
    at = writer.simple("Relu", name + ".relu", {at});
  }
  at = writer.simple("GlobalAveragePool", "average", {at});
  at = writer.simple("Flatten", "flatten", {at});
  writer.gemm("classifier", net.classifier, at, "logits");

  return write_file(path, model.SerializeAsString());
}

}  // namespace espalier::shapes
