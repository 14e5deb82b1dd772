#pragma once
// ONNX models of opsets 7 to 21: float ones, read into a FloatGraph, and quantised ones (with
// QuantizeLinear and DequantizeLinear, or with operators on integers), read into a QuantGraph.

#include <iosfwd>
#include <string>
#include <string_view>

#include "import/model.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::import_ {

/// Reads a serialised ModelProto. `folder` is where external data lies.
/// Batch normalisation, borders, slices and arithmetic on channels fold into neighbours where that
/// is exact, and become 1 x 1 convolutions elsewhere. A model with a batch is read for one image.
/// Errors: kMalformed, kUnsupported (names the operator and the node), kShape, kRange, kIo; with
/// `refusals` all nodes that are refused are noted there.
Result<Model> parse_onnx_model(std::string bytes, const std::string& folder,
                               const std::string& name, Refusals* refusals = nullptr);
/// The same from a stream that can seek: the model's bytes are never in memory as a whole.
Result<Model> parse_onnx_model(std::istream& in, const std::string& folder, const std::string& name,
                               Refusals* refusals = nullptr);

/// The same for a model that must be float. Errors: also kUnsupported where it is not.
Result<ir::FloatGraph> parse_onnx(std::string_view bytes, const std::string& folder,
                                  const std::string& name);

}  // namespace espalier::import_
