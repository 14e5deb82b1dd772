#pragma once
// The operators of TensorFlow Lite that are imported.

#include <span>
#include <string_view>

#include "import/tflite/importer.hpp"

namespace espalier::import_ {

struct LiteOperator {
  lite::BuiltinOperator code;
  Status (LiteImporter::*handler)(const LiteOp&);
  std::string_view becomes;     ///< what the machine does for it
  std::string_view conditions;  ///< empty: none
};

/// In the order of their names.
std::span<const LiteOperator> lite_operators();
/// Null where it is not imported.
const LiteOperator* find_lite_operator(lite::BuiltinOperator code);

}  // namespace espalier::import_
