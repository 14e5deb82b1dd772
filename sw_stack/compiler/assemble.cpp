#include "compiler/assemble.hpp"

#include <algorithm>

#include "compiler/maskable.hpp"

namespace espalier::compiler {
namespace {

/// Notes where tensors lie whose channels have no gaps, and from which STORE on.
void place(const State& s, program::Program& program) {
  for (std::size_t t = 0; t < s.layout.spots.size(); ++t) {
    const Spot& spot = s.layout.spots[t];
    if (spot.root < 0 || spot.strided() || !spot.channels.canonical()) continue;
    const Root& root = at(s.layout.roots, spot.root);
    if (root.is_input) continue;
    program::Placement placement;
    placement.tensor = static_cast<int>(t);
    placement.region = root.is_output ? isa::Region::kOutput : isa::Region::kActivations;
    placement.offset = root.offset + static_cast<std::uint32_t>(std::int64_t{spot.block} * root.h *
                                                                root.w * s.config.lanes);
    for (const Write& write : at(s.schedule.writes, spot.root)) {
      if (write.blocks.high <= spot.block || write.blocks.low >= spot.block + spot.channels.blocks)
        continue;
      const int step = at(at(s.schedule.global, write.layer), write.step);
      placement.stores = std::max(placement.stores, at(s.emitted.stores, step));
    }
    program.placements.push_back(placement);
  }
  std::stable_sort(program.placements.begin(), program.placements.end(),
                   [](const auto& a, const auto& b) { return a.stores < b.stores; });
}

program::Layer describe(const ir::QuantGraph& graph, const Layer& layer) {
  program::Layer out;
  out.name = layer.name;
  out.nodes = layer.nodes.nodes;
  if (layer.is_pool()) {
    const PoolPlan& plan = layer.pool_plan;
    out.op = ir::op_name(at(graph.nodes, layer.nodes.pool).op);
    out.tile = {plan.rows, plan.cols, plan.blocks, 1};
    return out;
  }
  const ConvPlan& plan = layer.conv_plan;
  const bool product = layer.nodes.product(graph);
  out.op = "conv";
  if (layer.nodes.add >= 0) out.op += product ? "+gate" : layer.conv.add ? "+add" : "+rescale";
  if (layer.conv.gap) out.op += product ? "+score" : "+gap";
  out.macs = program::macs(graph, out);
  out.tile = {plan.rows, plan.cols, plan.nb, plan.kc};
  return out;
}

}  // namespace

void encode(State& state) {
  state.program.instructions.clear();
  for (const isa::Instruction& instruction : state.emitted.instructions)
    isa::encode(instruction, state.program.instructions);
}

Status assemble(State& state) {
  program::Program& program = state.program;
  program.config = state.config;
  program.config.hash = isa::config_hash(state.config);
  encode(state);
  program.activation_bytes = state.activation_bytes;
  program.input = state.input;
  program.input_bytes = static_cast<std::uint32_t>(
      program::further_inputs(state.graph, program.input, state.config.lanes).back());
  for (const Root& root : state.layout.roots) {
    if (root.is_output)
      program.output_bytes = static_cast<std::uint32_t>(bytes_of(root, state.config.lanes));
  }
  place(state, program);
  for (const Layer& layer : state.layers) program.layers.push_back(describe(state.graph, layer));
  if (state.options.maskable) {
    auto maskable =
        describe_masks(state.graph, state.layers, state.layout, state.constants, state.config);
    if (!maskable) return maskable.error();
    program.maskable = std::move(maskable).value();
  }
  program.constants = std::move(state.constants.bytes);
  program.graph = std::move(state.graph);
  return program::verify(program, state.config);
}

}  // namespace espalier::compiler
