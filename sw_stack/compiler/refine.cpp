// The search over whole programs, judged by the timing model.

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "compiler/arrange.hpp"
#include "compiler/thin.hpp"
#include "timing/timing.hpp"

namespace espalier::compiler {
namespace {

/// The most work of the timing model, in cycles of what it judges and in programs: of all, of
/// climbs from thin machines, and of the parts of programs.
constexpr double kMostCycles = 3 * kMostRefined, kMostThinCycles = 2e7, kMostPartCycles = 4e7;
constexpr int kMostPrograms = 240, kMostParts = 120;
/// Where there is room for fewer climbs from thin machines, there are none.
constexpr int kLeastThin = 4;
/// Of the costs with fewer blocks, beside the cycles of all of them.
constexpr double kMaskShare = 0.5;
/// A layer is looked at together with so many before and after it.
constexpr int kBefore = 3, kAfter = 2;
/// Cycles that a layer waits, of all: less is not looked at alone.
constexpr std::int64_t kLeastWait = 60, kWaitShare = 20000;

constexpr double kNever = std::numeric_limits<double>::infinity();

/// Cycles in which the array waits.
std::int64_t waits(const timing::LayerEstimate& layer) {
  const auto of = [&](timing::Cause cause) {
    return layer.by_cause[static_cast<std::size_t>(cause)];
  };
  return layer.cycles - of(timing::Cause::kCompute) - of(timing::Cause::kRagged);
}

class Refiner {
 public:
  Refiner(const Fixed& fixed, std::vector<Choices> choices, const Planner& less,
          const Arrangement& start)
      : fixed_(fixed), choices_(std::move(choices)), less_(less), start_(start) {
    probe_.config = fixed.config;
    probe_.constants = fixed.constants.bytes;
  }

  /// Climbs from the layers as they are, and from those for less memory.
  Result<Arrangement> run(std::vector<Layer>& layers) {
    probe_.layers.resize(layers.size());
    if (const Status status = climb(layers, {}); !status) return status.error();
    Found best = found_;
    isa::Config half = fixed_.config;
    half.act_words /= 2;
    climb_from(half, {}, best);
    const auto cycles = static_cast<double>(best.times.cycles);
    if (kLeastThin * kMostPrograms * cycles <= kMostThinCycles) {
      most_ = std::min(most_, work_ + kMostThinCycles);
      for (const unsigned less : kThin) {
        climb_from(thin(fixed_.config, less), thin_room(less), best);
      }
    }
    layers = std::move(best.arranged.layers);
    return best.how;
  }

 private:
  struct Found {
    Arranged arranged;
    Arrangement how;
    timing::Estimate times;
    double value = 0;
  };

  /// Climbs with what a machine of less memory has to choose from: its programs are programs for
  /// this one. The choices are its own alone, so that one with more memory finds the same again.
  void climb_from(const isa::Config& machine, const RingRoom& room, Found& best) {
    programs_ = 0;
    if (exhausted()) return;
    auto planned = less_(machine);
    if (!planned) return;
    choices_ = std::move(planned->choices);
    const std::pair start{choices_, room};
    if (std::ranges::find(starts_, start) != starts_.end()) return;
    starts_.push_back(start);
    if (climb(planned->layers, room).ok() && found_.value < best.value) best = found_;
  }

  [[nodiscard]] RingRoom thin_room(unsigned less) const {
    const isa::Config machine = thin(fixed_.config, less);
    RingRoom room;
    if (fixed_.layout.maskable) return room;
    if ((less & kLessWeights) != 0) room.weight_words = machine.weight_words;
    if ((less & kLessParameters) != 0) room.param_blocks = machine.param_blocks;
    return room;
  }

