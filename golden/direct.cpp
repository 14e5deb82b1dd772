// Activations are floats that hold -128..127 and weights likewise, so that a product is at most
// 2^14 and a sum of 1,023 of them below 2^24: every partial sum is an integer that fp32 holds, in
// whatever order it is made, and a fused multiplication and addition gives the same.

#include "golden/direct.hpp"

#include <algorithm>
#include <cstring>

namespace espalier::golden {
namespace {

using Vector = float __attribute__((vector_size(kPixels * sizeof(float))));
using Unaligned = float __attribute__((vector_size(kPixels * sizeof(float)), aligned(4)));
using Integers = std::int32_t __attribute__((vector_size(kPixels * sizeof(std::int32_t))));

constexpr std::size_t kExactDepth = 1023;  // times 2^14, below 2^24

}  // namespace

Layout::Layout(const ir::Shape& x, const ir::Window& window)
    : x_(x), window_(window), height_(x.h + window.pad_top + window.pad_bottom) {
  const int width = x.w + window.pad_left + window.pad_right;
  phase_ = (width + window.stride_w - 1) / window.stride_w;
  row_ = phase_ * window.stride_w;
}

std::size_t Layout::floats() const { return plane() * static_cast<std::size_t>(x_.c) + kPixels; }

void Layout::fill(const std::int8_t* image, std::span<const float> pads, float* out) const {
  const int width = x_.w, left = window_.pad_left;  // known to stay, for the compiler
  for (const float pad : pads) {
    std::fill_n(out, plane(), pad);
    for (int y = 0; y < x_.h; ++y, image += width) {
      float* const row = out + std::ptrdiff_t{y + window_.pad_top} * row_;
      if (window_.stride_w == 1) {
        std::copy_n(image, width, row + left);
      } else {
        for (int x = 0; x < width; ++x) row[column(x + left)] = image[x];
      }
    }
    out += plane();
  }
  std::fill_n(out, kPixels, 0.0F);
}

std::vector<std::ptrdiff_t> Layout::offsets() const {
  std::vector<std::ptrdiff_t> list;
  for (int dy = 0; dy < window_.kh; ++dy) {
    for (int dx = 0; dx < window_.kw; ++dx) {
      for (int c = 0; c < x_.c; ++c) {
        list.push_back((std::ptrdiff_t{c} * height_ + dy * window_.dilation_h) * row_ +
                       column(dx * window_.dilation_w));
      }
    }
  }
  return list;
}

Packed::Packed(std::span<const std::int8_t> weights, int outputs, int depth)
    : groups_((outputs + kOutputs - 1) / kOutputs),
      depth_(static_cast<std::size_t>(depth)),
      values_(static_cast<std::size_t>(groups_) * depth_ * kOutputs) {
  for (std::size_t n = 0; n < static_cast<std::size_t>(outputs); ++n) {
    float* const to = values_.data() + n / kOutputs * depth_ * kOutputs + n % kOutputs;
    for (std::size_t k = 0; k < depth_; ++k) to[k * kOutputs] = weights[n * depth_ + k];
  }
}

void direct(const float* weights, std::span<const std::ptrdiff_t> offsets,
            const float* const (&at)[kVectors],
            std::int32_t (&sums)[Packed::kOutputs][kVectors][kPixels]) {
  for (std::size_t first = 0; first < offsets.size(); first += kExactDepth) {
    Vector part[Packed::kOutputs][kVectors] = {};
    const std::size_t end = std::min(offsets.size(), first + kExactDepth);
    for (std::size_t k = first; k < end; ++k) {
      Vector x[kVectors];
      for (int v = 0; v < kVectors; ++v)
        x[v] = *reinterpret_cast<const Unaligned*>(at[v] + offsets[k]);
      for (int n = 0; n < Packed::kOutputs; ++n) {
        const float w = weights[k * Packed::kOutputs + static_cast<std::size_t>(n)];
        for (int v = 0; v < kVectors; ++v) part[n][v] += w * x[v];
      }
    }
    for (int n = 0; n < Packed::kOutputs; ++n) {
      for (int v = 0; v < kVectors; ++v) {
        Integers sum;
        std::memcpy(&sum, sums[n][v], sizeof sum);
        sum += __builtin_convertvector(part[n][v], Integers);
        std::memcpy(sums[n][v], &sum, sizeof sum);
      }
    }
  }
}

}  // namespace espalier::golden
