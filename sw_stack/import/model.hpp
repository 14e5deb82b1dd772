#pragma once
// The one way into the stack for models of others.

#include <string>
#include <variant>
#include <vector>

#include "import/refusals.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::import_ {

/// A float model, which the quantiser takes on, or one that is quantised already.
using Model = std::variant<ir::FloatGraph, ir::QuantGraph>;

/// Reads an .onnx or .tflite file; which of the two its bytes tell, whatever its name.
/// Errors: kIo, kMalformed, kUnsupported, kShape, kRange; each names the file and the node. With
/// `refusals` the error is of the first node that is refused, and all are noted there.
Result<Model> load(const std::string& path, Refusals* refusals = nullptr);

/// The files beside an ONNX model that hold its weights; none where it cannot be read.
std::vector<std::string> external_files(const std::string& path);

}  // namespace espalier::import_
