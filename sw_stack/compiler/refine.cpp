// The search over whole programs, judged by the timing model.

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "compiler/arrange.hpp"
#include "timing/timing.hpp"

namespace espalier::compiler {
namespace {

/// The most work of the timing model, in cycles of what it judges and in programs: of all, and of
/// the parts of programs.
constexpr double kMostCycles = 3 * kMostRefined, kMostPartCycles = 4e7;
constexpr int kMostPrograms = 240, kMostParts = 120;
constexpr int kMostShare = 16;
/// Of the costs with fewer blocks, beside the cycles of all of them.
constexpr double kMaskShare = 0.5;
/// A layer is looked at together with so many before and after it.
constexpr int kBefore = 3, kAfter = 2;
/// Cycles that a layer waits, of all: less is not looked at alone.
constexpr std::int64_t kLeastWait = 60, kWaitShare = 20000;

/// Cycles in which the array waits.
std::int64_t waits(const timing::LayerEstimate& layer) {
  const auto of = [&](timing::Cause cause) {
    return layer.by_cause[static_cast<std::size_t>(cause)];
  };
  return layer.cycles - of(timing::Cause::kCompute) - of(timing::Cause::kRagged);
}

class Refiner {
 public:
  Refiner(const Fixed& fixed, std::vector<Choices> choices, const Arrangement& start)
      : fixed_(fixed), choices_(std::move(choices)), start_(start) {
    probe_.config = std::string(fixed.config.name);
    probe_.constants = fixed.constants.bytes;
  }

  /// Climbs from the layers as they are, and from tiles for half of the activation buffer.
  Result<Arrangement> run(std::vector<Layer>& layers) {
    probe_.layers.resize(layers.size());
    if (const Status status = climb(layers); !status) return status.error();
    Arranged best = best_;
    const Arrangement arrangement = arrangement_;
    const double before = value(times_, best_.layers);
    if (!exhausted() && halve(layers) && climb(layers).ok() &&
        value(times_, best_.layers) < before) {
      best = std::move(best_);
    } else {
      arrangement_ = arrangement;
    }
    layers = std::move(best.layers);
    return arrangement_;
  }

 private:
  Status climb(const std::vector<Layer>& layers) {
    arrangement_ = start_;
    programs_ = 0;
    auto first = arrange(fixed_, layers, arrangement_);
    if (!first) return first.error();
    best_ = std::move(*first);
    auto estimate = judge(best_);
    if (!estimate) return {};  // the caller's own estimate says why
    times_ = std::move(*estimate);
    if (!fixed_.windows.empty() && !fixed_.layout.maskable) orders();
    waiting_layers();
    rings();
    caps();
    while (each_layer()) {
    }
    return {};
  }

  /// From now on the choices are those for half of the activation buffer; false where there are no
  /// others.
  bool halve(std::vector<Layer>& layers) {
    bool changed = false;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (choices_[l].half.empty()) continue;
      choices_[l].conv = choices_[l].half;
      changed |= choose(layers[l], choices_[l], 0);
    }
    return changed;
  }

  [[nodiscard]] std::optional<timing::Estimate> judge(const Arranged& arranged) {
    auto estimate = timing::estimate(probe_, arranged.emitted.instructions, fixed_.config);
    if (!estimate) return std::nullopt;
    work_ += static_cast<double>(estimate->cycles);
    ++programs_;
    return std::move(*estimate);
  }
  [[nodiscard]] bool exhausted() const {
    return work_ + static_cast<double>(times_.cycles) > kMostCycles || programs_ >= kMostPrograms;
  }

  /// Keeps the program if it is faster.
  bool offer(std::vector<Layer> layers, const Arrangement& arrangement) {
    const int share = arrangement.ring_share;
    const auto held = [&](const Layer& layer) { return holds(layer.conv_plan, share); };
    if (exhausted() || (share > 1 && !std::ranges::all_of(layers, held))) return false;
    auto arranged = arrange(fixed_, std::move(layers), arrangement);
    if (!arranged) return false;
    auto estimate = judge(*arranged);
    if (!estimate || value(*estimate, arranged->layers) >= value(times_, best_.layers))
      return false;
    times_ = std::move(*estimate);
    best_ = std::move(*arranged);
    arrangement_ = arrangement;
    return true;
  }

