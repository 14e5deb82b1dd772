#include "compiler/assemble.hpp"

#include <algorithm>

#include "compiler/maskable.hpp"

namespace espalier::compiler {
namespace {

/// Notes where tensors lie whose channels have no gaps, and from which STORE on.
std::vector<program::Placement> place(const Layout& layout, const Schedule& schedule,
                                      const Emitted& emitted, int lanes) {
  std::vector<program::Placement> out;
  for (std::size_t t = 0; t < layout.spots.size(); ++t) {
    const Spot& spot = layout.spots[t];
    if (spot.root < 0 || spot.strided() || !spot.channels.canonical()) continue;
    const Root& root = at(layout.roots, spot.root);
    if (root.is_input) continue;
    program::Placement placement;
    placement.tensor = static_cast<int>(t);
    placement.region = root.is_output ? isa::Region::kOutput : isa::Region::kActivations;
    placement.offset = root.offset + static_cast<std::uint32_t>(std::int64_t{spot.block} * root.h *
                                                                root.w * lanes);
    for (const Write& write : at(schedule.writes, spot.root)) {
      if (write.blocks.high <= spot.block || write.blocks.low >= spot.block + spot.channels.blocks)
        continue;
      const int step = at(at(schedule.global, write.layer), write.step);
      placement.stores = std::max(placement.stores, at(emitted.stores, step));
    }
    out.push_back(placement);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.stores < b.stores; });
  return out;
}

std::vector<std::uint8_t> encoded(const Emitted& emitted) {
  std::vector<std::uint8_t> bytes;
  for (const isa::Instruction& instruction : emitted.instructions) isa::encode(instruction, bytes);
  return bytes;
}

/// The same tiles and weights without an environment: nothing is left out.
Result<program::Switchable::Clean> clean(const State& s) {
  std::vector<Layer> layers = s.layers;
  Constants constants;
  constants.places = s.constants.places;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    Layer& layer = layers[l];
    constants.places[l].params = constants.places[l].clean;
    if (!layer.conv.switched) continue;
    layer.conv.switched = layer.conv.fine = layer.conv_plan.fine = false;
    for (Chunk& chunk : layer.chunks) {
      chunk.second = Second::kNone;
      chunk.shares = false;
      chunk.tile_kx = chunk.kx;
      chunk.tile_kb = chunk.kb;
    }
  }
  const Fixed fixed{s.graph, s.config, s.layout, s.windows, constants};
  const auto arranged = arrange(fixed, std::move(layers), {s.how.order, {}});
  if (!arranged) return arranged.error();
  program::Switchable::Clean out;
  out.instructions = encoded(arranged->emitted);
  out.activation_bytes = arranged->activation_bytes;
  out.placements = place(arranged->layout, arranged->schedule, arranged->emitted, s.config.lanes);
  return out;
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

/// Where the weights of the layers lie, for environments.
program::Switchable describe_switched(const State& s) {
  program::Switchable out;
  out.bytes = s.constants.environment_bytes;
  for (std::size_t l = 0; l < s.layers.size(); ++l) {
    const Layer& layer = s.layers[l];
    if (layer.is_pool()) continue;
    const ConstantPlaces& places = s.constants.places[l];
    auto& described = out.layers.emplace_back();
    described.node = layer.nodes.conv;
    described.bits = layer.conv.switched;
    described.bits_at = places.bits;
    described.params_at = places.params;
    described.order = weight_order(layer);
    described.rows = made(s.graph, s.layout, layer.nodes).lane;
    if (!described.bits) continue;
    for (const int place :
         weight_places(s.graph, s.layout, layer.nodes, layer.conv, s.config.lanes)) {
      const auto offset = static_cast<std::uint32_t>(place);
      if (described.runs.empty() ||
          described.runs.back().offset + described.runs.back().size != offset)
        described.runs.push_back({offset, 0});
      ++described.runs.back().size;
    }
  }
  return out;
}

}  // namespace

void encode(State& state) { state.program.instructions = encoded(state.emitted); }

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
  program.placements = place(state.layout, state.schedule, state.emitted, state.config.lanes);
  for (const Layer& layer : state.layers) program.layers.push_back(describe(state.graph, layer));
  if (state.options.maskable) {
    auto maskable =
        describe_masks(state.graph, state.layers, state.layout, state.constants, state.config);
    if (!maskable) return maskable.error();
    program.maskable = std::move(maskable).value();
  }
  if (state.constants.switchable) {
    program.switchable = describe_switched(state);
    auto without = clean(state);
    if (!without) return without.error();
    program.switchable->clean = std::move(*without);
  }
  program.constants = std::move(state.constants.bytes);
  program.graph = std::move(state.graph);
  return program::verify(program, state.config);
}

}  // namespace espalier::compiler
