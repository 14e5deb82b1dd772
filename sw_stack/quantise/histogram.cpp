#include "quantise/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace espalier::quantise {
namespace {

constexpr float kLeastScale = 1e-12F;
constexpr float kLeastLimit = 0x1p-40F;
constexpr float kMostMagnitude = 0x1p96F;

}  // namespace

ir::Quant quant_of(const Range& range) {
  const double lo = std::min(range.lo, 0.0F);
  const double hi = std::max(range.hi, 0.0F);
  ir::Quant quant;
  if (hi == lo) return {1.0F, 0};
  quant.scale = std::max(static_cast<float>((hi - lo) / 255.0), kLeastScale);
  const double zero = std::nearbyint(-128.0 - lo / static_cast<double>(quant.scale));
  quant.zero = static_cast<int>(std::clamp(zero, -128.0, 127.0));
  return quant;
}

void Histogram::grow(float magnitude) {
  if (bins_.empty()) {
    bins_.assign(kBins, 0);
    limit_ = kLeastLimit;
    while (limit_ <= magnitude) limit_ *= 2;
    return;
  }
  while (limit_ <= magnitude) {  // two bins become one, about the centre
    std::vector<std::uint64_t> wide(kBins, 0);
    for (int bin = 0; bin < kBins; ++bin) wide[kBins / 4 + bin / 2] += bins_[bin];
    bins_ = std::move(wide);
    limit_ *= 2;
  }
}

bool Histogram::add(std::span<const float> values) {
  if (values.empty()) return true;
  float lo = values[0];
  float hi = values[0];
  bool finite = true;
  for (const float value : values) {
    finite = finite && std::abs(value) < kMostMagnitude;  // false for NaN, too
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  if (!finite) return false;
  grow(std::max(-lo, hi));
  least_ = total_ == 0 ? lo : std::min(least_, lo);
  most_ = total_ == 0 ? hi : std::max(most_, hi);
  const float gain = static_cast<float>(kBins / 2) / limit_;
  for (const float value : values) {
    const int bin = static_cast<int>(value * gain + static_cast<float>(kBins / 2));
    ++bins_[std::min(bin, kBins - 1)];
  }
  total_ += values.size();
  return true;
}

void Histogram::merge(const Histogram& other) {
  if (other.total_ == 0) return;
  if (total_ == 0) {
    *this = other;
    return;
  }
  Histogram addend = other;
  grow(addend.limit_ / 2);
  addend.grow(limit_ / 2);
  for (int bin = 0; bin < kBins; ++bin) bins_[bin] += addend.bins_[bin];
  least_ = std::min(least_, other.least_);
  most_ = std::max(most_, other.most_);
  total_ += other.total_;
}

double Histogram::bin_centre(int bin) const {
  return (bin + 0.5 - kBins / 2) * static_cast<double>(limit_) / (kBins / 2);
}

Range Histogram::percentile(double percent) const {
  const auto share = static_cast<double>(total_) * (1.0 - percent / 100.0);
  const double half = static_cast<double>(limit_) / kBins;
  Range range{least_, most_};
  double below = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    below += static_cast<double>(bins_[bin]);
    if (below > share) {
      range.lo = std::max(least_, static_cast<float>(bin_centre(bin) - half));
      break;
    }
  }
  double above = 0;
  for (int bin = kBins - 1; bin >= 0; --bin) {
    above += static_cast<double>(bins_[bin]);
    if (above > share) {
      range.hi = std::min(most_, static_cast<float>(bin_centre(bin) + half));
      break;
    }
  }
  return range;
}

double Histogram::error(const ir::Quant& quant) const {
  const double scale = quant.scale;
  double sum = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    if (bins_[bin] == 0) continue;
    const double value = bin_centre(bin);
    const double q = std::clamp(std::nearbyint(value / scale) + quant.zero, -128.0, 127.0);
    const double miss = value - scale * (q - quant.zero);
    // Inside the range the values of a bin spread over the step; rounding costs step^2 / 12.
    const bool inside = std::abs(miss) <= scale / 2;
    sum += static_cast<double>(bins_[bin]) * (inside ? scale * scale / 12 : miss * miss);
  }
  return sum;
}

Range Histogram::least_error() const {
  Range best{least_, most_};
  double least = error(quant_of(best));
  const auto consider = [&](const Range& range) {
    const double cost = error(quant_of(range));
    if (cost < least) {
      least = cost;
      best = range;
    }
  };
  constexpr int kSteps = 64;
  const auto shrink = [](float bound, int step) {
    return bound * static_cast<float>(step) / kSteps;
  };
  for (int step = kSteps / 8; step < kSteps; ++step) {
    consider({shrink(least_, step), shrink(most_, step)});
  }
  const Range joint = best;
  for (int step = kSteps / 8; step <= kSteps; ++step) consider({shrink(least_, step), joint.hi});
  const Range lower = best;
  for (int step = kSteps / 8; step <= kSteps; ++step) consider({lower.lo, shrink(most_, step)});
  return best;
}

}  // namespace espalier::quantise
