#pragma once
// The bytes of an ONNX model: its messages in memory, its weights where they lie.

#include <onnx/onnx_pb.h>

#include <iosfwd>
#include <vector>

#include "import/onnx/constant.hpp"
#include "base/result.hpp"

namespace espalier::import_ {

/// A model without the long raw data of its graph's initialisers.
struct ModelFile {
  onnx::ModelProto model;
  std::vector<RawSpan> raw;  ///< of each initialiser; none: what it has is in `model`
};

/// Reads a serialised ModelProto from a stream that can seek and that outlives what is read.
/// Errors: kMalformed, kRange (2 GiB and more), kIo.
Result<ModelFile> read_model(std::istream& in);

}  // namespace espalier::import_
