#include <algorithm>

#include "golden/layers.hpp"
#include "golden/numerics.hpp"

namespace espalier::golden {

void add(const ir::QuantAdd& op, const ir::Quant& a, const ir::Quant& b, const ir::Quant& y,
         std::span<const std::int8_t> in_a, std::span<const std::int8_t> in_b, std::int8_t* out) {
  const AddParameters p{.za = a.zero,
                        .zb = b.zero,
                        .zy = y.zero,
                        .ma = op.ma,
                        .mb = op.mb,
                        .shift = op.shift,
                        .lo = op.lo,
                        .hi = op.hi};
  for (std::size_t i = 0; i < in_a.size(); ++i) out[i] = residual_add(in_a[i], in_b[i], p);
}

void gate(const ir::QuantGate& op, std::span<const std::int8_t> g, std::span<const std::int8_t> b,
          std::int8_t* out) {
  for (std::size_t i = 0; i < g.size(); ++i)
    out[i] = b[i] >= op.low && b[i] <= op.high ? g[i] : std::int8_t{0};
}

void score(const ir::Shape& x, const ir::Quant& b_quant, std::span<const std::int8_t> g,
           std::span<const std::int8_t> b, int images, std::int8_t* out) {
  const std::size_t plane = std::size_t(x.h) * x.w;
  for (std::size_t c = 0; c < std::size_t(images) * x.c; ++c) {
    std::int32_t sum = 0;
    for (std::size_t i = c * plane; i < (c + 1) * plane; ++i) sum += g[i] * (b[i] - b_quant.zero);
    for (int byte = 0; byte < 4; ++byte)
      *out++ = static_cast<std::int8_t>(static_cast<std::uint32_t>(sum) >> (8 * byte));
  }
}

void slice(const ir::QuantSlice& op, const ir::Shape& x, const ir::Shape& y, const std::int8_t* in,
           int images, std::int8_t* out) {
  const std::size_t plane = std::size_t(x.h) * x.w;
  for (int image = 0; image < images; ++image, in += x.count())
    out = std::copy_n(in + op.first * plane, y.count(), out);
}

void interleave(const ir::QuantInterleave& op, std::size_t phase, const ir::Shape& x,
                const ir::Shape& y, const std::int8_t* in, int images, std::int8_t* out) {
  const std::size_t row = phase / std::size_t(op.cols), col = phase % std::size_t(op.cols);
  for (std::size_t c = 0; c < std::size_t(images) * x.c; ++c) {
    std::int8_t* const plane = out + c * y.h * y.w;
    for (std::size_t r = 0; r < std::size_t(x.h); ++r) {
      for (std::size_t q = 0; q < std::size_t(x.w); ++q)
        plane[(r * op.rows + row) * y.w + q * op.cols + col] = *in++;
    }
  }
}

void concat(std::span<const std::int8_t* const> in, std::span<const std::size_t> sizes, int images,
            std::int8_t* out) {
  for (int image = 0; image < images; ++image) {
    for (std::size_t i = 0; i < in.size(); ++i) {
      out = std::copy_n(in[i] + std::size_t(image) * sizes[i], sizes[i], out);
    }
  }
}

}  // namespace espalier::golden
