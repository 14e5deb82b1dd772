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

void concat(std::span<const std::int8_t* const> in, std::span<const std::size_t> sizes, int images,
            std::int8_t* out) {
  for (int image = 0; image < images; ++image) {
    for (std::size_t i = 0; i < in.size(); ++i) {
      out = std::copy_n(in[i] + std::size_t(image) * sizes[i], sizes[i], out);
    }
  }
}

}  // namespace espalier::golden
