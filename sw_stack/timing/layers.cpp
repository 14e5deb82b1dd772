// Which layer a cycle belongs to, and why it was spent.

#include <algorithm>
#include <cmath>

#include "timing/model.hpp"

namespace espalier::timing {
namespace {

/// Collects stretches of time in order; what lies between two goes to the layer shown last.
class Clock {
 public:
  explicit Clock(Estimate& out) : out_(out) {}
  /// The cycles up to `time` that nobody has yet, to the layer shown last.
  void idle(Time time) {
    if (time <= at_) return;
    pending_ += time - at_;
    at_ = time;
  }
  void show(std::uint32_t layer) {
    if (!shown_) layer_ = layer;  // what came before the first layer is its own
    settle();
    layer_ = layer;
    shown_ = true;
  }
  void spend(Cause cause, Time cycles) {
    add(cause, cycles);
    at_ += cycles;
  }
  void settle() {
    add(Cause::kStartEnd, pending_);
    pending_ = 0;
  }
  [[nodiscard]] Time at() const { return at_; }

 private:
  void add(Cause cause, Time cycles) {
    LayerEstimate& layer = out_.layers[layer_];
    layer.cycles += cycles;
    layer.by_cause[static_cast<std::size_t>(cause)] += cycles;
  }
  Estimate& out_;
  Time at_ = 0, pending_ = 0;
  std::uint32_t layer_ = 0;
  bool shown_ = false;
};

/// Whether a convolution of the layer has weights that are none of the network's.
bool has_ranges(const ir::QuantGraph& graph, const program::Layer& layer) {
  return std::ranges::any_of(layer.nodes, [&](int node) {
    const auto* conv = std::get_if<ir::QuantConv>(&graph.nodes[static_cast<std::size_t>(node)].op);
    return conv != nullptr && !conv->reads.empty();
  });
}

}  // namespace

void charge(std::span<const Shown> convs, std::span<const Shown> pools, Time cycles,
            Estimate& out) {
  out.cycles = cycles;
  Clock clock(out);
  std::size_t pool = 0;
  // Pools show where no convolution does.
  const auto gap = [&](Time until) {
    while (pool < pools.size() && pools[pool].end <= clock.at()) ++pool;
    for (std::size_t p = pool; p < pools.size() && pools[p].begin < until; ++p) {
      clock.idle(std::min(pools[p].begin, until));
      const Time end = std::min(pools[p].end, until);
      if (end <= clock.at()) continue;
      clock.show(pools[p].layer);
      clock.spend(Cause::kPool, end - clock.at());
    }
    clock.idle(until);
  };
  for (const Shown& conv : convs) {
    gap(conv.begin);
    clock.show(conv.layer);
    clock.spend(Cause::kRagged, conv.fed + conv.spare);
    clock.spend(Cause::kWeights, conv.weights);
    clock.spend(Cause::kPost, conv.post);
    clock.spend(Cause::kActivations, conv.activations);
    clock.spend(Cause::kStartEnd, std::max<Time>(0, conv.end - clock.at()));
  }
  gap(cycles);
  clock.settle();
}

void charge_compute(const program::Program& program, const ir::ChannelMask& live, Estimate& out) {
  const double macs_a_cycle = std::pow(program.machine().lanes, 2);
  for (std::size_t l = 0; l < out.layers.size(); ++l) {
    const program::Layer& layer = program.layers[l];
    const LayerEstimate& own = out.layers[l];
    // Zero weights that are skipped are work that isn't done; those outside groups never were.
    const bool skips = own.tiles > 0 && !has_ranges(program.graph, layer);
    const double run =
        skips ? static_cast<double>(own.tiles_run) / static_cast<double>(own.tiles) : 1;
    const auto macs = static_cast<double>(program::macs(program.graph, layer, live));
    auto& causes = out.layers[l].by_cause;
    auto& ragged = causes[static_cast<std::size_t>(Cause::kRagged)];
    const std::int64_t useful =
        std::min<std::int64_t>(ragged, std::llround(run * macs / macs_a_cycle));
    causes[static_cast<std::size_t>(Cause::kCompute)] = useful;
    ragged -= useful;
  }
}

}  // namespace espalier::timing
