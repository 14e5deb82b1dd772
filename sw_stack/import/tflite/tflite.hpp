#pragma once
// TensorFlow Lite models: quantised ones become a QuantGraph, float ones a FloatGraph.

#include <string>
#include <string_view>

#include "import/model.hpp"

namespace espalier::import_ {

/// Whether the bytes carry the format's identifier.
bool is_tflite(std::string_view bytes);

/// Reads a model of version 3. Activations and weights are int8 or uint8 (shifted by 128), or all
/// float; weights have a scale per channel or one for all.
/// Errors: kMalformed, kUnsupported (names the operator and its output), kShape, kRange; with
/// `refusals` all operators that are refused are noted there.
Result<Model> parse_tflite(std::string_view bytes, const std::string& name,
                           Refusals* refusals = nullptr);

}  // namespace espalier::import_