  void orders() {
    for (const Order order : {Order{true, true}, Order{true, false}, Order{false, true}}) {
      Arrangement other = arrangement_;
      other.order = order;
      offer(best_.layers, other);
    }
  }

  /// Other tiles for the layers that wait longest and for those before them, judged by the part of
  /// the program around them; then all of them together by the whole.
  void waiting_layers() {
    std::vector<int> order(choices_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto wait = [&](int l) { return waits(at(times_.layers, l)); };
    std::ranges::stable_sort(order, std::greater<>(), wait);
    std::vector<Layer> layers = best_.layers;
    const double whole = static_cast<double>(times_.cycles);
    const double most = std::min(work_ + kMostPartCycles, kMostCycles - whole);
    const int programs = programs_;
    for (const int l : order) {
      if (wait(l) < kLeastWait + times_.cycles / kWaitShare) break;
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
    offer(std::move(layers), arrangement_);
  }

  /// What programs are judged by: cycles, and where they take masks the costs with one.
  static double value(const timing::Estimate& times, const std::vector<Layer>& layers) {
    double masked = 0;
    for (const Layer& layer : layers) masked += layer.is_pool() ? 0 : layer.conv_plan.masked;
    return static_cast<double>(times.cycles) + kMaskShare * masked;
  }

  [[nodiscard]] std::optional<double> part_cycles(const std::vector<Layer>& layers,
                                                  const Span& part) {
    const auto arranged = arrange(fixed_, layers, arrangement_, part);
    if (!arranged) return std::nullopt;
    const auto estimate = judge(*arranged);
    if (!estimate) return std::nullopt;
    return value(*estimate, layers);
  }

  /// All layers with tiles of at most so many words of the accumulators.
  void caps() {
    const std::vector<Layer> start = best_.layers;
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
      if (changed) offer(std::move(layers), arrangement_);
    }
  }

  /// Weights loaded less far ahead, with tiles whose weights fit.
  void rings() {
    const auto sparse = [](const ConstantPlaces& places) { return places.sparse; };
    if (std::ranges::any_of(fixed_.constants.places, sparse)) return;  // their words are not tiles'
    for (int share = 2; share <= kMostShare; share *= 2) {
      std::vector<Layer> layers = best_.layers;
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto& plans = choices_[l].conv;
        if (layers[l].is_pool() || holds(layers[l].conv_plan, share)) continue;
        const auto found =
            std::ranges::find_if(plans, [&](const ConvPlan& plan) { return holds(plan, share); });
        if (found == plans.end()) return;
        choose(layers[l], choices_[l], static_cast<std::size_t>(found - plans.begin()));
      }
      Arrangement other = arrangement_;
      other.ring_share = share;
      offer(std::move(layers), other);
    }
  }
  /// Whether a share of the weight ring has what a layer needs at once.
  [[nodiscard]] bool holds(const ConvPlan& plan, int share) const {
    return plan.kept_words <= fixed_.config.weight_words / share;
  }

  /// Other tiles for one layer after the other; true where any was better.
  bool each_layer() {
    bool better = false;
    for (int l = 0; l < static_cast<int>(choices_.size()); ++l) {
      for (std::size_t i = 0; i < count(l); ++i) {
        if (exhausted()) return false;
        std::vector<Layer> layers = best_.layers;
        if (choose(at(layers, l), at(choices_, l), i))
          better |= offer(std::move(layers), arrangement_);
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
  const Arrangement start_;
  program::Program probe_;  // what the timing model looks at beside the instructions
  Arranged best_;
  timing::Estimate times_;  // of best_
  Arrangement arrangement_;
  double work_ = 0;
  int programs_ = 0;  // of this climb
};

}  // namespace

Result<Arrangement> refine(const Fixed& fixed, const std::vector<Choices>& choices,
                           const Arrangement& start, std::vector<Layer>& layers) {
  return Refiner(fixed, choices, start).run(layers);
}

}  // namespace espalier::compiler
