#pragma once
// A small residual network as an ONNX file, and images for it: what the tests of the command feed
// it.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "scratch.hpp"

namespace espalier::tests {

inline constexpr int kTinySize = 16;  ///< rows and columns of an image of three channels
inline constexpr int kTinyClasses = 5;

/// Builds float models node by node; every node's output is named after it.
class OnnxWriter {
 public:
  OnnxWriter(std::uint64_t seed, const std::vector<std::int64_t>& input) : random_(seed) {
    model_.set_ir_version(7);
    model_.add_opset_import()->set_version(13);
    graph().set_name("tiny");
    auto* value = graph().add_input();
    value->set_name("image");
    auto* type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t dim : input) type->mutable_shape()->add_dim()->set_dim_value(dim);
  }

  onnx::NodeProto& node(const std::string& op, const std::string& name,
                        const std::vector<std::string>& inputs) {
    auto* node = graph().add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(name);
    last_ = name;
    return *node;
  }
  void conv(const std::string& name, const std::string& x, int in, int out, int kernel,
            int stride) {
    weights(name + ".w", {out, in, kernel, kernel}, in * kernel * kernel);
    weights(name + ".b", {out}, 4);
    auto& made = node("Conv", name, {x, name + ".w", name + ".b"});
    ints(made, "strides", {stride, stride});
    const std::int64_t pad = kernel / 2;
    ints(made, "pads", {pad, pad, pad, pad});
  }
  void gemm(const std::string& name, const std::string& x, int in, int out) {
    weights(name + ".w", {out, in}, in);
    weights(name + ".b", {out}, 4);
    auto* attribute = node("Gemm", name, {x, name + ".w", name + ".b"}).add_attribute();
    attribute->set_name("transB");
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(1);
  }
  static void ints(onnx::NodeProto& node, const std::string& name,
                   const std::vector<std::int64_t>& values) {
    auto* attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute->add_ints(value);
  }

  /// The file's bytes; the last node is the output.
  std::string bytes() {
    graph().clear_output();
    auto* value = graph().add_output();
    value->set_name(last_);
    value->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
    return model_.SerializeAsString();
  }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

 private:
  /// Normal values that keep the variance of what they multiply.
  void weights(const std::string& name, const std::vector<int>& dims, int fan_in) {
    auto* tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    int count = 1;
    for (const int dim : dims) {
      tensor->add_dims(dim);
      count *= dim;
    }
    std::normal_distribution<float> normal(0, 1.4F / std::sqrt(static_cast<float>(fan_in)));
    for (int i = 0; i < count; ++i) tensor->add_float_data(normal(random_));
  }

  onnx::ModelProto model_;
  std::mt19937_64 random_;
  std::string last_;
};

/// Three convolutions, one with stride 2 and one with a residual add, a max pool, a global average
/// pool, a fully connected layer and softmax.
inline std::string tiny_model(std::uint64_t seed = 1) {
  OnnxWriter model(seed, {1, 3, kTinySize, kTinySize});
  model.conv("conv1", "image", 3, 8, 3, 1);
  model.node("Relu", "relu1", {"conv1"});
  model.conv("conv2", "relu1", 8, 8, 3, 1);
  model.node("Add", "sum", {"conv2", "relu1"});
  model.node("Relu", "relu2", {"sum"});
  auto& pool = model.node("MaxPool", "pool", {"relu2"});
  OnnxWriter::ints(pool, "kernel_shape", {2, 2});
  OnnxWriter::ints(pool, "strides", {2, 2});
  model.conv("conv3", "pool", 8, 20, 3, 2);
  model.node("Relu", "relu3", {"conv3"});
  model.node("GlobalAveragePool", "gap", {"relu3"});
  model.node("Flatten", "flat", {"gap"});
  model.gemm("fc", "flat", 20, kTinyClasses);
  model.node("Softmax", "softmax", {"fc"});
  return model.bytes();
}

/// A .npy file's bytes: version 1.0, C order.
inline std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::string file = "\x93NUMPY";
  file += '\x01';
  file += '\x00';
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

/// `count` images of random pixels, smooth enough to leave something after averaging.
inline std::string tiny_images(int count, std::uint64_t seed = 7) {
  std::mt19937_64 random(seed);
  std::string data;
  for (int image = 0; image < count; ++image) {
    for (int c = 0; c < 3; ++c) {
      const auto base = static_cast<int>(random() % 200);
      for (int i = 0; i < kTinySize * kTinySize; ++i) {
        data += static_cast<char>(base + static_cast<int>(random() % 56));
      }
    }
  }
  const std::string size = std::to_string(kTinySize);
  return npy("|u1", std::to_string(count) + ", 3, " + size + ", " + size, data);
}

}  // namespace espalier::tests
