#include "quantise/histogram.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace espalier::quantise {
namespace {

constexpr float kHalfBins = static_cast<float>(Histogram::kBins) / 2;

constexpr float kLeastScale = 1e-12F;
constexpr float kLeastLimit = 0x1p-40F;
constexpr float kMostMagnitude = 0x1p96F;

/// None where a value is not finite or too large.
std::optional<Range> extremes_of(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;  // each with extremes of its own, which go into vectors
  std::array<float, kLanes> lo, hi;
  lo.fill(values[0]);
  hi.fill(values[0]);
  int fits = 1;
  const auto take = [&](float value, std::size_t lane) {
    fits &= static_cast<int>(std::abs(value) < kMostMagnitude);  // 0 for NaN, too
    lo[lane] = value < lo[lane] ? value : lo[lane];
    hi[lane] = value > hi[lane] ? value : hi[lane];
  };
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) take(values[i + lane], lane);
  for (; i < values.size(); ++i) take(values[i], 0);
  if (fits == 0) return std::nullopt;
  return Range{*std::ranges::min_element(lo), *std::ranges::max_element(hi)};
}

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
  const std::optional<Range> range = extremes_of(values);
  if (!range) return false;
  grow(std::max(-range->lo, range->hi));
  least_ = total_ == 0 ? range->lo : std::min(least_, range->lo);
  most_ = total_ == 0 ? range->hi : std::max(most_, range->hi);
  const float gain = kHalfBins / limit_;
  const auto bin_of = [gain](float value) {
    const int bin = static_cast<int>(value * gain + kHalfBins);
    return static_cast<std::size_t>(std::min(bin, kBins - 1));
  };
  std::size_t i = 0;
  if (values.size() >= kBins) {
    // Neighbours are often alike, zeros above all: no count waits for the one before it.
    constexpr std::size_t kCounters = 8;
    std::vector<std::uint32_t> counts(kCounters * kBins);
    for (; i + kCounters <= values.size(); i += kCounters)
      for (std::size_t c = 0; c < kCounters; ++c) ++counts[c * kBins + bin_of(values[i + c])];
    for (std::size_t c = 0; c < counts.size(); ++c) bins_[c % kBins] += counts[c];
  }
  for (; i < values.size(); ++i) ++bins_[bin_of(values[i])];
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
  return (bin + 0.5 - kHalfBins) * static_cast<double>(limit_) / kHalfBins;
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
