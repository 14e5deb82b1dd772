#include "import/model.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "import/onnx/onnx.hpp"
#include "import/tflite/tflite.hpp"
#include "base/whole_file.hpp"

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
  const std::filesystem::path file(path);
  const std::string name = file.stem().string(), folder = file.parent_path().string();
  std::error_code unknown;
  if (file.extension() != ".tflite" && std::filesystem::is_regular_file(file, unknown)) {
    std::ifstream in(path, std::ios::binary);
    std::string head(8, ' ');
    if (in.read(head.data(), static_cast<std::streamsize>(head.size())) && !is_tflite(head))
      return placed(parse_onnx_model(in, folder, name, refusals), path);
  }
  auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  if (is_tflite(*bytes)) return placed(parse_tflite(*bytes, name, refusals), path);
  if (file.extension() == ".tflite") {
    return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model", path);
  }
  return placed(parse_onnx_model(std::move(*bytes), folder, name, refusals), path);
}

}  // namespace espalier::import_
