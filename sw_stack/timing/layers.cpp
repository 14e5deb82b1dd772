// Which layer a cycle belongs to, and why it was spent.

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

}  // namespace

void charge(const program::Program& program, std::span<const Shown> convs,
            std::span<const Shown> pools, Time cycles, Estimate& out) {
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
  // Of the cycles of passes, those that the network's own multiplications need.
  const double macs_a_cycle = std::pow(program.machine().lanes, 2);
  for (std::size_t l = 0; l < out.layers.size(); ++l) {
    auto& causes = out.layers[l].by_cause;
    auto& ragged = causes[static_cast<std::size_t>(Cause::kRagged)];
    const LayerEstimate& layer = out.layers[l];
    const double run =
        layer.tiles == 0 ? 1
                         : static_cast<double>(layer.tiles_run) / static_cast<double>(layer.tiles);
    const auto useful = static_cast<std::int64_t>(
        std::llround(run * static_cast<double>(std::max<std::int64_t>(program.layers[l].macs, 0)) /
                     macs_a_cycle));
    causes[static_cast<std::size_t>(Cause::kCompute)] = std::min(ragged, useful);
    ragged -= causes[static_cast<std::size_t>(Cause::kCompute)];
  }
}

}  // namespace espalier::timing
