#pragma once
// Nodes and initialisers of an ONNX model under construction.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::export_ {

/// One node, to be filled with attributes.
class NodeBuilder {
 public:
  explicit NodeBuilder(onnx::NodeProto& node) : node_(node) {}
  NodeBuilder& integer(const char* name, std::int64_t value);
  NodeBuilder& integers(const char* name, const std::vector<std::int64_t>& values);

 private:
  onnx::NodeProto& node_;
};

class ModelBuilder {
 public:
  ModelBuilder(const std::string& name, bool microsoft);

  NodeBuilder node(const std::string& type, const std::string& name,
                   const std::vector<std::string>& inputs, const std::string& output,
                   bool microsoft = false);
  void floats(const std::string& name, const std::vector<float>& values, bool scalar = false);
  void bytes(const std::string& name, const std::vector<std::int8_t>& values,
             const std::vector<std::int64_t>& dims);
  void words(const std::string& name, const std::vector<std::int32_t>& values);
  void input(const std::string& name, const ir::Shape& shape);
  void output(const std::string& name, int type, const std::vector<std::int64_t>& dims);
  [[nodiscard]] std::string take() const { return model_.SerializeAsString(); }

 private:
  onnx::TensorProto& tensor(const std::string& name, int type,
                            const std::vector<std::int64_t>& dims);
  onnx::ModelProto model_;
};

}  // namespace espalier::export_
