#include "export/model_builder.hpp"

namespace espalier::export_ {
namespace {

constexpr int kOpset = 13;  // the first with scales a channel in QuantizeLinear
constexpr int kIrVersion = 7;

void set_type(onnx::ValueInfoProto& value, int type, const std::vector<std::int64_t>& dims) {
  auto* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  for (const std::int64_t dim : dims) tensor->mutable_shape()->add_dim()->set_dim_value(dim);
}

}  // namespace

NodeBuilder& NodeBuilder::integer(const char* name, std::int64_t value) {
  auto* attribute = node_.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
  return *this;
}

NodeBuilder& NodeBuilder::integers(const char* name, const std::vector<std::int64_t>& values) {
  auto* attribute = node_.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute->add_ints(value);
  return *this;
}

ModelBuilder::ModelBuilder(const std::string& name, bool microsoft) {
  model_.set_ir_version(kIrVersion);
  model_.set_producer_name("espalier");
  model_.add_opset_import()->set_version(kOpset);
  if (microsoft) {
    auto* opset = model_.add_opset_import();
    opset->set_domain("com.microsoft");
    opset->set_version(1);
  }
  model_.mutable_graph()->set_name(name.empty() ? "graph" : name);
}

NodeBuilder ModelBuilder::node(const std::string& type, const std::string& name,
                               const std::vector<std::string>& inputs, const std::string& output,
                               bool microsoft) {
  onnx::NodeProto& node = *model_.mutable_graph()->add_node();
  node.set_op_type(type);
  node.set_name(name);
  if (microsoft) node.set_domain("com.microsoft");
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return NodeBuilder(node);
}

onnx::TensorProto& ModelBuilder::tensor(const std::string& name, int type,
                                        const std::vector<std::int64_t>& dims) {
  onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

void ModelBuilder::floats(const std::string& name, const std::vector<float>& values, bool scalar) {
  std::vector<std::int64_t> dims;
  if (!scalar) dims.push_back(static_cast<std::int64_t>(values.size()));
  tensor(name, onnx::TensorProto::FLOAT, dims)
      .set_raw_data(values.data(), values.size() * sizeof(float));
}

void ModelBuilder::bytes(const std::string& name, const std::vector<std::int8_t>& values,
                         const std::vector<std::int64_t>& dims) {
  tensor(name, onnx::TensorProto::INT8, dims).set_raw_data(values.data(), values.size());
}

void ModelBuilder::words(const std::string& name, const std::vector<std::int32_t>& values) {
  tensor(name, onnx::TensorProto::INT32, {static_cast<std::int64_t>(values.size())})
      .set_raw_data(values.data(), values.size() * sizeof(std::int32_t));
}

void ModelBuilder::input(const std::string& name, const ir::Shape& shape) {
  auto& value = *model_.mutable_graph()->add_input();
  value.set_name(name);
  set_type(value, onnx::TensorProto::FLOAT, {1, shape.c, shape.h, shape.w});
}

void ModelBuilder::output(const std::string& name, int type,
                          const std::vector<std::int64_t>& dims) {
  auto& value = *model_.mutable_graph()->add_output();
  value.set_name(name);
  set_type(value, type, dims);
}

}  // namespace espalier::export_
