#pragma once
// im2col: the matrix whose product with the weights is a convolution. For the float reference.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::golden {

/// Several images side by side, padded, as floats.
/// Shapes: [image][C][Hp][Wp], Hp and Wp being the extents with padding.
class PaddedImages {
 public:
  PaddedImages(const ir::Shape& shape, const ir::Window& window, int images)
      : shape_(shape),
        window_(window),
        height_(shape.h + window.pad_top + window.pad_bottom),
        width_(shape.w + window.pad_left + window.pad_right),
        values_(static_cast<std::size_t>(images) * image_size()) {}

  /// Copies image i in; `pads[c]` goes where there is padding.
  template <typename T>
  void set(int i, const T* source, std::span<const float> pads) {
    float* out = values_.data() + static_cast<std::size_t>(i) * image_size();
    for (int c = 0; c < shape_.c; ++c) {
      const float pad = pads[static_cast<std::size_t>(c)];
      for (int y = 0; y < height_; ++y) {
        const int in_y = y - window_.pad_top;
        float* const row = out + (std::size_t(c) * height_ + y) * width_;
        if (in_y < 0 || in_y >= shape_.h) {
          std::fill_n(row, width_, pad);
          continue;
        }
        const T* const from = source + (std::size_t(c) * shape_.h + in_y) * shape_.w;
        std::fill_n(row, window_.pad_left, pad);
        for (int x = 0; x < shape_.w; ++x) row[window_.pad_left + x] = static_cast<float>(from[x]);
        std::fill_n(row + window_.pad_left + shape_.w, window_.pad_right, pad);
      }
    }
  }

  /// The row of one image's channel c at padded row y.
  [[nodiscard]] const float* row(int image, int c, int y) const {
    return values_.data() + static_cast<std::size_t>(image) * image_size() +
           (std::size_t(c) * height_ + y) * width_;
  }
  [[nodiscard]] const ir::Window& window() const { return window_; }
  [[nodiscard]] const ir::Shape& shape() const { return shape_; }

 private:
  [[nodiscard]] std::size_t image_size() const {
    return static_cast<std::size_t>(shape_.c) * height_ * width_;
  }

  ir::Shape shape_;
  ir::Window window_;
  int height_, width_;
  std::vector<float> values_;
};

/// A run of output rows, over all images: row r is row r % height of image r / height.
struct RowRange {
  int first = 0, count = 0;
};

/// Rows [first, first + depth) of the im2col matrix, in the order of the weights ([KH][KW][C]), for
/// a run of output rows. Shapes: out [depth][rows.count * out_w].
inline void fill_columns(const PaddedImages& images, const ir::Shape& output, RowRange rows,
                         int first, int depth, float* out) {
  const ir::Window& w = images.window();
  const int channels = images.shape().c;
  for (int k = first; k < first + depth; ++k) {
    const int c = k % channels;
    const int tap = k / channels;
    const int dy = tap / w.kw * w.dilation_h;
    const int dx = tap % w.kw * w.dilation_w;
    for (int r = rows.first; r < rows.first + rows.count; ++r) {
      const float* from = images.row(r / output.h, c, r % output.h * w.stride_h + dy) + dx;
      if (w.stride_w == 1) {
        std::memcpy(out, from, sizeof(float) * output.w);
      } else {
        for (int x = 0; x < output.w; ++x) out[x] = from[std::ptrdiff_t{x} * w.stride_w];
      }
      out += output.w;
    }
  }
}

}  // namespace espalier::golden
