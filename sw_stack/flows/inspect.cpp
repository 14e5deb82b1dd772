#include "flows/inspect.hpp"

namespace espalier::flows {
namespace {

template <typename Transfer>
std::uint64_t bytes_of(const Transfer& transfer, int lanes) {
  return std::uint64_t{transfer.x_words} * transfer.y_count * transfer.z_count *
         static_cast<std::uint64_t>(lanes);
}

std::vector<Inspection::Layer> count_layers(const program::Program& program,
                                            const std::vector<isa::Instruction>& list) {
  std::vector<Inspection::Layer> counts(program.layers.size());
  const int lanes = program.machine().lanes;
  for (const isa::Instruction& instruction : list) {
    Inspection::Layer& count = counts[isa::layer(instruction)];
    ++count.instructions;
    if (std::holds_alternative<isa::Conv>(instruction)) ++count.convs;
    if (std::holds_alternative<isa::Pool>(instruction)) ++count.pools;
    if (const auto* load = std::get_if<isa::Load>(&instruction))
      count.loaded += bytes_of(*load, lanes);
    if (const auto* store = std::get_if<isa::Store>(&instruction))
      count.stored += bytes_of(*store, lanes);
  }
  return counts;
}

}  // namespace

Result<Inspection> inspect(const std::string& program) {
  auto loaded = program::load(program);
  if (!loaded) return loaded.error();
  Inspection inspection;
  inspection.program = std::move(*loaded);
  if (inspection.program.machine().timing_model) {
    auto estimate = timing::estimate(inspection.program);
    if (!estimate) return estimate.error();
    inspection.estimate = std::move(estimate).value();
  }
  inspection.fingerprint = program::fingerprint(inspection.program);
  inspection.instructions = program::decode_all(inspection.program);
  inspection.layers = count_layers(inspection.program, inspection.instructions);
  return inspection;
}

}  // namespace espalier::flows
