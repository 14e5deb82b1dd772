#pragma once
// Convolutions of quantised ONNX models, in integers.

#include "import/onnx/context.hpp"

namespace espalier::import_ {

/// A diagnostic placed at the node.
Diagnostic work_error(const WorkNode& node, ErrorCode code, std::string message);

/// A convolution or matrix product with the stored steps of its weights and bias. Clamps are left
/// open. Errors: kUnsupported (weights in float, scales on another axis, zero points), kRange.
Result<ir::QuantConv> quantised_dense(const Context& context, const WorkNode& node,
                                      const ir::FloatConv& conv, const ir::Quant& x,
                                      const ir::Quant& y);

/// scale[c] * x + shift[c] as a convolution with a diagonal of weights. Errors: kUnsupported,
/// kRange.
Result<ir::QuantConv> quantised_affine(const WorkNode& node, const Affine& affine,
                                       const ir::Quant& x, const ir::Quant& y);

/// A 1 x 1 convolution with weights and scales of 1. Errors: kUnsupported where it is too large.
Result<ir::QuantConv> quantised_copy(const WorkNode& node, int channels);

}  // namespace espalier::import_
