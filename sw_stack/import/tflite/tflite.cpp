#include "import/tflite/tflite.hpp"

#include <algorithm>

#include "import/tflite/reader.hpp"

namespace espalier::import_ {

bool is_tflite(std::string_view bytes) {
  return bytes.size() >= 8 && bytes.substr(4, 4) == lite::ModelIdentifier();
}

Result<Model> parse_tflite(std::string_view bytes, const std::string& name, Refusals* refusals) {
  if (!is_tflite(bytes)) return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model");
  const auto lite = read_lite(bytes);
  if (!lite) return lite.error();
  const bool quantised = std::any_of(lite->ops.begin(), lite->ops.end(), [&](const LiteOp& op) {
    return lite->tensors[static_cast<std::size_t>(op.outputs[0])].quantised();
  });
  if (quantised) {
    auto graph = lite_quantised(*lite, name, refusals);
    if (!graph) return graph.error();
    return Model(std::move(graph.value()));
  }
  auto graph = lite_float(*lite, name, refusals);
  if (!graph) return graph.error();
  return Model(std::move(graph.value()));
}

}  // namespace espalier::import_
