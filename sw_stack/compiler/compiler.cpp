#include "compiler/compiler.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/arrange.hpp"
#include "compiler/constants.hpp"
#include "compiler/emit.hpp"
#include "compiler/maskable.hpp"
#include "compiler/plan.hpp"
#include "compiler/steps.hpp"

namespace espalier::compiler {
namespace {

constexpr std::size_t kMaxLayers = 4096;

class Compiler {
 public:
  Compiler(ir::QuantGraph graph, const isa::Config& config, const Options& options)
      : graph_(std::move(graph)), config_(config), options_(options) {}

  Result<program::Program> run() {
    nodes_ = fuse(graph_);
    if (nodes_.size() > kMaxLayers) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{} layers; the limit is {}", nodes_.size(), kMaxLayers),
                  graph_.name);
    }
    layout_ = lay_out(graph_, nodes_, config_.lanes);
    layout_.maskable = options_.maskable;
    windows_ = pool_windows(nodes_, layout_);
    auto planned = plan(config_);
    if (!planned) return planned.error();
    layers_ = std::move(planned->layers);
    choices_ = std::move(planned->choices);
    if (const Status s = check_sizes(); !s) return s.error();
    const program::InputLayout input = input_layout(graph_, relayed_, relay_, config_.lanes);
    place_inputs(input);
    Constants constants;
    auto arranged = arranged_with(constants);
    if (!arranged) return arranged.error();
    layers_ = std::move(arranged->layers);
    layout_ = std::move(arranged->layout);
    schedule_ = std::move(arranged->schedule);
    const Emitted& emitted = arranged->emitted;

    program::Program program;
    program.config = config_;
    program.config.hash = isa::config_hash(config_);
    encode(emitted, program);
    program.activation_bytes = arranged->activation_bytes;
    program.input = input;
    program.input_bytes = static_cast<std::uint32_t>(
        program::further_inputs(graph_, program.input, config_.lanes).back());
    for (const Root& root : layout_.roots) {
      if (root.is_output) program.output_bytes = static_cast<std::uint32_t>(bytes_of(root));
    }
    place(emitted, program);
    describe(program);
    if (options_.maskable) {
      auto maskable = describe_masks(graph_, layers_, layout_, constants, config_);
      if (!maskable) return maskable.error();
      program.maskable = std::move(maskable).value();
    }
    program.constants = std::move(constants.bytes);
    program.graph = std::move(graph_);
    constants_ = std::move(constants);
    if (const Status s = program::verify(program, config_); !s) return s.error();
    return program;
  }

  /// Puts the scales of a graph, rewritten, into the program that run() made.
  void rescale(ir::QuantGraph graph, program::Program& program) {
    graph_ = std::move(graph);
    put_scales(graph_, layers_, layout_, constants_.places, program.constants);
    program.instructions.clear();
    encode(emit(graph_, layers_, layout_, schedule_, constants_, config_, how_.room), program);
    program.graph = std::move(graph_);
  }

 private:
  static void encode(const Emitted& emitted, program::Program& program) {
    for (const isa::Instruction& instruction : emitted.instructions)
      isa::encode(instruction, program.instructions);
  }

  /// Instructions, and the constants that they read: the fastest that the timing model finds, or
  /// where refines() says so those of the tiles as they are.
  Result<Arranged> arranged_with(Constants& constants) {
    const Fixed fixed{graph_, config_, layout_, windows_, constants};
    const auto make = [&]() -> Status {
      auto made = make_constants(graph_, layers_, layout_, config_, options_);
      if (!made) return made.error();
      constants = std::move(*made);
      return {};
    };
    if (const Status s = make(); !s) return s.error();
    // Under a mask pools that are spread out further are faster, whatever it is without one.
    Arrangement how{{options_.maskable, options_.maskable}, {}};
    if (refines()) {
      for (std::size_t l = 0; l < layers_.size(); ++l) {
        if (constants.places[l].sparse) choices_[l] = {};  // its streams are cut by its tiles
      }
      const Planner less = [&](const isa::Config& machine) {
        return plan_less(machine, constants);
      };
      const auto best = refine(fixed, choices_, less, how, layers_);
      if (!best) return best.error();
      how = *best;
      if (const Status s = make(); !s) return s.error();
      if (constants.any_sparse()) how.room = {};
    }
    how_ = how;
    return arrange(fixed, layers_, how);
  }

