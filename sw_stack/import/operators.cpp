#include "import/operators.hpp"

#include "import/onnx/operators.hpp"
#include "import/tflite/operators.hpp"

namespace espalier::import_ {

const std::vector<Operator>& operators() {
  static const std::vector<Operator> kAll = [] {
    std::vector<Operator> all;
    for (const OnnxOperator& op : onnx_operators())
      all.push_back({"onnx", op.name, op.becomes, op.conditions});
    for (const LiteOperator& op : lite_operators())
      all.push_back({"tflite", lite::EnumNameBuiltinOperator(op.code), op.becomes, op.conditions});
    return all;
  }();
  return kAll;
}

}  // namespace espalier::import_
