#pragma once
// Quantised ONNX operators as QuantizeLinear and DequantizeLinear around float ones.

#include <string>
#include <vector>

#include "import/onnx/context.hpp"

namespace espalier::import_ {

/// Whether expand_quantised() knows the operator, or refuses it with a reason of its own.
bool is_quantised_operator(const std::string& domain, const std::string& type);

/// Operators on stored integers (QLinearConv, QGemm, QLinearAdd, ...) as DequantizeLinear of every
/// input, the float operator, and QuantizeLinear of the result. Scales of biases, which the model
/// leaves out, become constants of the context. Errors: kUnsupported, at the node.
Result<std::vector<onnx::NodeProto>> expand_quantised(Context& context, const OnnxNode& node);

/// Carries what was a dequantised constant's stored form through a node that only moves it.
void keep_steps(Context& context, const OnnxNode& node);

/// Notes the constants of a convolution or matrix product, for make_quantised().
void keep_dense(Context& context, const OnnxNode& node);

/// Whether anything is quantised in the graph.
bool is_quantised(const WorkGraph& work);

/// The graph with its Quantise and Dequantise nodes resolved.
/// Errors: kUnsupported where an operator computes in float between them, or what it needs is not
/// quantised, with its node; kRange; what ir::verify complains of.
Result<ir::QuantGraph> make_quantised(const Context& context, const std::string& name);

}  // namespace espalier::import_