  /// Tiles as for a machine of less memory; sparse layers keep theirs.
  [[nodiscard]] std::optional<Planned> plan_less(const isa::Config& machine,
                                                 const Constants& constants) {
    const bool rings =
        machine.weight_words < config_.weight_words || machine.param_blocks < config_.param_blocks;
    // Pools have their part of the buffer where layers planned together do not look.
    if (constants.any_sparse() && (rings || !windows_.empty())) return std::nullopt;
    auto planned = plan(machine);
    if (!planned) return std::nullopt;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (!constants.places[l].sparse) continue;
      planned->layers[l] = layers_[l];
      planned->choices[l] = {};
    }
    return std::move(*planned);
  }

  [[nodiscard]] bool refines() const {
    double cycles = 0;
    for (const Layer& layer : layers_) cycles += layer.is_pool() ? 0 : layer.cycles();
    return options_.refine && options_.vary == 0 && config_.timing_model && cycles <= kMostRefined;
  }

  /// The first layer that is planned as layer `l` is; `l` where none before it is.
  [[nodiscard]] static std::size_t twin(const std::vector<Layer>& layers, std::size_t l,
                                        int budget) {
    const auto same = [&](const Layer& other) {
      return !other.is_pool() && other.conv_plan.budget == budget && other.conv == layers[l].conv;
    };
    const auto end = layers.begin() + static_cast<std::ptrdiff_t>(l);
    return static_cast<std::size_t>(std::find_if(layers.begin(), end, same) - layers.begin());
  }

  [[nodiscard]] std::int64_t bytes_of(const Root& root) const {
    return std::int64_t{root.blocks} * root.h * root.w * config_.lanes;
  }

  void place_inputs(const program::InputLayout& input) {
    const auto offsets = program::further_inputs(graph_, input, config_.lanes);
    for (std::size_t i = 0; i < graph_.more_inputs.size(); ++i) {
      at(layout_.roots, at(layout_.spots, graph_.more_inputs[i]).root).offset =
          static_cast<std::uint32_t>(offsets[i]);
    }
  }

  /// Chooses geometry and tiles of every layer, as for a machine of these sizes.
  Result<Planned> plan(const isa::Config& machine) {
    Planned out;
    auto& layers = out.layers;
    auto& choices = out.choices;
    // The pools' part of the activation buffer, and what is left for convolutions beside them.
    std::vector<int> budget(nodes_.size(), machine.act_words);  // by position among convolutions
    layers.resize(nodes_.size());
    choices.resize(nodes_.size());
    for (std::size_t l = 0; l < nodes_.size(); ++l) {
      layers[l].nodes = nodes_[l];
      layers[l].name = name_of(nodes_[l]);
    }
    for (const PoolWindow& window : windows_) {
      Layer& layer = at(layers, window.layer);
      const auto geometry = pool_geometry(graph_, layout_, layer.nodes);
      if (!geometry) return geometry.error();
      layer.pool = *geometry;
      const int least = pool_least_words(layer.pool);
      const int part =
          std::max({machine.act_words / 8, std::min(2 * least, machine.act_words / 2), least});
      const int base = std::max(0, machine.act_words - part);
      auto plans = plan_pool(layer.pool, machine, base, options_, layer.name);
      if (!plans) return plans.error();
      layer.pool_plan = plans->front();
      at(choices, window.layer).pool = std::move(*plans);
      for (int c = window.from; c <= window.to; ++c) at(budget, c) = std::min(at(budget, c), base);
    }
    int position = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (layers[l].is_pool()) continue;
      if (const Status s = plan_layer(l, at(budget, position++), machine, out); !s)
        return s.error();
    }
    return out;
  }

  Status plan_layer(std::size_t l, int budget, const isa::Config& machine, Planned& out) {
    Layer& layer = out.layers[l];
    const auto readers = consumers(graph_);
    if (layer.nodes.input == graph_.input && at(readers, graph_.input).size() == 1 &&
        &machine == &config_) {
      const auto relay = choose_relay(graph_, layout_, layer.nodes, config_, budget, options_);
      if (!relay) return relay.error();
      relay_ = *relay;
      if (relay_.active()) relayed_ = &nodes_[l];
    }
    const Relay relay = relayed_ == &nodes_[l] ? relay_ : Relay{};
    const auto geometry = conv_geometry(graph_, layout_, layer.nodes, config_.lanes, relay);
    if (!geometry) return geometry.error();
    layer.conv = *geometry;
    if (const std::size_t p = twin(out.layers, l, budget); p < l && options_.vary == 0) {
      layer.conv_plan = out.layers[p].conv_plan;
      out.choices[l] = out.choices[p];
      layer.chunks = out.layers[p].chunks;
      return {};
    }
    Options options = options_;
    if (options.vary != 0) options.vary += l * 7919;
    auto plans = plan_choices(layer.conv, machine, budget, options, layer.name);
    if (!plans) return plans.error();
    layer.conv_plan = plans->front();
    out.choices[l].conv = std::move(*plans);
    layer.chunks = chunks(layer.conv, layer.conv_plan);
    return {};
  }

  [[nodiscard]] Status check_sizes() const {
    for (const Root& root : layout_.roots) {
      if (bytes_of(root) > program::kRegionLimit) {
        return fail(
            ErrorCode::kCapacity,
            fmt::format("takes {} bytes; a region has {}", bytes_of(root), program::kRegionLimit),
            "tensor '" + at(graph_.tensors, root.tensor).name + "'");
      }
    }
    return {};
  }

  [[nodiscard]] static int last_node(const LayerNodes& nodes) {
    if (nodes.pool >= 0) return nodes.pool;
    if (nodes.gap >= 0) return nodes.gap;
    return nodes.add >= 0 ? nodes.add : nodes.conv;
  }
  [[nodiscard]] std::string name_of(const LayerNodes& nodes) const {
    return at(graph_.nodes, last_node(nodes)).name;
  }

  /// Notes where tensors lie whose channels have no gaps, and from which STORE on.
  void place(const Emitted& emitted, program::Program& program) const {
    for (std::size_t t = 0; t < layout_.spots.size(); ++t) {
      const Spot& spot = layout_.spots[t];
      if (spot.root < 0 || spot.strided() || !spot.channels.canonical()) continue;
      const Root& root = at(layout_.roots, spot.root);
      if (root.is_input) continue;
      program::Placement placement;
      placement.tensor = static_cast<int>(t);
      placement.region = root.is_output ? isa::Region::kOutput : isa::Region::kActivations;
      placement.offset = root.offset + static_cast<std::uint32_t>(std::int64_t{spot.block} *
                                                                  root.h * root.w * config_.lanes);
      for (const Write& write : at(schedule_.writes, spot.root)) {
        if (write.blocks.high <= spot.block ||
            write.blocks.low >= spot.block + spot.channels.blocks)
          continue;
        const int step = at(at(schedule_.global, write.layer), write.step);
        placement.stores = std::max(placement.stores, at(emitted.stores, step));
      }
      program.placements.push_back(placement);
    }
    std::stable_sort(program.placements.begin(), program.placements.end(),
                     [](const auto& a, const auto& b) { return a.stores < b.stores; });
  }

  void describe(program::Program& program) const {
    for (const Layer& layer : layers_) {
      program::Layer out;
      out.name = layer.name;
      out.nodes = layer.nodes.nodes;
      if (layer.is_pool()) {
        out.op = ir::op_name(at(graph_.nodes, layer.nodes.pool).op);
        out.tile = {layer.pool_plan.rows, layer.pool_plan.cols, layer.pool_plan.blocks, 1};
      } else {
        out.op = "conv";
        if (layer.nodes.add >= 0) {
          const bool gate = layer.nodes.product(graph_);
          out.op += gate ? "+gate" : layer.conv.add ? "+add" : "+rescale";
        }
        if (layer.conv.gap) out.op += layer.nodes.product(graph_) ? "+score" : "+gap";
        out.macs = program::macs(graph_, out);
        out.tile = {layer.conv_plan.rows, layer.conv_plan.cols, layer.conv_plan.nb,
                    layer.conv_plan.kc};
      }
      program.layers.push_back(std::move(out));
    }
  }

  ir::QuantGraph graph_;
  isa::Config config_;
  Options options_;
  std::vector<LayerNodes> nodes_;
  Layout layout_;
  std::vector<PoolWindow> windows_;
  std::vector<Layer> layers_;
  std::vector<Choices> choices_;  // of each layer's tiles
  Relay relay_;
  const LayerNodes* relayed_ = nullptr;  // in nodes_
  Schedule schedule_;
  Arrangement how_;
  Constants constants_;  // its bytes are the program's
};

}  // namespace

