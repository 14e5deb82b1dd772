#include "compiler/plan_layers.hpp"

#include <algorithm>

namespace espalier::compiler {
namespace {

/// The first layer that is planned as layer `l` is; `l` where none before it is.
std::size_t twin(const std::vector<Layer>& layers, std::size_t l, int budget) {
  const auto same = [&](const Layer& other) {
    return !other.is_pool() && other.conv_plan.budget == budget && other.conv == layers[l].conv;
  };
  const auto end = layers.begin() + static_cast<std::ptrdiff_t>(l);
  return static_cast<std::size_t>(std::find_if(layers.begin(), end, same) - layers.begin());
}

std::string name_of(const ir::QuantGraph& graph, const LayerNodes& nodes) {
  int last = nodes.pool;
  for (const int node : {nodes.gap, nodes.add, nodes.conv}) last = last >= 0 ? last : node;
  return at(graph.nodes, last).name;
}

Status plan_pools(const State& state, const isa::Config& machine, const Budgets& budgets,
                  Planned& out) {
  for (std::size_t w = 0; w < state.windows.size(); ++w) {
    const int l = state.windows[w].layer;
    Layer& layer = at(out.layers, l);
    const auto geometry = pool_geometry(state.graph, state.layout, layer.nodes);
    if (!geometry) return geometry.error();
    layer.pool = *geometry;
    auto plans = plan_pool(layer.pool, machine, budgets.pool_base[w], state.options, layer.name);
    if (!plans) return plans.error();
    layer.pool_plan = plans->front();
    at(out.choices, l).pool = std::move(*plans);
  }
  return {};
}

/// What an environment leaves out of a layer's convolution; none where its weights all stay.
std::optional<Leaves> switched(const State& state, const LayerNodes& nodes) {
  if (!state.options.switched || nodes.is_pool()) return std::nullopt;
  const auto found = state.options.switched->find(at(state.graph.nodes, nodes.conv).name);
  if (found == state.options.switched->end()) return std::nullopt;
  return found->second;
}

/// Adds a fine layer's cheapest tiles as a whole one: where memory bounds it, that may be faster.
void add_whole(const Layer& layer, const isa::Config& machine, int budget, const Options& options,
               std::vector<ConvPlan>& plans) {
  constexpr std::size_t kMost = 4;
  ConvGeometry whole = layer.conv;
  whole.fine = false;
  auto more = plan_choices(whole, machine, budget, options, layer.name);
  if (!more) return;
  if (more->size() > kMost) more->resize(kMost);
  plans.insert(more->front().cycles < plans.front().cycles ? plans.begin() : plans.end(),
               more->begin(), more->end());
}

Status plan_one(const State& state, const isa::Config& machine, std::size_t l, int budget,
                Planned& out) {
  Layer& layer = out.layers[l];
  const Relay relay = state.relayed == static_cast<int>(l) ? state.relay : Relay{};
  const auto geometry =
      conv_geometry(state.graph, state.layout, layer.nodes, state.config.lanes, relay);
  if (!geometry) return geometry.error();
  layer.conv = *geometry;
  layer.conv.fine = !state.fine.empty() && state.fine[l];
  layer.conv.switched = !layer.conv.diagonal && switched(state, layer.nodes).has_value();
  if (const std::size_t p = twin(out.layers, l, budget); p < l && state.options.vary == 0) {
    layer.conv_plan = out.layers[p].conv_plan;
    out.choices[l] = out.choices[p];
    layer.chunks = out.layers[p].chunks;
    return {};
  }
  Options options = state.options;
  if (options.vary != 0) options.vary += l * 7919;
  auto plans = plan_choices(layer.conv, machine, budget, options, layer.name);
  if (!plans) return plans.error();
  if (layer.conv.fine && options.vary == 0) add_whole(layer, machine, budget, options, *plans);
  layer.conv_plan = plans->front();
  out.choices[l].conv = std::move(*plans);
  layer.chunks = chunks(layer.conv, layer.conv_plan);
  return {};
}

}  // namespace

Result<Budgets> share_buffer(const State& state, const isa::Config& machine) {
  Budgets out;
  out.conv.assign(state.nodes.size(), machine.act_words);
  for (const PoolWindow& window : state.windows) {
    const auto pool = pool_geometry(state.graph, state.layout, at(state.nodes, window.layer));
    if (!pool) return pool.error();
    const int least = pool_least_words(*pool);
    const int part =
        std::max({machine.act_words / 8, std::min(2 * least, machine.act_words / 2), least});
    const int base = std::max(0, machine.act_words - part);
    out.pool_base.push_back(base);
    for (int c = window.from; c <= window.to; ++c)
      at(out.conv, c) = std::min(at(out.conv, c), base);
  }
  return out;
}

Status choose_lanes(State& state) {
  const auto readers = consumers(state.graph);
  if (at(readers, state.graph.input).size() != 1) return {};
  const auto budgets = share_buffer(state, state.config);
  if (!budgets) return budgets.error();
  int position = 0;
  for (std::size_t l = 0; l < state.nodes.size(); ++l) {
    const LayerNodes& nodes = state.nodes[l];
    if (nodes.is_pool()) continue;
    const int budget = at(budgets->conv, position++);
    if (nodes.input != state.graph.input) continue;
    const auto relay =
        choose_relay(state.graph, state.layout, nodes, state.config, budget, state.options);
    if (!relay) return relay.error();
    state.relay = *relay;
    if (relay->active()) state.relayed = static_cast<int>(l);
  }
  return {};
}

Result<std::vector<bool>> fine_layers(const State& state) {
  std::vector<bool> out(state.nodes.size(), false);
  if (state.config.fine == 0 || state.options.maskable || !state.options.fine) return out;
  for (std::size_t l = 0; l < state.nodes.size(); ++l) {
    if (state.nodes[l].is_pool()) continue;
    const Relay relay = state.relayed == static_cast<int>(l) ? state.relay : Relay{};
    auto geometry =
        conv_geometry(state.graph, state.layout, state.nodes[l], state.config.lanes, relay);
    if (!geometry) return geometry.error();
    double passes = geometry->passes(geometry->kb);
    geometry->fine = !geometry->diagonal;
    if (!geometry->fine || geometry->passes(geometry->kb) >= passes) continue;
    if (const auto leaves = switched(state, state.nodes[l])) {
      out[l] = *leaves == Leaves::kTwoOfFour &&
               fours_stay(state.graph, state.layout, state.nodes[l], *geometry, state.config.lanes);
      continue;
    }
    if (!two_of_four(state.graph, state.layout, state.nodes[l], *geometry, state.config.lanes)) {
      continue;
    }
    // Tiles of zeros may be left out instead.
    if (state.config.mask_layers > 0 && !state.options.dense_tiles) {
      passes *=
          live_tiles(state.graph, state.layout, state.nodes[l], *geometry, state.config.lanes);
    }
    out[l] = geometry->passes(geometry->kb) < passes;
  }
  return out;
}

Result<Planned> plan_layers(const State& state, const isa::Config& machine) {
  const auto budgets = share_buffer(state, machine);
  if (!budgets) return budgets.error();
  Planned out;
  out.layers.resize(state.nodes.size());
  out.choices.resize(state.nodes.size());
  for (std::size_t l = 0; l < state.nodes.size(); ++l) {
    out.layers[l].nodes = state.nodes[l];
    out.layers[l].name = name_of(state.graph, state.nodes[l]);
  }
  if (const Status s = plan_pools(state, machine, *budgets, out); !s) return s.error();
  int position = 0;
  for (std::size_t l = 0; l < out.layers.size(); ++l) {
    if (out.layers[l].is_pool()) continue;
    const int budget = at(budgets->conv, position++);
    if (const Status s = plan_one(state, machine, l, budget, out); !s) return s.error();
  }
  return out;
}

}  // namespace espalier::compiler
