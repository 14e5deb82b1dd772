#pragma once
// The layers behind golden.hpp. Each works on a batch of images, one after the other.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "golden/direct.hpp"
#include "ir/graph.hpp"

namespace espalier::golden {

/// One side of a layer: shape of one image and how its numbers are to be read.
struct Side {
  ir::Shape shape;
  ir::Quant quant;
};

/// A convolution ready to run: its weights as floats, which hold them exactly. Refers to nothing.
class PreparedConv {
 public:
  PreparedConv(const ir::QuantConv& conv, const Side& x, const Side& y);
  /// Takes other multipliers; all else stays.
  void rescale(const std::vector<float>& scale);
  /// Shapes: x [images][C][H][W], y [images][N][Ho][Wo].
  void run(const std::int8_t* x, int images, std::int8_t* y) const;
  /// The sums before they are requantised, bias included. Shapes: acc [images][N][Ho][Wo].
  void accumulate(const std::int8_t* x, int images, std::int32_t* acc) const;

 private:
  /// Calls sink(n, values, count, at) for runs of sums of channel n that belong at y[at].
  template <typename Sink>
  void each_run(const std::int8_t* x, int images, Sink sink) const;
  /// Adds the products of one padded image. Shapes: acc [N][Ho][Wo].
  void add_all(const float* padded, std::int32_t* acc) const;
  /// The same of few_.
  void add_few(const float* padded, std::int32_t* acc) const;

  ir::QuantConv conv_;  ///< without weights and biases
  Side x_, y_;
  Layout layout_;
  std::vector<std::ptrdiff_t> offsets_;  ///< by weight of a row
  int rows_, width_;                     ///< of the output as layout_ sees it
  std::vector<float> pads_;              ///< by channel: what padding holds
  std::optional<Packed> weights_;        ///< none where few_ has them
  /// The weights that are not 0, where they are few: copies of channels. In the order of k.
  struct Weight {
    int k = 0, n = 0;
    std::int32_t value = 0;
  };
  std::vector<Weight> few_;
  std::vector<std::int32_t> offset_;  ///< bias minus zero point times the sum of the weights
};

void pool(const ir::QuantPool& op, const Side& x, const Side& y, const std::int8_t* in, int images,
          std::int8_t* out);

void add(const ir::QuantAdd& op, const ir::Quant& a, const ir::Quant& b, const ir::Quant& y,
         std::span<const std::int8_t> in_a, std::span<const std::int8_t> in_b, std::int8_t* out);

// Of backward graphs. Shapes: `x` one image of the (first) input, `y` one of the output.

void gate(const ir::QuantGate& op, std::span<const std::int8_t> g, std::span<const std::int8_t> b,
          std::int8_t* out);
void score(const ir::Shape& x, const ir::Quant& b_quant, std::span<const std::int8_t> g,
           std::span<const std::int8_t> b, int images, std::int8_t* out);
void slice(const ir::QuantSlice& op, const ir::Shape& x, const ir::Shape& y, const std::int8_t* in,
           int images, std::int8_t* out);
/// Writes input `phase`, whose shape is `x`.
void interleave(const ir::QuantInterleave& op, std::size_t phase, const ir::Shape& x,
                const ir::Shape& y, const std::int8_t* in, int images, std::int8_t* out);

/// Shapes: in[i] is [images][Ci][H][W]; sizes[i] is Ci * H * W.
void concat(std::span<const std::int8_t* const> in, std::span<const std::size_t> sizes, int images,
            std::int8_t* out);

}  // namespace espalier::golden
