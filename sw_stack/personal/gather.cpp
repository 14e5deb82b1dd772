#include "personal/gather.hpp"

#include <algorithm>
#include <vector>

#include "base/integers.hpp"

namespace espalier::personal {
namespace {}  // namespace

Matrix gather(const ir::QuantTensor& x, const ir::QuantConv& conv, int out_w,
              const std::int8_t* values, std::span<const std::size_t> pixels) {
  const ir::Window& w = conv.window;
  const std::size_t lanes = index(x.shape.c), taps = index(w.kh) * index(w.kw);
  const std::size_t plane = index(x.shape.h) * index(x.shape.w);
  std::vector<int> padding(conv.border.begin(), conv.border.end());
  padding.resize(lanes, x.quant.zero);
  Matrix out(static_cast<Eigen::Index>(pixels.size()), static_cast<Eigen::Index>(lanes * taps));
  for (std::size_t p = 0; p < pixels.size(); ++p) {
    const int oy = static_cast<int>(pixels[p]) / out_w, ox = static_cast<int>(pixels[p]) % out_w;
    for (std::size_t t = 0; t < taps; ++t) {
      const int iy = oy * w.stride_h - w.pad_top + static_cast<int>(t) / w.kw * w.dilation_h;
      const int ix = ox * w.stride_w - w.pad_left + static_cast<int>(t) % w.kw * w.dilation_w;
      const bool inside = iy >= 0 && iy < x.shape.h && ix >= 0 && ix < x.shape.w;
      const std::size_t at = inside ? index(iy) * index(x.shape.w) + index(ix) : 0;
      for (std::size_t c = 0; c < lanes; ++c) {
        const int value = inside ? values[c * plane + at] : padding[c];
        out(static_cast<Eigen::Index>(p), static_cast<Eigen::Index>(t * lanes + c)) =
            static_cast<float>(value - x.quant.zero);
      }
    }
  }
  return out;
}

Sums::Sums(const ir::QuantConv& conv, std::span<const std::size_t> outputs) {
  const std::size_t depth = conv.weights.size() / conv.bias.size();
  weights_.resize(static_cast<Eigen::Index>(depth), static_cast<Eigen::Index>(outputs.size()));
  bias_.resize(weights_.cols());
  for (Eigen::Index n = 0; n < weights_.cols(); ++n) {
    const std::size_t row = outputs[static_cast<std::size_t>(n)];
    bias_(n) = conv.bias[row];
    for (std::size_t k = 0; k < depth; ++k)
      weights_(static_cast<Eigen::Index>(k), n) = conv.weights[row * depth + k];
  }
}

Eigen::MatrixXd Sums::of(const Matrix& features) const {
  constexpr Eigen::Index kExact = 512;  // products are below 2^15: fp32 holds the sum of so many
  Eigen::MatrixXd sums = bias_.replicate(features.rows(), 1);
  for (Eigen::Index k = 0; k < weights_.rows(); k += kExact) {
    const Eigen::Index count = std::min(kExact, weights_.rows() - k);
    const Matrix part = features.middleCols(k, count) * weights_.middleRows(k, count);
    sums += part.cast<double>();
  }
  return sums;
}

}  // namespace espalier::personal
