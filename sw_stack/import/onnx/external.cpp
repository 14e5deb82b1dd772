// Which files an ONNX model keeps its weights in.

#include <filesystem>
#include <fstream>
#include <set>

#include "import/model.hpp"
#include "import/onnx/model_file.hpp"

namespace espalier::import_ {

std::vector<std::string> external_files(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const auto file = read_model(in);
  if (!file) return {};
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::set<std::string> files;
  const auto note = [&](const onnx::TensorProto& tensor) {
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() == "location") files.insert((folder / entry.value()).string());
    }
  };
  const onnx::GraphProto& graph = file->model.graph();
  for (const auto& tensor : graph.initializer()) note(tensor);
  for (const auto& node : graph.node()) {
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_t()) note(attribute.t());
    }
  }
  return {files.begin(), files.end()};
}

}  // namespace espalier::import_
