#pragma once
// ONNX models (opset 7 to 18, float), read into a FloatGraph.

#include <string>
#include <string_view>

#include "ir/graph.hpp"
#include "support/result.hpp"

namespace espalier::import_ {

/// Reads a serialised ModelProto. `folder` is where external data lies.
/// Batch normalisation, borders, slices and arithmetic on channels fold into neighbours where that
/// is exact, and become 1 x 1 convolutions elsewhere. A model with a batch is read for one image.
/// Errors: kMalformed, kUnsupported (names the operator and the node), kShape, kRange, kIo.
Result<ir::FloatGraph> parse_onnx(std::string_view bytes, const std::string& folder,
                                  const std::string& name);

}  // namespace espalier::import_
