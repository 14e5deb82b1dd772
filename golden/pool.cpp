#include <algorithm>

#include "golden/layers.hpp"
#include "golden/numerics.hpp"
#include "ir/numerics.hpp"

namespace espalier::golden {
namespace {

/// The taps of a window that lie inside the image, along one axis.
struct Taps {
  int start, first, last;  ///< position of tap 0; taps first..last are inside
};

Taps inside(int out, int stride, int pad, int kernel, int dilation, int size) {
  const int start = out * stride - pad;
  const int first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  return {start, first, std::min(kernel - 1, (size - 1 - start) / dilation)};
}

/// Calls visit(pixel) for every pixel of one channel's window.
template <typename Visit>
void each_tap(const ir::Window& w, const ir::Shape& shape, int oy, int ox, const std::int8_t* in,
              Visit visit) {
  const Taps ty = inside(oy, w.stride_h, w.pad_top, w.kh, w.dilation_h, shape.h);
  const Taps tx = inside(ox, w.stride_w, w.pad_left, w.kw, w.dilation_w, shape.w);
  for (int ky = ty.first; ky <= ty.last; ++ky) {
    const std::int8_t* const row = in + std::size_t(ty.start + ky * w.dilation_h) * shape.w;
    for (int kx = tx.first; kx <= tx.last; ++kx) visit(row[tx.start + kx * w.dilation_w]);
  }
}

void max_plane(const ir::QuantPool& op, const Side& x, const Side& y, const std::int8_t* in,
               std::int8_t* out) {
  for (int oy = 0; oy < y.shape.h; ++oy) {
    for (int ox = 0; ox < y.shape.w; ++ox) {
      std::int8_t most = -128;
      each_tap(op.window, x.shape, oy, ox, in,
               [&most](std::int8_t v) { most = std::max(most, v); });
      *out++ = static_cast<std::int8_t>(std::clamp<int>(most, op.lo, op.hi));
    }
  }
}

void average_plane(const ir::QuantPool& op, const Side& x, const Side& y, const std::int8_t* in,
                   std::int8_t* out) {
  for (int oy = 0; oy < y.shape.h; ++oy) {
    for (int ox = 0; ox < y.shape.w; ++ox) {
      std::int32_t sum = 0;
      each_tap(op.window, x.shape, oy, ox, in,
               [&sum, zero = x.quant.zero](std::int8_t v) { sum += v - zero; });
      const int count = ir::pool_count(op.window, op.count_include_pad, x.shape, oy, ox);
      const float scale = ir::pool_multiplier(x.quant.scale, y.quant.scale, count);
      *out++ = requantise_clamp(sum, scale, y.quant.zero, op.lo, op.hi);
    }
  }
}

}  // namespace

void pool(const ir::QuantPool& op, const Side& x, const Side& y, const std::int8_t* in, int images,
          std::int8_t* out) {
  const std::size_t planes = std::size_t(images) * x.shape.c;
  const std::size_t in_plane = std::size_t(x.shape.h) * x.shape.w;
  const std::size_t out_plane = std::size_t(y.shape.h) * y.shape.w;
  const auto plane = op.kind == ir::PoolKind::kMax ? max_plane : average_plane;
  for (std::size_t p = 0; p < planes; ++p) plane(op, x, y, in + p * in_plane, out + p * out_plane);
}

}  // namespace espalier::golden
