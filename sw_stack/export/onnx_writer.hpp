#pragma once
// A quantised graph as an ONNX model, for other runtimes.

#include <string>
#include <string_view>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::export_ {

/// How a quantised model is written.
enum class Form {
  kQdq,        ///< float operators between DequantizeLinear and QuantizeLinear: standard ONNX
  kQoperator,  ///< operators on integers; of com.microsoft where ONNX has none
};
/// qdq or qoperator.
constexpr std::string_view name(Form form) { return form == Form::kQdq ? "qdq" : "qoperator"; }

struct OnnxOptions {
  Form form = Form::kQdq;
  bool all_outputs = false;  ///< every stored tensor is an output of the model, beside the last
};

/// A serialised ModelProto, opset 13. Its input is the network's in float, [1][C][H][W],
/// preprocessed; its output the last tensor in float, after the softmax where there is one. Every
/// tensor of the graph is an int8 value of the same name; every node keeps its name. Importing it
/// again gives the same numbers, bit for bit.
/// Errors: kUnsupported, naming the node, where no ONNX operator has the same numbers.
Result<std::string> write_onnx(const ir::QuantGraph& graph, const OnnxOptions& options = {});

}  // namespace espalier::export_
