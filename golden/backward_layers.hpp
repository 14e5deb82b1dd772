#pragma once
// The layers behind backward.hpp: one image, exact integer sums.

#include <cstdint>
#include <vector>

#include "golden/golden.hpp"
#include "ir/graph.hpp"

namespace espalier::golden {

/// A convolution's gradient of its input: sums over output channels and taps of gradient x weight.
class TransposedConv {
 public:
  TransposedConv() = default;
  TransposedConv(const ir::QuantConv& conv, const ir::Shape& x, const ir::Shape& y);
  /// Shapes: gradient [N][Ho][Wo], result [C][H][W].
  [[nodiscard]] std::vector<std::int32_t> run(const Tensor& gradient) const;

 private:
  void scatter(const float* columns, int first_row, int rows, std::vector<std::int32_t>& out) const;

  ir::Window window_;
  ir::Shape x_, y_;
  std::vector<float> weights_;  ///< [K][N], K in the order [KH][KW][C]
};

/// A pool's gradient of its input, before it is multiplied by `share`: of a maximum to the first
/// pixel of the window, row by row, that has it; of an average to every pixel. Where divisors
/// differ, gradients are first brought to the smallest one, rounded to nearest even.
std::vector<std::int32_t> pool_backward(const ir::QuantPool& pool, const ir::Shape& x,
                                        const ir::Shape& y, const Tensor& input,
                                        const Tensor& gradient, double& share);

/// A gradient passes where below < activation < above.
struct ClampBounds {
  int below = -129, above = 128;
  [[nodiscard]] bool any() const { return below > -129 || above < 128; }
};

/// The bounds of an activation function: a lower one at the zero point (ReLU), an upper one under
/// 127 (ReLU6). Limits of int8 are none.
ClampBounds clamp_bounds(const ir::QuantNode& node, const ir::Quant& quant);

}  // namespace espalier::golden
