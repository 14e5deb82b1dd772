#include "compiler/passes.hpp"

#include <fmt/format.h>

#include <array>

#include "compiler/assemble.hpp"
#include "compiler/dump.hpp"
#include "compiler/plan_layers.hpp"

namespace espalier::compiler {
namespace {

constexpr std::size_t kMaxLayers = 4096;

Status rewrite_graph(State& s) {
  if (const Status status = ir::verify(*s.given); !status) return status;
  auto graph = rewrite(*s.given, s.config.lanes);
  if (!graph) return graph.error();
  s.graph = std::move(*graph);
  return {};
}

Status fuse_nodes(State& s) {
  s.nodes = fuse(s.graph);
  if (s.nodes.size() <= kMaxLayers) return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} layers; the limit is {}", s.nodes.size(), kMaxLayers), s.graph.name);
}

Status lay_out_tensors(State& s) {
  s.layout = lay_out(s.graph, s.nodes, s.config.lanes);
  s.layout.maskable = s.options.maskable;
  s.windows = pool_windows(s.nodes, s.layout);
  for (const Root& root : s.layout.roots) {
    if (bytes_of(root, s.config.lanes) <= program::kRegionLimit) continue;
    return fail(ErrorCode::kCapacity,
                fmt::format("takes {} bytes; a region has {}", bytes_of(root, s.config.lanes),
                            program::kRegionLimit),
                "tensor '" + at(s.graph.tensors, root.tensor).name + "'");
  }
  return {};
}

Status lay_out_input(State& s) {
  if (const Status status = choose_lanes(s); !status) return status;
  const LayerNodes* reader = s.relayed < 0 ? nullptr : &at(s.nodes, s.relayed);
  s.input = input_layout(s.graph, reader, s.relay, s.config.lanes);
  const auto offsets = program::further_inputs(s.graph, s.input, s.config.lanes);
  for (std::size_t i = 0; i < s.graph.more_inputs.size(); ++i) {
    at(s.layout.roots, at(s.layout.spots, s.graph.more_inputs[i]).root).offset =
        static_cast<std::uint32_t>(offsets[i]);
  }
  return {};
}

Status plan(State& s) {
  auto fine = fine_layers(s);
  if (!fine) return fine.error();
  s.fine = std::move(*fine);
  auto planned = plan_layers(s, s.config);
  if (!planned) return planned.error();
  s.layers = std::move(planned->layers);
  s.choices = std::move(planned->choices);
  return {};
}

Status put_constants(State& s) {
  auto made = make_constants(s.graph, s.layers, s.layout, s.config, s.options);
  if (!made) return made.error();
  s.constants = std::move(*made);
  return {};
}

/// Tiles as for a machine of less memory; sparse layers keep theirs.
std::optional<Planned> plan_less(const State& s, const isa::Config& machine) {
  const bool rings =
      machine.weight_words < s.config.weight_words || machine.param_blocks < s.config.param_blocks;
  // Pools have their part of the buffer where layers planned together do not look.
  if (s.constants.any_sparse() && (rings || !s.windows.empty())) return std::nullopt;
  auto planned = plan_layers(s, machine);
  if (!planned) return std::nullopt;
  for (std::size_t l = 0; l < s.layers.size(); ++l) {
    if (!s.constants.places[l].sparse) continue;
    planned->layers[l] = s.layers[l];
    planned->choices[l] = {};
  }
  return std::move(*planned);
}

bool refines(const State& s) {
  double cycles = 0;
  for (const Layer& layer : s.layers) cycles += layer.is_pool() ? 0 : layer.cycles();
  return s.options.refine && s.options.vary == 0 && s.config.timing_model && cycles <= kMostRefined;
}

Status search(State& s) {
  // Under a mask pools that are spread out further are faster, whatever it is without one.
  s.how = {{s.options.maskable, s.options.maskable}, {}};
  if (!refines(s)) return {};
  for (std::size_t l = 0; l < s.layers.size(); ++l) {
    if (s.constants.places[l].sparse) s.choices[l] = {};  // its streams are cut by its tiles
  }
  const Fixed fixed{s.graph, s.config, s.layout, s.windows, s.constants};
  const Planner less = [&s](const isa::Config& machine) { return plan_less(s, machine); };
  const auto best = refine(fixed, s.choices, less, s.how, s.layers);
  if (!best) return best.error();
  s.how = *best;
  if (const Status status = put_constants(s); !status) return status;
  if (s.constants.any_sparse()) s.how.room = {};
  return {};
}

Status put_in_order(State& s) {
  s.schedule = make_steps(s.layers, s.layout, s.config);
  merge_order(s.layers, s.windows, s.how.order, s.schedule);
  return {};
}

Status give_addresses(State& s) {
  const auto bytes = allocate(s.schedule, s.config.lanes, s.layout);
  if (!bytes) return bytes.error();
  s.activation_bytes = *bytes;
  return {};
}

Status emit_instructions(State& s) {
  s.emitted = emit(s.graph, s.layers, s.layout, s.schedule, s.constants, s.config, s.how.room);
  return {};
}

constexpr std::array kPasses = {
    Pass{"rewrite", "copies, where the machine needs them", rewrite_graph, dump_graph},
    Pass{"fuse", "nodes to layers", fuse_nodes, dump_nodes},
    Pass{"layout", "tensors to pieces of memory, pools to windows of layers", lay_out_tensors,
         dump_layout},
    Pass{"relay", "lanes of the input", lay_out_input, dump_input},
    Pass{"plan", "tiles of each layer, by its costs", plan, dump_tiles},
    Pass{"constants", "weights, parameters, tables", put_constants, dump_constants},
    Pass{"refine", "tiles and order of the whole program, by the timing model", search, dump_tiles},
    Pass{"order", "steps of all layers, one after the other", put_in_order, dump_order},
    Pass{"memory", "addresses of tensors", give_addresses, dump_layout},
    Pass{"emit", "instructions", emit_instructions, dump_instructions},
    Pass{"program", "the program, checked", assemble, dump_program},
};

}  // namespace

std::span<const Pass> passes() { return kPasses; }

}  // namespace espalier::compiler
