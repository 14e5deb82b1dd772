#pragma once
// The operators of models that are imported, with their conditions.

#include <string_view>
#include <vector>

namespace espalier::import_ {

struct Operator {
  std::string_view format;      ///< onnx or tflite
  std::string_view name;        ///< as the format spells it
  std::string_view becomes;     ///< what the machine does for it
  std::string_view conditions;  ///< empty: none
};

/// Windows of convolutions, in either format.
inline constexpr std::string_view kWindowConditions =
    "any kernel and pads, stride up to 15, dilation up to 31; groups are expanded";

/// From the tables by which models are imported, in the order of format and name.
const std::vector<Operator>& operators();

}  // namespace espalier::import_
