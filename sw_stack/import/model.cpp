#include "import/model.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "import/onnx/onnx.hpp"
#include "import/tflite/tflite.hpp"

namespace espalier::import_ {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::kIo, "is not a file", path);
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return fail(ErrorCode::kIo, "cannot be read", path);
  const auto size = static_cast<std::size_t>(file.tellg());
  std::string bytes(size, '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!file) return fail(ErrorCode::kIo, "cannot be read", path);
  return bytes;
}

template <typename Graph>
Result<Model> placed(Result<Graph> graph, const std::string& path) {
  if (graph) return Model{std::move(graph).value()};
  Diagnostic error = graph.error();
  error.place = error.place.empty() ? path : path + ": " + error.place;
  return error;
}

}  // namespace

Result<Model> load(const std::string& path) {
  const auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  const std::filesystem::path file(path);
  const std::string name = file.stem().string();
  if (is_tflite(*bytes)) return placed(parse_tflite(*bytes, name), path);
  if (file.extension() == ".tflite") {
    return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model", path);
  }
  return placed(parse_onnx_model(*bytes, file.parent_path().string(), name), path);
}

}  // namespace espalier::import_
