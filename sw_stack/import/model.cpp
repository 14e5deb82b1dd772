#include "import/model.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "import/onnx/onnx.hpp"
#include "import/tflite/tflite.hpp"
#include "support/whole_file.hpp"

namespace espalier::import_ {
namespace {

template <typename Graph>
Result<Model> placed(Result<Graph> graph, const std::string& path) {
  if (graph) return Model{std::move(graph).value()};
  Diagnostic error = graph.error();
  error.place = error.place.empty() ? path : path + ": " + error.place;
  return error;
}

}  // namespace

Result<Model> load(const std::string& path, Refusals* refusals) {
  auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  const std::filesystem::path file(path);
  const std::string name = file.stem().string();
  if (is_tflite(*bytes)) return placed(parse_tflite(*bytes, name, refusals), path);
  if (file.extension() == ".tflite") {
    return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model", path);
  }
  return placed(parse_onnx_model(std::move(*bytes), file.parent_path().string(), name, refusals),
                path);
}

}  // namespace espalier::import_
