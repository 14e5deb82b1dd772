#pragma once
// Small ONNX models for tests, built through protocol buffers.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace espalier::tests {

/// One attribute of a node.
struct Attribute {
  Attribute(const char* name, std::int64_t value) {
    proto.set_name(name);
    proto.set_type(onnx::AttributeProto::INT);
    proto.set_i(value);
  }
  Attribute(const char* name, int value) : Attribute(name, std::int64_t{value}) {}
  Attribute(const char* name, float value) {
    proto.set_name(name);
    proto.set_type(onnx::AttributeProto::FLOAT);
    proto.set_f(value);
  }
  Attribute(const char* name, const char* value) {
    proto.set_name(name);
    proto.set_type(onnx::AttributeProto::STRING);
    proto.set_s(value);
  }
  Attribute(const char* name, const std::vector<std::int64_t>& values) {
    proto.set_name(name);
    proto.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) proto.add_ints(value);
  }
  Attribute(const char* name, const onnx::TensorProto& value) {
    proto.set_name(name);
    proto.set_type(onnx::AttributeProto::TENSOR);
    *proto.mutable_t() = value;
  }
  onnx::AttributeProto proto;
};

/// `count` numbers from -1 to 1.
inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-1.0F, 1.0F);
  std::vector<float> values(count);
  for (float& value : values) value = draw(random);
  return values;
}

inline onnx::TensorProto float_tensor(const std::string& name,
                                      const std::vector<std::int64_t>& dims,
                                      const std::vector<float>& values) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

inline onnx::TensorProto int_tensor(const std::string& name,
                                    const std::vector<std::int64_t>& values, bool scalar = false) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  if (!scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
  for (const std::int64_t value : values) tensor.add_int64_data(value);
  return tensor;
}

class OnnxBuilder {
 public:
  explicit OnnxBuilder(int opset = 13) {
    model.set_ir_version(7);
    model.add_opset_import()->set_version(opset);
  }
  /// A dimension of -1 is an open one.
  OnnxBuilder& input(const std::string& name, const std::vector<std::int64_t>& dims,
                     int element = onnx::TensorProto::FLOAT) {
    auto* value = graph().add_input();
    value->set_name(name);
    auto* type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(element);
    for (const std::int64_t dim : dims) {
      auto* added = type->mutable_shape()->add_dim();
      if (dim < 0) {
        added->set_dim_param("N");
      } else {
        added->set_dim_value(dim);
      }
    }
    return *this;
  }
  OnnxBuilder& floats(const std::string& name, const std::vector<std::int64_t>& dims,
                      const std::vector<float>& values) {
    *graph().add_initializer() = float_tensor(name, dims, values);
    return *this;
  }
  OnnxBuilder& ints(const std::string& name, const std::vector<std::int64_t>& values,
                    bool scalar = false) {
    *graph().add_initializer() = int_tensor(name, values, scalar);
    return *this;
  }
  /// Adds a node named after its first output.
  OnnxBuilder& node(const std::string& type, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs,
                    const std::vector<Attribute>& attributes = {}) {
    auto* added = graph().add_node();
    added->set_op_type(type);
    added->set_name(outputs.empty() ? type : "node_" + outputs[0]);
    for (const std::string& in : inputs) added->add_input(in);
    for (const std::string& out : outputs) added->add_output(out);
    for (const Attribute& attribute : attributes) *added->add_attribute() = attribute.proto;
    return *this;
  }
  OnnxBuilder& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  [[nodiscard]] std::string bytes() const { return model.SerializeAsString(); }
  onnx::GraphProto& graph() { return *model.mutable_graph(); }

  onnx::ModelProto model;
};

}  // namespace espalier::tests
