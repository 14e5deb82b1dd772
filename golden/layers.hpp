#pragma once
// The layers behind golden.hpp. Each works on a batch of images, one after the other.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::golden {

/// One side of a layer: shape of one image and how its numbers are to be read.
struct Side {
  ir::Shape shape;
  ir::Quant quant;
};

/// A convolution with its weights as floats, which hold them exactly.
class PreparedConv {
 public:
  PreparedConv(const ir::QuantConv& conv, const Side& x, const Side& y);
  /// Shapes: x [images][C][H][W], y [images][N][Ho][Wo].
  void run(const std::int8_t* x, int images, std::int8_t* y) const;
  /// The sums before they are requantised, bias included. Shapes: acc [images][N][Ho][Wo].
  void accumulate(const std::int8_t* x, int images, std::int32_t* acc) const;

 private:
  /// Calls sink(n, values, count, at) for runs of sums of channel n that belong at y[at].
  template <typename Sink>
  void each_run(const std::int8_t* x, int images, Sink sink) const;
  /// Shapes: result [N][rows * Wo].
  [[nodiscard]] std::vector<std::int32_t> tile(const class PaddedImages& padded, int first_row,
                                               int rows) const;

  const ir::QuantConv* conv_;
  Side x_, y_;
  int depth_;                         ///< K: taps times input channels
  std::vector<float> weights_;        ///< [N][K]
  std::vector<std::int32_t> offset_;  ///< bias minus zero point times the sum of the weights
};

void pool(const ir::QuantPool& op, const Side& x, const Side& y, const std::int8_t* in, int images,
          std::int8_t* out);

void add(const ir::QuantAdd& op, const ir::Quant& a, const ir::Quant& b, const ir::Quant& y,
         std::span<const std::int8_t> in_a, std::span<const std::int8_t> in_b, std::int8_t* out);

/// Shapes: in[i] is [images][Ci][H][W]; sizes[i] is Ci * H * W.
void concat(std::span<const std::int8_t* const> in, std::span<const std::size_t> sizes, int images,
            std::int8_t* out);

}  // namespace espalier::golden
