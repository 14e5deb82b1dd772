#pragma once
// Shapes of a model's values and the work of its nodes, for models that are refused: by ONNX's own
// inference, which knows operators that the importer does not.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace espalier::import_ {

using Dims = std::map<std::string, std::vector<std::int64_t>>;

/// Dimensions by the value's name, those that are known; an open batch is 1.
Dims infer_dims(const onnx::ModelProto& model);

/// Multiply-accumulates of a convolution or matrix product; 0 for others, and for unknown shapes.
std::int64_t node_macs(const onnx::NodeProto& node, const Dims& dims);

}  // namespace espalier::import_
