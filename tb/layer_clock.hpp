#pragma once
// Charges every cycle of a run to a layer.

#include <cstdint>
#include <vector>

namespace espalier::tb {

/// Cycles in which no layer shows go to the layer shown last; those before the first, to the first.
class LayerClock {
 public:
  /// Call when the shown layer may have changed, with the cycles run so far.
  void show(std::uint32_t layer, std::uint64_t now) {
    if (layer == layer_) return;
    if (layer_ != kNone) charge(layer_, now);
    layer_ = layer;
  }
  [[nodiscard]] std::uint32_t layer() const { return layer_; }
  /// The cycles until now.
  std::vector<std::uint64_t> snapshot(std::uint64_t now) {
    if (layer_ == kNone) layer_ = 0;
    charge(layer_, now);
    return list_;
  }
  /// The list, which sums to `cycles`, the machine's own count: it differs from `now` by the few
  /// cycles between the register writes and the state that they change, charged to the last layer.
  std::vector<std::uint64_t> finish(std::uint64_t now, std::uint64_t cycles) {
    snapshot(now);
    std::uint64_t extra = cycles > now ? cycles - now : 0,
                  missing = now > cycles ? now - cycles : 0;
    list_[layer_] += extra;
    for (auto layer = list_.rbegin(); layer != list_.rend() && missing > 0; ++layer) {
      const std::uint64_t less = *layer < missing ? *layer : missing;
      *layer -= less;
      missing -= less;
    }
    return list_;
  }

 private:
  static constexpr std::uint32_t kNone = ~0U;
  void charge(std::uint32_t layer, std::uint64_t now) {
    if (layer >= list_.size()) list_.resize(layer + 1, 0);
    list_[layer] += now - since_;
    since_ = now;
  }
  std::vector<std::uint64_t> list_;
  std::uint32_t layer_ = kNone;
  std::uint64_t since_ = 0;
};

}  // namespace espalier::tb
