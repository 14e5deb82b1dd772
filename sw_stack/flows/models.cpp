#include "flows/models.hpp"

#include <fstream>

namespace espalier::flows {

bool is_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(8, ' ');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start == "ESPALIER";
}

Result<import_::Model> load_model(const std::string& path) {
  import_::Refusals refusals;
  auto model = import_::load(path, &refusals);
  if (model) return model;
  Diagnostic error = model.error();
  error.more = refusals.lines();
  return error;
}

Result<prune::Pruned> pruned(const ir::QuantGraph& graph, const prune::Channels& channels,
                             const prune::Mask& mask, const std::string& file) {
  auto made = prune::prune(graph, channels, mask);
  if (!made) return placed(made.error(), file);
  return made;
}

std::int64_t macs(const ir::QuantGraph& graph) {
  std::int64_t sum = 0;
  for (const ir::QuantNode& node : graph.nodes) sum += ir::macs(graph, node);
  return sum;
}

}  // namespace espalier::flows
