#include "personal/delayed_scales.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espalier::personal {
namespace {

float normal(double scale) {
  return static_cast<float>(std::clamp(scale, double{std::numeric_limits<float>::min()}, 1e30));
}

}  // namespace

bool DelayedScales::fit(std::span<const int> maxima, int attempt) {
  constexpr double kStep = 8.0;  // where nothing is known but the direction
  constexpr int kZeros = 8;      // attempts after which a gradient may be zero
  bool fits = true;
  for (std::size_t slot = 1; slot < maxima.size(); ++slot) {
    double factor = 1;
    if (maxima[slot] >= kMost) {
      factor = kStep;
    } else if (maxima[slot] == 0) {
      factor = attempt < kZeros ? 1 / kStep : attempt == kZeros ? std::pow(kStep, kZeros) : 1.0;
    } else if (maxima[slot] < kFullScale / 2) {
      factor = maxima[slot] / kFullScale;
    }
    fits = fits && factor == 1;
    scales_[slot] = normal(scales_[slot] * factor);
  }
  return fits;
}

void DelayedScales::note(std::span<const int> maxima) {
  std::vector<double> real;
  for (std::size_t slot = 0; slot < maxima.size(); ++slot) {
    // What was cut off may have been any larger.
    const double most = maxima[slot] >= kMost ? 2.0 * kMost : maxima[slot];
    real.push_back(most * scales_[slot]);
  }
  window_.push_back(std::move(real));
  if (window_.size() > kWindow) window_.erase(window_.begin());
}

void DelayedScales::update() {
  for (std::size_t slot = 1; slot < scales_.size(); ++slot) {
    double most = 0;
    for (const auto& image : window_) most = std::max(most, image[slot]);
    if (most > 0) scales_[slot] = normal(most / kFullScale);
  }
}

void DelayedScales::restore(std::vector<float> scales, std::vector<std::vector<double>> window) {
  scales_ = std::move(scales);
  window_ = std::move(window);
}

}  // namespace espalier::personal
