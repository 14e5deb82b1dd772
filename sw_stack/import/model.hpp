#pragma once
// The one way into the stack for models of others.

#include <string>
#include <variant>

#include "ir/graph.hpp"
#include "support/result.hpp"

namespace espalier::import_ {

/// A float model, which the quantiser takes on, or one that is quantised already.
using Model = std::variant<ir::FloatGraph, ir::QuantGraph>;

/// Reads an .onnx or .tflite file; which of the two its bytes tell, whatever its name.
/// Errors: kIo, kMalformed, kUnsupported, kShape, kRange; each names the file and the node.
Result<Model> load(const std::string& path);

}  // namespace espalier::import_
