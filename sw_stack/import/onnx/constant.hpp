#pragma once
// Constants of an ONNX model: initialisers, and what folds out of the chains that compute shapes.

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace onnx {
class TensorProto;
}

namespace espalier::import_ {

/// What a constant was before DequantizeLinear: value = scale * step, along one axis or everywhere.
struct ConstantSteps {
  std::vector<std::int64_t> steps;  ///< stored value minus zero point, row-major
  std::vector<float> scale;         ///< one, or one a place of the axis
  std::int64_t zero = 0;
  std::size_t axis = 0;  ///< where there is more than one scale
};

/// A constant tensor, row-major. Every float type is held as fp32, every integer as int64.
struct Constant {
  std::vector<std::int64_t> dims;
  bool is_float = true;
  int element = 0;                             ///< TensorProto's type as stored; 0: computed here
  std::shared_ptr<const ConstantSteps> steps;  ///< where it is dequantised
  std::vector<float> floats;                   ///< where is_float
  std::vector<std::int64_t> integers;          ///< otherwise

  [[nodiscard]] std::size_t count() const { return is_float ? floats.size() : integers.size(); }
  [[nodiscard]] double at(std::size_t i) const {
    return is_float ? static_cast<double>(floats[i]) : static_cast<double>(integers[i]);
  }
};

/// Raw bytes of a tensor where they lie.
struct RawSpan {
  std::istream* in = nullptr;  ///< null: there are none
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Elements of these dimensions, or -1 where one is negative or the product passes 2^40.
std::int64_t element_count(const std::vector<std::int64_t>& dims);

/// Reads an initialiser; `raw` is for what lies in the model's own file still, and data outside the
/// file must lie inside `folder`.
/// Errors: kMalformed, kUnsupported (element type), kIo, kRange (a path that leaves the folder).
Result<Constant> decode_constant(const onnx::TensorProto& proto, const std::string& folder,
                                 const RawSpan& raw = {});

}  // namespace espalier::import_
