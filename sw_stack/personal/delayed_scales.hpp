#pragma once
// Delayed scales of int8 gradients: those of the next images follow from the last ones' magnitudes.

#include <cstddef>
#include <span>
#include <vector>

namespace espalier::personal {

class DelayedScales {
 public:
  static constexpr std::size_t kWindow = 64;   ///< images
  static constexpr double kFullScale = 120.0;  ///< the window's largest gradient becomes this
  static constexpr int kMost = 127;            ///< of a gradient, where it is cut off

  /// By slot; empty before the first image.
  [[nodiscard]] const std::vector<float>& scales() const { return scales_; }
  /// Scales to begin with.
  void start(std::vector<float> scales) { scales_ = std::move(scales); }
  /// Searches the scales that fit one image, of which `maxima` are the largest magnitudes by slot.
  /// True where it was close enough: then scales() stay. Otherwise they change, to try again.
  bool fit(std::span<const int> maxima, int attempt);
  /// Notes an image's; scales() stay until update().
  void note(std::span<const int> maxima);
  void update();

  /// All of it, for files that a measurement resumes from: the window's real maxima, oldest first.
  [[nodiscard]] const std::vector<std::vector<double>>& window() const { return window_; }
  void restore(std::vector<float> scales, std::vector<std::vector<double>> window);

 private:
  std::vector<float> scales_;
  std::vector<std::vector<double>> window_;
};

}  // namespace espalier::personal
