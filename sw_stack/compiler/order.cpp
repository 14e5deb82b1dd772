#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/cost.hpp"
#include "compiler/steps.hpp"

namespace espalier::compiler {
namespace {

constexpr double kStoreToLoad = 150;  // cycles from a step's end until its output can be read again

/// Layers of one engine, and the next step of each to come.
struct Track {
  std::vector<int> layers;
  std::size_t layer = 0;
  int step = 0;
  double free = 0;
};

class Merger {
 public:
  Merger(const std::vector<Layer>& layers, const std::vector<PoolWindow>& windows,
         Schedule& schedule, const Order& how)
      : layers_(layers), windows_(windows), schedule_(schedule), how_(how), end_(layers.size()) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      tracks_[layers[l].is_pool() ? 1 : 0].layers.push_back(static_cast<int>(l));
      end_[l].assign(schedule.by_layer[l].size(), -1.0);
    }
    schedule.global.resize(layers.size());
    for (Track& track : tracks_) pass_empty(track);
  }

  void run() {
    while (true) {
      std::array<double, 2> start{};
      for (std::size_t k = 0; k < 2; ++k) start[k] = start_of(k);
      if (!std::isfinite(start[0]) && !std::isfinite(start[1])) break;
      place(start[0] <= start[1] ? 0 : 1, std::min(start[0], start[1]));
    }
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      ESP_CHECK(schedule_.global[l].size() == schedule_.by_layer[l].size());
    }
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  /// When the track's next step could start; never if something that it needs is not placed yet.
  [[nodiscard]] double start_of(std::size_t k) const {
    const Track& track = tracks_[k];
    if (track.layer == track.layers.size()) return kNever;
    const int layer = track.layers[track.layer];
    if (k == 0) {
      // Pools whose part of the activation buffer this convolution may use must be through.
      for (std::size_t w = 0; w < windows_.size(); ++w) {
        if (windows_[w].to < static_cast<int>(track.layer) && w >= tracks_[1].layer) return kNever;
      }
    } else if (static_cast<int>(tracks_[0].layer) < windows_[track.layer].from) {
      return kNever;  // a part of its input may be there, but it would run beside other layers
    }
    const Step& step = at(at(schedule_.by_layer, layer), track.step);
    // Instructions leave in one order: none starts long before those that are placed already.
    double start = std::max(track.free, now_);
    for (const int p : {step.piece, step.operand}) {
      if (p < 0) continue;
      for (const Need& need : at(schedule_.pieces, p).needs) {
        const double done = at(at(end_, need.layer), k == 0 ? need.step : settled(need));
        if (done < 0) return kNever;
        start = std::max(start, done + kStoreToLoad);
      }
    }
    return start;
  }

  /// The step after which a pool comes. A LOAD that waits keeps all behind it; and where a mask may
  /// empty steps, those take no time.
  [[nodiscard]] int settled(const Need& need) const {
    const auto& steps = at(schedule_.by_layer, need.layer);
    const Layer& layer = at(layers_, need.layer);
    if (!how_.settle || layer.is_pool()) return need.step;
    const int groups = layer.conv_plan.by_group ? 1 : ceil_div(layer.conv.nb, layer.conv_plan.nb);
    return std::min(need.step + groups * static_cast<int>(layer.chunks.size()),
                    static_cast<int>(steps.size()) - 1);
  }

  /// How much slower a pool's steps come than they could. A mask saves a pool its dead blocks, and
  /// the convolutions beside it the square of that: spread out, pools then still keep up.
  [[nodiscard]] double pace(std::size_t pool) const {
    constexpr double kMost = 8.0, kShare = 0.8;
    if (!how_.spread) return 1.0;
    const PoolWindow& window = windows_[pool];
    double beside = 0;
    for (int c = window.from; c < window.to; ++c)
      beside += at(layers_, at(tracks_[0].layers, c)).cycles();
    return std::clamp(kShare * beside / at(layers_, window.layer).cycles(), 1.0, kMost);
  }