  Status climb(const std::vector<Layer>& layers, const RingRoom& room) {
    const Arrangement how{start_.order, room};
    programs_ = 0;
    auto first = arrange(fixed_, layers, how);
    if (!first) return first.error();
    found_ = {std::move(*first), how, {}, kNever};
    auto estimate = judge(found_.arranged);
    if (!estimate) return {};  // the caller's own estimate says why
    found_.value = value(*estimate, found_.arranged.layers);
    found_.times = std::move(*estimate);
    if (!fixed_.windows.empty() && !fixed_.layout.maskable) orders();
    waiting_layers();
    const int sixteenth = fixed_.config.weight_words / 16;
    rings({Hold::kOrder}, sixteenth);
    caps();
    do {
      while (each_layer()) {
      }
    } while (!fixed_.layout.maskable && rings({Hold::kOrder, Hold::kWhole, Hold::kFirst},
                                              std::min(sixteenth, 2 * fixed_.config.lanes)));
    return {};
  }

  [[nodiscard]] std::optional<timing::Estimate> judge(const Arranged& arranged) {
    auto estimate = timing::estimate(probe_, arranged.emitted.instructions, fixed_.config);
    if (!estimate) return std::nullopt;
    work_ += static_cast<double>(estimate->cycles);
    ++programs_;
    return std::move(*estimate);
  }
  [[nodiscard]] bool exhausted() const {
    return work_ + static_cast<double>(found_.times.cycles) > most_ || programs_ >= kMostPrograms;
  }

  /// Keeps the program if it is faster.
  bool offer(std::vector<Layer> layers, const Arrangement& how) {
    const auto held = [&](const Layer& layer) { return holds(layer.conv_plan, how.room); };
    if (exhausted() || !std::ranges::all_of(layers, held)) return false;
    const auto [known, added] = known_.try_emplace(program_key(layers, how), 0.0);
    if (!added && known->second >= found_.value) return false;
    auto arranged = arrange(fixed_, std::move(layers), how);
    if (!arranged) return false;
    auto estimate = judge(*arranged);
    known->second = estimate ? value(*estimate, arranged->layers) : kNever;
    if (known->second >= found_.value) return false;
    found_ = {std::move(*arranged), how, std::move(*estimate), known->second};
    return true;
  }

  void orders() {
    for (const Order order : {Order{true, true}, Order{true, false}, Order{false, true}}) {
      Arrangement other = found_.how;
      other.order = order;
      offer(found_.arranged.layers, other);
    }
  }

