#include "cli/models.hpp"

#include <fstream>

namespace espalier::cli {

bool is_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(8, ' ');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start == "ESPALIER";
}

Diagnostic placed(Diagnostic error, const std::string& file) {
  error.place = file + (error.place.empty() ? "" : ": " + error.place);
  return error;
}

Result<prune::Pruned> pruned(const ir::QuantGraph& graph, const prune::Channels& channels,
                             const prune::Mask& mask, const std::string& file) {
  auto made = prune::prune(graph, channels, mask);
  if (!made) return placed(made.error(), file);
  return made;
}

}  // namespace espalier::cli
