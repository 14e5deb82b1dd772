#include "flows/models.hpp"

#include <fstream>

#include "program/program.hpp"

namespace espalier::flows {

std::string head_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head(8, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

bool is_program(const std::string& path) { return head_of(path) == "ESPALIER"; }

Result<import_::Model> load_model(const std::string& path) {
  import_::Refusals refusals;
  auto model = import_::load(path, &refusals);
  if (model) return model;
  Diagnostic error = model.error();
  error.more = refusals.lines();
  return error;
}

Result<import_::Model> load_model_or_program(const std::string& path) {
  if (!is_program(path)) return load_model(path);
  const auto program = program::load(path);
  if (!program) return program.error();
  return import_::Model(masks::without_copies(program->graph));
}

Result<masks::Pruned> pruned(const ir::QuantGraph& graph, const masks::Channels& channels,
                             const masks::Mask& mask, const std::string& file) {
  auto made = masks::prune(graph, channels, mask);
  if (!made) return placed(made.error(), file);
  return made;
}

std::int64_t macs(const ir::QuantGraph& graph) {
  std::int64_t sum = 0;
  for (const ir::QuantNode& node : graph.nodes) sum += ir::macs(graph, node);
  return sum;
}

}  // namespace espalier::flows