  /// Other tiles for the layers that wait longest and for those before them, judged by the part of
  /// the program around them; then all of them together by the whole.
  void waiting_layers() {
    std::vector<int> order(choices_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto wait = [&](int l) { return waits(at(found_.times.layers, l)); };
    std::ranges::stable_sort(order, std::greater<>(), wait);
    std::vector<Layer> layers = found_.arranged.layers;
    const double whole = static_cast<double>(found_.times.cycles);
    const double most = std::min(work_ + kMostPartCycles, most_ - whole);
    const int programs = programs_;
    for (const int l : order) {
      if (wait(l) < kLeastWait + found_.times.cycles / kWaitShare) break;
      const Span part{l - kBefore, l + kAfter};
      auto best = part_cycles(layers, part);
      for (int target = l; best && target >= std::max(0, l - 2); --target) {
        for (std::size_t i = 0; i < count(target); ++i) {
          if (work_ > most || programs_ - programs > kMostParts) break;
          Layer& layer = at(layers, target);
          const Layer before = layer;
          if (!choose(layer, at(choices_, target), i)) continue;
          const auto now = part_cycles(layers, part);
          if (now && *now < *best) {
            best = now;
          } else {
            layer = before;
          }
        }
      }
    }
    programs_ = programs;
    offer(std::move(layers), found_.how);
  }

  /// What programs are judged by: cycles, and where they take masks the costs with one.
  static double value(const timing::Estimate& times, const std::vector<Layer>& layers) {
    double masked = 0;
    for (const Layer& layer : layers) masked += layer.is_pool() ? 0 : layer.conv_plan.masked;
    return static_cast<double>(times.cycles) + kMaskShare * masked;
  }

  [[nodiscard]] std::optional<double> part_cycles(const std::vector<Layer>& layers,
                                                  const Span& part) {
    const auto arranged = arrange(fixed_, layers, found_.how, part);
    if (!arranged) return std::nullopt;
    const auto estimate = judge(*arranged);
    if (!estimate) return std::nullopt;
    return value(*estimate, layers);
  }

  /// All layers with tiles of at most so many words of the accumulators.
  void caps() {
    const std::vector<Layer> start = found_.arranged.layers;
    int largest = 0;
    for (const Layer& layer : start) {
      if (!layer.is_pool()) largest = std::max(largest, layer.conv_plan.tile_words());
    }
    for (int cap = largest / 2; cap >= fixed_.config.lanes; cap /= 2) {
      std::vector<Layer> layers = start;
      bool changed = false;
      for (std::size_t l = 0; l < layers.size(); ++l) {
        if (layers[l].is_pool() || layers[l].conv_plan.tile_words() <= cap) continue;
        const auto& plans = choices_[l].conv;
        const auto found = std::ranges::find_if(
            plans, [cap](const ConvPlan& plan) { return plan.tile_words() <= cap; });
        if (found == plans.end()) continue;
        changed |= choose(layers[l], choices_[l], static_cast<std::size_t>(found - plans.begin()));
      }
      if (changed) offer(std::move(layers), found_.how);
    }
  }

  /// Weights loaded less far ahead, as with a ring of `least` words or more, and tiles whose
  /// weights fit; true where that was better.
  bool rings(std::initializer_list<Hold> holding, int least) {
    if (fixed_.constants.any_sparse()) return false;  // they have no choice
    bool better = false;
    for (int words = fixed_.config.weight_words / 2; words >= least; words /= 2) {
      std::vector<Layer> layers = found_.arranged.layers;
      RingRoom room = found_.how.room;
      room.weight_words = words;
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto& plans = choices_[l].conv;
        if (layers[l].is_pool() || holds(layers[l].conv_plan, room)) continue;
        const auto found =
            std::ranges::find_if(plans, [&](const ConvPlan& plan) { return holds(plan, room); });
        if (found == plans.end()) return better;
        choose(layers[l], choices_[l], static_cast<std::size_t>(found - plans.begin()));
      }
      for (const Hold hold : holding) {
        room.hold = hold;
        better |= offer(layers, {found_.how.order, room});
      }
    }
    return better;
  }
  /// Whether the part of the weight ring has what a layer needs at once.
  [[nodiscard]] static bool holds(const ConvPlan& plan, const RingRoom& room) {
    return room.weight_words == 0 || plan.kept_words <= room.weight_words;
  }

  /// Other tiles for one layer after the other; true where any was better.
  bool each_layer() {
    bool better = false;
    for (int l = 0; l < static_cast<int>(choices_.size()); ++l) {
      for (std::size_t i = 0; i < count(l); ++i) {
        if (exhausted()) return false;
        std::vector<Layer> layers = found_.arranged.layers;
        if (choose(at(layers, l), at(choices_, l), i))
          better |= offer(std::move(layers), found_.how);
      }
    }
    return better;
  }

  [[nodiscard]] std::size_t count(int layer) const {
    return at(choices_, layer).conv.size() + at(choices_, layer).pool.size();
  }
  /// Gives a layer the i-th of its choices; false where it has that already.
  static bool choose(Layer& layer, const Choices& choices, std::size_t i) {
    if (layer.is_pool()) {
      if (layer.pool_plan == choices.pool[i]) return false;
      layer.pool_plan = choices.pool[i];
      return true;
    }
    if (layer.conv_plan == choices.conv[i]) return false;
    layer.conv_plan = choices.conv[i];
    layer.chunks = chunks(layer.conv, layer.conv_plan);
    return true;
  }

  const Fixed& fixed_;
  std::vector<Choices> choices_;
  const Planner& less_;
  const Arrangement start_;
  program::Program probe_;  // what the timing model looks at beside the instructions
  Found found_;             // of this climb
  double work_ = 0, most_ = kMostCycles;
  int programs_ = 0;  // of this climb
  std::vector<std::pair<std::vector<Choices>, RingRoom>> starts_;
  std::unordered_map<std::uint64_t, double> known_;  // values of the programs judged, by key
};

}  // namespace

Result<Arrangement> refine(const Fixed& fixed, const std::vector<Choices>& choices,
                           const Planner& less, const Arrangement& start,
                           std::vector<Layer>& layers) {
  return Refiner(fixed, choices, less, start).run(layers);
}

}  // namespace espalier::compiler
