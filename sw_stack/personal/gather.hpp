#pragma once
// What a convolution sees around some of its output pixels, and the sums that it makes of that.

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/graph.hpp"

namespace espalier::personal {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What a convolution sees of one image around each output pixel, as whole numbers from the zero
/// point. Shapes: values [C][H][W]; result [pixel][KH][KW][C].
Matrix gather(const ir::QuantTensor& x, const ir::QuantConv& conv, int out_w,
              const std::int8_t* values, std::span<const std::size_t> pixels);

/// The sums of some outputs of a convolution from what gather() gives.
class Sums {
 public:
  Sums(const ir::QuantConv& conv, std::span<const std::size_t> outputs);
  /// Bias included, exact. Shapes: features [pixel][depth]; result [pixel][output].
  [[nodiscard]] Eigen::MatrixXd of(const Matrix& features) const;

 private:
  Matrix weights_;  // [depth][output]
  Eigen::RowVectorXd bias_;
};

}  // namespace espalier::personal
