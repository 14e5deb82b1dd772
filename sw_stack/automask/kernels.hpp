#pragma once
// Loops over numbers that training spends its time in beside convolutions.

#include <cstddef>
#include <cstdint>
#include <span>

namespace espalier::automask {

/// The real values that an int8 tensor can have: scale x (q - zero), low <= q <= high.
struct Grid {
  float scale = 1;
  float low = -128, high = 127;  ///< in steps from the zero point
  [[nodiscard]] float least() const { return low * scale; }
  [[nodiscard]] float most() const { return high * scale; }
};

/// Each value rounded to the grid, to nearest even. Shapes: x and y of one length.
void round_to(const Grid& grid, std::span<const float> x, std::span<float> y);

/// The gradient before rounding: that behind it where y, the rounded value, lies inside the grid.
/// Shapes: all of one length.
void pass_inside(const Grid& grid, std::span<const float> y, std::span<const float> gradient,
                 std::span<float> into);

/// 1 for the best two of every four consecutive scores of a row, of equal ones the first; the last
/// group of a row may be short. Shapes: scores and mask [rows][inputs].
void keep_two_of_four(std::span<const float> scores, std::size_t inputs, std::span<float> mask);

/// 1 where the score is above the threshold. Shapes: both of one length.
void keep_above(std::span<const float> scores, float threshold, std::span<float> mask);

}  // namespace espalier::automask
