#pragma once
// Quantised ONNX models: what goes with a node's import.

#include "import/onnx/context.hpp"

namespace espalier::import_ {

/// Why operators in another layout are refused.
inline constexpr const char* kChannelsLast =
    "keeps channels last amid a model of channels first; mixed layouts are not supported";

/// Carries what was a dequantised constant's stored form through a node that only moves it.
void keep_steps(Context& context, const OnnxNode& node);

/// Notes the stored constants of a convolution or matrix product, for lower_quantised().
void keep_dense(Context& context, const OnnxNode& node);

}  // namespace espalier::import_
