#pragma once
// The sums of a convolution straight from its padded input, without a matrix of columns.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::golden {

/// Where a convolution's input lies as floats: padded, and columns apart by the stride, so that
/// what one weight sees of neighbouring outputs of a row lies side by side.
class Layout {
 public:
  Layout(const ir::Shape& x, const ir::Window& window);
  /// Of one image, with room behind it for a whole vector.
  [[nodiscard]] std::size_t floats() const;
  /// Copies an image in; `pads[c]` goes where channel c has padding.
  void fill(const std::int8_t* image, std::span<const float> pads, float* out) const;
  /// Of the first weight's input for the first output of a row.
  [[nodiscard]] std::ptrdiff_t place(int output_row) const {
    return static_cast<std::ptrdiff_t>(output_row) * window_.stride_h * row_;
  }
  /// From there to the input of each weight, which are ordered [KH][KW][C].
  [[nodiscard]] std::vector<std::ptrdiff_t> offsets() const;

 private:
  [[nodiscard]] std::size_t plane() const {
    return static_cast<std::size_t>(row_) * static_cast<std::size_t>(height_);
  }
  [[nodiscard]] std::ptrdiff_t column(int x) const {
    return x % window_.stride_w * phase_ + x / window_.stride_w;
  }
  ir::Shape x_;
  ir::Window window_;
  int height_;
  std::ptrdiff_t phase_, row_;  ///< floats of the columns of one phase, and of a row
};

/// Weights of a convolution in the order in which direct() reads them, as floats.
class Packed {
 public:
  static constexpr int kOutputs = 4;  ///< side by side
  /// Shapes: weights [outputs][depth].
  Packed(std::span<const std::int8_t> weights, int outputs, int depth);
  [[nodiscard]] int groups() const { return groups_; }
  /// Shapes: [depth][kOutputs].
  [[nodiscard]] const float* group(int g) const {
    return values_.data() + static_cast<std::size_t>(g) * depth_ * kOutputs;
  }

 private:
  int groups_;
  std::size_t depth_;
  std::vector<float> values_;
};

constexpr int kPixels = 8;   ///< of one vector
constexpr int kVectors = 3;  ///< side by side

/// Adds the products of one group of outputs and kVectors x kPixels pixels to the sums. Exact where
/// activations and weights are int8. Shapes: at: the first input of each vector; sums
/// [kOutputs][kVectors][kPixels].
void direct(const float* weights, std::span<const std::ptrdiff_t> offsets,
            const float* const (&at)[kVectors],
            std::int32_t (&sums)[Packed::kOutputs][kVectors][kPixels]);

}  // namespace espalier::golden
