// Convolution as an exact product of floats (golden/direct.cpp). Activations enter as they are
// stored, -128..127, and padding as the zero point or as its own values; the zero point is taken
// out at the end: sum (x - zx) w = sum x w - zx sum w.

#include <algorithm>
#include <cmath>

#include "golden/layers.hpp"
#include "golden/numerics.hpp"
#include "base/result.hpp"

namespace espalier::golden {
namespace {

constexpr std::size_t kTileFloats = 32 * 1024;  ///< of input rows at once: they should stay in L2

/// A window of one pixel sees a plane as one row.
bool single(const ir::Window& w) {
  return w.kh == 1 && w.kw == 1 && w.stride_h == 1 && w.stride_w == 1 && w.pad_top == 0 &&
         w.pad_left == 0 && w.pad_bottom == 0 && w.pad_right == 0;
}
ir::Shape as_seen(const ir::Shape& shape, const ir::Window& window) {
  return single(window) ? ir::Shape{shape.c, 1, shape.h * shape.w} : shape;
}

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
  out.lo = conv.lo;
  out.hi = conv.hi;
  return out;
}

}  // namespace

PreparedConv::PreparedConv(const ir::QuantConv& conv, const Side& x, const Side& y)
    : conv_(without_weights(conv)),
      x_(x),
      y_(y),
      layout_(as_seen(x.shape, conv.window), conv.window),
      offsets_(layout_.offsets()),
      rows_(as_seen(y.shape, conv.window).h),
      width_(as_seen(y.shape, conv.window).w),
      pads_(conv.border.begin(), conv.border.end()),
      offset_(conv.bias) {
  pads_.resize(std::size_t(x.shape.c), static_cast<float>(x.quant.zero));
  const int depth = conv.window.kh * conv.window.kw * x.shape.c;
  constexpr std::int64_t kFew = 16;  // of so many weights one
  const auto zeros = std::ranges::count(conv.weights, std::int8_t{0});
  const auto all = static_cast<std::int64_t>(conv.weights.size());
  if ((all - zeros) * kFew > all) {
    weights_.emplace(conv.weights, conv.out_channels, depth);
  } else {
    for (int k = 0; k < depth; ++k) {
      for (int n = 0; n < conv.out_channels; ++n) {
        const std::int8_t w = conv.weights[std::size_t(n) * depth + k];
        if (w != 0) few_.push_back({k, n, w});
      }
    }
  }
  for (int n = 0; n < conv.out_channels; ++n) {
    const std::int8_t* const row = conv.weights.data() + std::size_t(n) * depth;
    std::int32_t sum = 0;
    for (int k = 0; k < depth; ++k) sum += row[k];
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
  const int channels = conv_.out_channels;
  const auto plane = std::size_t(y_.shape.h) * y_.shape.w;
  std::vector<float> padded(layout_.floats());
  std::vector<std::int32_t> acc(channels * plane);
  for (int i = 0; i < images; ++i) {
    layout_.fill(x + i * x_.shape.count(), pads_, padded.data());
    for (int n = 0; n < channels; ++n) std::fill_n(acc.data() + n * plane, plane, offset_[n]);
    if (weights_) {
      add_all(padded.data(), acc.data());
    } else {
      add_few(padded.data(), acc.data());
    }
    for (int n = 0; n < channels; ++n)
      sink(n, acc.data() + n * plane, static_cast<int>(plane),
           (std::size_t(i) * channels + n) * plane);
  }
}

void PreparedConv::add_all(const float* padded, std::int32_t* acc) const {
  const auto plane = std::size_t(rows_) * width_;
  const int step =
      std::clamp(static_cast<int>(kTileFloats / (layout_.floats() / rows_ + 1)), 1, rows_);
  struct Spot {  // a vector's first input, where its sums belong, and how many they are
    const float* at;
    std::size_t to;
    int count;
  };
  std::vector<Spot> spots;
  for (int first = 0; first < rows_; first += step) {
    spots.clear();
    for (int row = first; row < std::min(rows_, first + step); ++row) {
      for (int x = 0; x < width_; x += kPixels) {
        spots.push_back({padded + layout_.place(row) + x, std::size_t(row) * width_ + x,
                         std::min(kPixels, width_ - x)});
      }
    }
    for (int g = 0; g < weights_->groups(); ++g) {
      for (std::size_t s = 0; s < spots.size(); s += kVectors) {
        const float* at[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v)
          at[v] = spots[std::min(s + v, spots.size() - 1)].at;
        std::int32_t sums[Packed::kOutputs][kVectors][kPixels] = {};
        direct(weights_->group(g), offsets_, at, sums);
        const int live = std::min(Packed::kOutputs, conv_.out_channels - g * Packed::kOutputs);
        for (int n = 0; n < live; ++n) {
          std::int32_t* const to = acc + (std::size_t(g) * Packed::kOutputs + n) * plane;
          for (std::size_t v = 0; v < kVectors && s + v < spots.size(); ++v) {
            const Spot& spot = spots[s + v];
            for (int i = 0; i < spot.count; ++i) to[spot.to + i] += sums[n][v][i];
          }
        }
      }
    }
  }
}

void PreparedConv::add_few(const float* padded, std::int32_t* acc) const {
  const auto plane = std::size_t(rows_) * width_;
  for (const Weight& weight : few_) {
    for (int row = 0; row < rows_; ++row) {
      const float* const from = padded + layout_.place(row) + offsets_[weight.k];
      std::int32_t* const to = acc + weight.n * plane + std::size_t(row) * width_;
      for (int x = 0; x < width_; ++x) to[x] += weight.value * static_cast<std::int32_t>(from[x]);
    }
  }
}

}  // namespace espalier::golden