  void place(std::size_t k, double start) {
    Track& track = tracks_[k];
    const int layer = track.layers[track.layer];
    const auto& steps = at(schedule_.by_layer, layer);
    now_ = start;
    const double cycles = at(steps, track.step).cycles;
    at(at(end_, layer), track.step) = start + cycles;
    track.free = start + cycles * (k == 1 ? pace(track.layer) : 1.0);
    at(schedule_.global, layer).push_back(static_cast<int>(schedule_.order.size()));
    schedule_.order.push_back({layer, track.step});
    if (++track.step == static_cast<int>(steps.size())) {
      ++track.layer;
      track.step = 0;
      pass_empty(track);
    }
  }

  /// To the next layer that has steps.
  void pass_empty(Track& track) const {
    while (track.layer < track.layers.size() &&
           at(schedule_.by_layer, track.layers[track.layer]).empty())
      ++track.layer;
  }

  const std::vector<Layer>& layers_;
  const std::vector<PoolWindow>& windows_;
  Schedule& schedule_;
  Order how_;
  std::array<Track, 2> tracks_;
  double now_ = 0;                        // start of the step that was placed last
  std::vector<std::vector<double>> end_;  // [layer][step], -1 until placed
};

}  // namespace

std::vector<PoolWindow> pool_windows(const std::vector<LayerNodes>& layers, const Layout& layout) {
  std::vector<int> position(layers.size(), 0);  // of a layer among the convolutions, from then on
  int convs = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    position[l] = convs;
    convs += layers[l].is_pool() ? 0 : 1;
  }
  // Whether two tensors share memory: one may be a part of the other.
  const auto meet = [&](int a, int b) {
    if (a < 0 || b < 0) return false;
    const Spot& x = at(layout.spots, a);
    const Spot& y = at(layout.spots, b);
    return x.root == y.root && x.block < y.block + y.channels.blocks &&
           y.block < x.block + x.channels.blocks;
  };
  std::vector<PoolWindow> windows;
  std::vector<int> from(layers.size(), 0);  // earliest convolution beside which the layer runs
  for (std::size_t l = 0; l < layers.size(); ++l) {
    from[l] = position[l];
    if (!layers[l].is_pool()) continue;
    from[l] = 0;
    for (std::size_t p = 0; p < l; ++p) {
      if (meet(layers[p].output, layers[l].input)) from[l] = std::max(from[l], from[p]);
    }
  }
  // Backwards: the last convolution beside which it may run is the first that needs it.
  std::vector<int> to(layers.size(), std::max(0, convs - 1));
  for (std::size_t i = layers.size(); i-- > 0;) {
    to[i] = layers[i].is_pool() ? std::max(0, convs - 1) : position[i];
    if (!layers[i].is_pool()) continue;
    for (std::size_t c = i + 1; c < layers.size(); ++c) {
      const int made = layers[i].output;
      if (meet(layers[c].input, made) || meet(layers[c].operand, made))
        to[i] = std::min(to[i], to[c]);
    }
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].is_pool()) windows.push_back({static_cast<int>(l), from[l], to[l]});
  }
  return windows;
}

void merge_order(const std::vector<Layer>& layers, const std::vector<PoolWindow>& windows,
                 const Order& how, Schedule& schedule) {
  Merger(layers, windows, schedule, how).run();
  schedule.loads.resize(schedule.order.size());
  for (std::size_t i = 0; i < schedule.order.size(); ++i) {
    const Step& step = at(at(schedule.by_layer, schedule.order[i].layer), schedule.order[i].step);
    for (const int p : {step.table, step.piece, step.operand}) {
      if (p < 0) continue;
      Piece& piece = at(schedule.pieces, p);
      if (piece.first_step < 0) {
        piece.first_step = static_cast<int>(i);
        schedule.loads[i].push_back(p);
      }
      piece.last_step = static_cast<int>(i);
    }
  }
  for (Piece& piece : schedule.pieces) {
    for (const Need& need : piece.needs) {
      piece.ready_step = std::max(piece.ready_step, at(at(schedule.global, need.layer), need.step));
    }
  }
}

}  // namespace espalier::compiler
