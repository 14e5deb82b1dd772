#include "import/tflite/tflite.hpp"

#include "import/tflite/importer.hpp"

namespace espalier::import_ {

bool is_tflite(std::string_view bytes) {
  return bytes.size() >= 8 && bytes.substr(4, 4) == lite::ModelIdentifier();
}

Result<Model> parse_tflite(std::string_view bytes, const std::string& name, Refusals* refusals) {
  if (!is_tflite(bytes)) return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model");
  const auto lite = read_lite(bytes);
  if (!lite) return lite.error();
  return LiteImporter(*lite, refusals).run(name);
}

}  // namespace espalier::import_
