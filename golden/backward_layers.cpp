#include "golden/backward_layers.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <limits>

#include "golden/numerics.hpp"

namespace espalier::golden {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;

constexpr int kExactDepth = 1023;         // products of 2^14: sums stay below 2^24
constexpr int kColumnFloats = 96 * 1024;  // of one tile: it should stay in the L2 cache

/// Calls visit(input pixel) for every pixel of a window inside the image, row by row.
template <typename Visit>
void each_pixel(const ir::Window& w, const ir::Shape& x, int oy, int ox, Visit visit) {
  for (int ky = 0; ky < w.kh; ++ky) {
    const int iy = oy * w.stride_h - w.pad_top + ky * w.dilation_h;
    if (iy < 0 || iy >= x.h) continue;
    for (int kx = 0; kx < w.kw; ++kx) {
      const int ix = ox * w.stride_w - w.pad_left + kx * w.dilation_w;
      if (ix >= 0 && ix < x.w) visit(std::size_t(iy) * x.w + ix);
    }
  }
}

}  // namespace

TransposedConv::TransposedConv(const ir::QuantConv& conv, const ir::Shape& x, const ir::Shape& y)
    : window_(conv.window), x_(x), y_(y), weights_(conv.weights.size()) {
  const std::size_t channels = conv.bias.size();
  const std::size_t depth = conv.weights.size() / channels;
  for (std::size_t n = 0; n < channels; ++n) {
    for (std::size_t k = 0; k < depth; ++k)
      weights_[k * channels + n] = conv.weights[n * depth + k];
  }
}

std::vector<std::int32_t> TransposedConv::run(const Tensor& gradient) const {
  const int depth = window_.kh * window_.kw * x_.c;
  std::vector<std::int32_t> out(static_cast<std::size_t>(x_.count()), 0);
  const int step = std::clamp(kColumnFloats / (depth * y_.w), 1, y_.h);
  for (int row = 0; row < y_.h; row += step) {
    const int rows = std::min(step, y_.h - row);
    RowMajor part(y_.c, rows * y_.w);
    for (int n = 0; n < y_.c; ++n) {
      const std::int8_t* from = gradient.data() + (std::size_t(n) * y_.h + row) * y_.w;
      for (int i = 0; i < rows * y_.w; ++i) part(n, i) = from[i];
    }
    for (int n = 0; n < y_.c; n += kExactDepth) {
      const int count = std::min(kExactDepth, y_.c - n);
      const ConstMap weights(weights_.data() + n, depth, count, Eigen::OuterStride<>(y_.c));
      const RowMajor columns = weights * part.middleRows(n, count);
      scatter(columns.data(), row, rows, out);
    }
  }
  return out;
}

void TransposedConv::scatter(const float* columns, int first_row, int rows,
                             std::vector<std::int32_t>& out) const {
  for (int k = 0; k < window_.kh * window_.kw * x_.c; ++k) {
    const int c = k % x_.c;
    const int tap = k / x_.c;
    const int shift_x = tap % window_.kw * window_.dilation_w - window_.pad_left;
    for (int r = 0; r < rows; ++r, columns += y_.w) {
      const int iy = (first_row + r) * window_.stride_h - window_.pad_top +
                     tap / window_.kw * window_.dilation_h;
      if (iy < 0 || iy >= x_.h) continue;
      std::int32_t* const to = out.data() + (std::size_t(c) * x_.h + iy) * x_.w;
      if (window_.stride_w == 1) {
        const int from = std::max(0, -shift_x), end = std::min(y_.w, x_.w - shift_x);
        for (int x = from; x < end; ++x) to[x + shift_x] += static_cast<std::int32_t>(columns[x]);
        continue;
      }
      for (int x = 0; x < y_.w; ++x) {
        const int ix = x * window_.stride_w + shift_x;
        if (ix >= 0 && ix < x_.w) to[ix] += static_cast<std::int32_t>(columns[x]);
      }
    }
  }
}

std::vector<std::int32_t> pool_backward(const ir::QuantPool& pool, const ir::Shape& x,
                                        const ir::Shape& y, const Tensor& input,
                                        const Tensor& gradient, double& share) {
  const std::size_t in_plane = std::size_t(x.h) * x.w, out_plane = std::size_t(y.h) * y.w;
  std::vector<std::int32_t> out(std::size_t(x.c) * in_plane, 0);
  const bool average = pool.kind == ir::PoolKind::kAverage;
  int least = std::numeric_limits<int>::max();
  for (int oy = 0; oy < y.h && average; ++oy) {
    for (int ox = 0; ox < y.w; ++ox)
      least = std::min(least, ir::pool_count(pool.window, pool.count_include_pad, x, oy, ox));
  }
  share = average ? 1.0 / least : 1.0;
  for (int oy = 0; oy < y.h; ++oy) {
    for (int ox = 0; ox < y.w; ++ox) {
      const std::size_t pixel = std::size_t(oy) * y.w + ox;
      const int count =
          average ? ir::pool_count(pool.window, pool.count_include_pad, x, oy, ox) : least;
      const float scale = static_cast<float>(least) / static_cast<float>(count);
      for (std::size_t c = 0; c < std::size_t(x.c); ++c) {
        const std::int32_t g = gradient[c * out_plane + pixel];
        std::int32_t* const to = out.data() + c * in_plane;
        if (average) {
          const std::int32_t brought = count == least ? g : requantise(g, scale);
          each_pixel(pool.window, x, oy, ox, [&](std::size_t i) { to[i] += brought; });
          continue;
        }
        const std::int8_t* const from = input.data() + c * in_plane;
        std::size_t best = in_plane;
        each_pixel(pool.window, x, oy, ox, [&](std::size_t i) {
          if (best == in_plane || from[i] > from[best]) best = i;
        });
        to[best] += g;
      }
    }
  }
  return out;
}

ClampBounds clamp_bounds(const ir::QuantNode& node, const ir::Quant& quant) {
  ClampBounds bounds;
  const auto take = [&](int lo, int hi) {
    if (lo == quant.zero) bounds.below = lo;
    if (hi < 127) bounds.above = hi;
  };
  if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) take(conv->lo, conv->hi);
  if (const auto* add = std::get_if<ir::QuantAdd>(&node.op)) take(add->lo, add->hi);
  if (const auto* pool = std::get_if<ir::QuantPool>(&node.op)) take(pool->lo, pool->hi);
  return bounds;
}

}  // namespace espalier::golden