Result<program::Program> compile(const ir::QuantGraph& graph, const isa::Config& config,
                                 const Options& options) {
  if (const Status s = ir::verify(graph); !s) return s.error();
  auto rewritten = rewrite(graph, config.lanes);
  if (!rewritten) return rewritten.error();
  return Compiler(std::move(*rewritten), config, options).run();
}

struct Rescalable::Impl {
  Compiler compiler;
  int lanes;
  program::Program program;
};

Result<Rescalable> Rescalable::compile(const ir::QuantGraph& graph, const isa::Config& config,
                                       const Options& options) {
  if (const Status s = ir::verify(graph); !s) return s.error();
  auto rewritten = rewrite(graph, config.lanes);
  if (!rewritten) return rewritten.error();
  auto impl = std::make_unique<Impl>(
      Impl{Compiler(std::move(*rewritten), config, options), config.lanes, {}});
  auto program = impl->compiler.run();
  if (!program) return program.error();
  impl->program = std::move(*program);
  return Rescalable(std::move(impl));
}

Rescalable::Rescalable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rescalable::~Rescalable() = default;
Rescalable::Rescalable(Rescalable&&) noexcept = default;
Rescalable& Rescalable::operator=(Rescalable&&) noexcept = default;

const program::Program& Rescalable::program() const { return impl_->program; }

Status Rescalable::rescale(const ir::QuantGraph& graph) {
  auto rewritten = rewrite(graph, impl_->lanes);
  if (!rewritten) return rewritten.error();
  ESP_CHECK(rewritten->nodes.size() == impl_->program.graph.nodes.size());
  impl_->compiler.rescale(std::move(*rewritten), impl_->program);
  return {};
}

}  // namespace espalier::compiler
