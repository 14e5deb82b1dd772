#pragma once
// The operators of models that Espalier takes, with their conditions: what `espalier ops` prints
// and what docs/reference/operators.md is made of.

#include <span>
#include <string>
#include <string_view>

namespace espalier::cli {

struct Operator {
  std::string_view format;      ///< onnx or tflite
  std::string_view name;        ///< as the format spells it
  std::string_view becomes;     ///< what the machine does for it
  std::string_view conditions;  ///< empty: none
};

/// In the order of format and name.
std::span<const Operator> operators();

/// The page docs/reference/operators.md.
std::string operators_page();

}  // namespace espalier::cli
