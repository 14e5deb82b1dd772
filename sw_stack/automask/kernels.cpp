#include "automask/kernels.hpp"

#include <algorithm>
#include <cmath>

#include "environment/environment.hpp"

namespace espalier::automask {

void round_to(const Grid& grid, std::span<const float> x, std::span<float> y) {
  const float gain = 1 / grid.scale, scale = grid.scale, low = grid.low, high = grid.high;
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = std::min(std::max(std::nearbyint(x[i] * gain), low), high) * scale;
}

void pass_inside(const Grid& grid, std::span<const float> y, std::span<const float> gradient,
                 std::span<float> into) {
  const float least = grid.least(), most = grid.most();
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float inside = y[i] > least && y[i] < most ? 1.0F : 0.0F;
    into[i] = gradient[i] * inside;
  }
}

void keep_two_of_four(std::span<const float> scores, std::size_t inputs, std::span<float> mask) {
  for (std::size_t row = 0; row < scores.size(); row += inputs) {
    for (std::size_t c = 0; c < inputs; c += environment::kGroup) {
      const auto group =
          scores.subspan(row + c, std::min<std::size_t>(environment::kGroup, inputs - c));
      for (std::size_t i = 0; i < group.size(); ++i) {
        std::size_t better = 0;
        for (std::size_t j = 0; j < group.size(); ++j)
          better += group[j] > group[i] || (j < i && group[j] == group[i]) ? 1 : 0;
        mask[row + c + i] = better < environment::kKept ? 1.0F : 0.0F;
      }
    }
  }
}

void keep_above(std::span<const float> scores, float threshold, std::span<float> mask) {
  for (std::size_t i = 0; i < scores.size(); ++i) mask[i] = scores[i] > threshold ? 1.0F : 0.0F;
}

}  // namespace espalier::automask
