// Convolution as an exact fp32 matrix product. Activations enter as they are stored, -128..127,
// and padding as the zero point (or as its own values), so that a product is at most 2^14 and a sum
// of 1,023 of them below 2^24: every partial sum is an integer that fp32 holds, in whatever order
// Eigen adds. Chunks are summed in int32, and the zero point is taken out at the end: sum (x - zx)
// w = sum x w - zx sum w.

#include <Eigen/Core>
#include <algorithm>

#include "golden/columns.hpp"
#include "golden/layers.hpp"
#include "golden/numerics.hpp"
#include "support/result.hpp"

namespace espalier::golden {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;

constexpr int kExactDepth = 1023;         // times 2^14, below 2^24
constexpr int kColumnFloats = 96 * 1024;  // of one tile's matrix: it should stay in the L2 cache

/// requantise_clamp over a run of pixels, in a form that the compiler turns into vectors. Clamping
/// the rounded product to +-2^20 first changes nothing: the output saturates far below.
void requantise_row(const std::int32_t* acc, int count, float scale, int zero, int lo, int hi,
                    std::int8_t* out) {
  constexpr float kFar = 1048576.0F;
  for (int i = 0; i < count; ++i) {
    const float rounded = std::nearbyintf(static_cast<float>(acc[i]) * scale);
    const float near = std::min(std::max(rounded, -kFar), kFar);
    const int value = static_cast<int>(near) + zero;
    out[i] = static_cast<std::int8_t>(std::min(std::max(value, lo), hi));
  }
}

ir::QuantConv without_weights(const ir::QuantConv& conv) {
  ir::QuantConv out;
  out.window = conv.window;
  out.out_channels = conv.out_channels;
  out.scale = conv.scale;
  out.border = conv.border;
  out.lo = conv.lo;
  out.hi = conv.hi;
  return out;
}

}  // namespace

PreparedConv::PreparedConv(const ir::QuantConv& conv, const Side& x, const Side& y)
    : conv_(without_weights(conv)),
      x_(x),
      y_(y),
      depth_(conv.window.kh * conv.window.kw * x.shape.c),
      offset_(conv.bias) {
  constexpr std::int64_t kFew = 16;  // of so many weights one
  const auto zeros = std::ranges::count(conv.weights, std::int8_t{0});
  const auto all = static_cast<std::int64_t>(conv.weights.size());
  if ((all - zeros) * kFew > all) {
    weights_.assign(conv.weights.begin(), conv.weights.end());
  } else {
    for (int k = 0; k < depth_; ++k) {
      for (int n = 0; n < conv.out_channels; ++n) {
        const std::int8_t w = conv.weights[std::size_t(n) * depth_ + k];
        if (w != 0) few_.push_back({k, n, w});
      }
    }
  }
  for (int n = 0; n < conv.out_channels; ++n) {
    const std::int8_t* const row = conv.weights.data() + std::size_t(n) * depth_;
    std::int32_t sum = 0;
    for (int k = 0; k < depth_; ++k) sum += row[k];
    offset_[n] -= x.quant.zero * sum;
  }
}

void PreparedConv::rescale(const std::vector<float>& scale) {
  ESP_CHECK(scale.size() == conv_.scale.size());
  conv_.scale = scale;
}

void PreparedConv::run(const std::int8_t* x, int images, std::int8_t* y) const {
  each_run(x, images, [&](int n, const std::int32_t* acc, int count, std::size_t at) {
    requantise_row(acc, count, conv_.scale[n], y_.quant.zero, conv_.lo, conv_.hi, y + at);
  });
}

void PreparedConv::accumulate(const std::int8_t* x, int images, std::int32_t* acc) const {
  each_run(x, images, [acc](int, const std::int32_t* from, int count, std::size_t at) {
    std::copy_n(from, count, acc + at);
  });
}

template <typename Sink>
void PreparedConv::each_run(const std::int8_t* x, int images, Sink sink) const {
  PaddedImages padded(x_.shape, conv_.window, images);
  std::vector<float> pads(conv_.border.begin(), conv_.border.end());
  if (pads.empty()) pads.assign(std::size_t(x_.shape.c), static_cast<float>(x_.quant.zero));
  for (int i = 0; i < images; ++i) padded.set(i, x + i * x_.shape.count(), pads);
  const int all_rows = images * y_.shape.h;
  const int chunk = std::min(depth_, kExactDepth);
  const int step = std::clamp(kColumnFloats / (chunk * y_.shape.w), 1, all_rows);
  const int plane = y_.shape.h * y_.shape.w;
  for (int row = 0; row < all_rows; row += step) {
    const int rows = std::min(step, all_rows - row);
    const std::vector<std::int32_t> acc = tile(padded, row, rows);
    for (int n = 0; n < conv_.out_channels; ++n) {
      // Rows of one image are one run in the output; a tile may hold several images.
      for (int r = 0; r < rows;) {
        const int image = (row + r) / y_.shape.h;
        const int image_row = (row + r) % y_.shape.h;
        const int run = std::min(rows - r, y_.shape.h - image_row);
        sink(n, acc.data() + (std::size_t(n) * rows + r) * y_.shape.w, run * y_.shape.w,
             (std::size_t(image) * conv_.out_channels + n) * plane +
                 std::size_t(image_row) * y_.shape.w);
        r += run;
      }
    }
  }
}

std::vector<std::int32_t> PreparedConv::tile(const PaddedImages& padded, int first_row,
                                             int rows) const {
  const int pixels = rows * y_.shape.w;
  const int channels = conv_.out_channels;
  RowMajor columns(std::min(depth_, kExactDepth), pixels);
  RowMajor product(channels, pixels);
  std::vector<std::int32_t> acc(std::size_t(channels) * pixels);
  for (int n = 0; n < channels; ++n) {
    std::fill_n(acc.data() + std::size_t(n) * pixels, pixels, offset_[n]);
  }
  if (weights_.empty()) {
    add_few(padded, first_row, rows, acc);
    return acc;
  }
  for (int k = 0; k < depth_; k += kExactDepth) {
    const int depth = std::min(kExactDepth, depth_ - k);
    fill_columns(padded, y_.shape, {first_row, rows}, k, depth, columns.data());
    const ConstMap weights(weights_.data() + k, channels, depth, Eigen::OuterStride<>(depth_));
    product.noalias() = weights * columns.topRows(depth);
    const float* const sums = product.data();
    for (std::size_t i = 0; i < acc.size(); ++i) acc[i] += static_cast<std::int32_t>(sums[i]);
  }
  return acc;
}

void PreparedConv::add_few(const PaddedImages& padded, int first_row, int rows,
                           std::vector<std::int32_t>& acc) const {
  const auto pixels = std::size_t(rows) * y_.shape.w;
  std::vector<float> column(pixels);
  int k = -1;
  for (const Weight& weight : few_) {
    if (weight.k != k) {
      k = weight.k;
      fill_columns(padded, y_.shape, {first_row, rows}, k, 1, column.data());
    }
    std::int32_t* const to = acc.data() + std::size_t(weight.n) * pixels;
    for (std::size_t i = 0; i < pixels; ++i)
      to[i] += weight.value * static_cast<std::int32_t>(column[i]);
  }
}

}  // namespace espalier::golden
