#pragma once
// Shapes of a layer as the machine sees them: in blocks, taps and words.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler/layers.hpp"
#include "ir/graph.hpp"
#include "isa/generated/configs.hpp"
#include "program/program.hpp"

namespace espalier::compiler {

/// One axis of a window. Units: pixels.
struct Axis {
  int in = 1, out = 1, kernel = 1, stride = 1, dil = 1, pad = 0;
  bool operator==(const Axis&) const = default;
};

/// Input pixels that outputs [out, out + count) need of taps [tap, tap + taps), clipped to the
/// image; `origin` is where tap 0 of the first output lies, counted from the first pixel loaded.
struct Reach {
  Span pixels;
  int origin = 0;
};
Reach reach(const Axis& axis, int out, int count, int tap, int taps);

/// How an image's pixels become lanes: fy x fx taps are folded into lanes, and every (py, px)-th
/// pixel starts a packed one.
struct Relay {
  int fy = 1, fx = 1, py = 1, px = 1;
  bool bordered = false;  ///< padding has values of its own: the host must write it
  bool operator==(const Relay&) const = default;
  [[nodiscard]] bool active() const { return fy > 1 || fx > 1 || bordered; }
};

/// What the second word of a pixel is where a CONV is fine (docs/fine.md).
enum class Second : std::uint8_t { kNone, kBlock, kTap };

/// Where weight (c, ky, kx) of a convolution lies.
struct KPlace {
  int tap_y = 0, tap_x = 0, lane = 0;  ///< lane of all k blocks together
};

struct ConvGeometry {
  Axis y, x;
  int kb = 1, nb = 1;               ///< blocks of input and output channels
  int block_words = 1;              ///< memory words from one input block to the next
  int row_words = 1;                ///< from one row to the next
  int first_word = 0;               ///< of row 0
  int row_step = 1, row_first = 0;  ///< image row of row r: row_first + r * row_step
  bool flat = false;  ///< a fully connected layer: each input pixel is a block of its own
  Relay relay;
  bool add = false;      ///< an operand comes from memory
  bool gap = false;      ///< sums over pixels, one n block at a time where there are several tiles
  bool strided = false;  ///< the output is a phase: a STORE has one block
  /// Every output block reads the input block of its number alone (kb is 1): copies.
  bool diagonal = false;
  bool fine = false;      ///< of every four channels at most two have weights: CONVs may be fine
  bool switched = false;  ///< bits that come beside the weights say which stay
  /// Whether two taps of a row may be one: their words lie in different banks.
  [[nodiscard]] bool pairs_taps() const { return x.kernel > 1 && x.dil % 2 == 1 && x.dil < 16; }
  /// Passes over all taps of so many k blocks, for each pixel tile and n block.
  [[nodiscard]] int passes(int blocks) const {
    if (!fine) return taps() * blocks;
    const int columns = pairs_taps() ? (x.kernel + 1) / 2 : x.kernel;  // of the block that is left
    return taps() * (blocks / 2) + y.kernel * columns * (blocks % 2);
  }
  /// CONVs of one n block only.
  [[nodiscard]] bool by_block() const { return strided || diagonal; }
  [[nodiscard]] int taps() const { return y.kernel * x.kernel; }
  [[nodiscard]] int pixels() const { return y.out * x.out; }
  bool operator==(const ConvGeometry&) const = default;
};

struct PoolGeometry {
  Axis y, x;
  int blocks = 1;
  bool uniform = true;  ///< every window divides by the same count (or it is a maximum)
  bool use_table = false;
};

/// Geometry of a layer; `relay` applies to the graph's input. Errors: kUnsupported, kCapacity.
Result<ConvGeometry> conv_geometry(const ir::QuantGraph& graph, const Layout& layout,
                                   const LayerNodes& layer, int lanes, const Relay& relay);
Result<PoolGeometry> pool_geometry(const ir::QuantGraph& graph, const Layout& layout,
                                   const LayerNodes& layer);

/// Whether each block of a convolution's output channels has weights for the input block of its
/// number only.
bool is_diagonal(const ir::QuantConv& conv, const Channels& in, const Channels& out, int lanes);

/// The channels that a layer's convolution itself makes: its output's, but where sums over pixels
/// follow.
const Channels& made(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer);

/// Whether of every four channels (lanes 4i to 4i + 3) of every output and tap at most two have
/// weights.
bool two_of_four(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                 const ConvGeometry& geometry, int lanes);

/// Whether every four lanes have weights of one group of four input channels and of one tap only:
/// then two of four channels are two of four lanes.
bool fours_stay(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                const ConvGeometry& geometry, int lanes);

/// Where the weights of one output channel lie in its row, in the graph's order: bytes.
std::vector<int> weight_places(const ir::QuantGraph& graph, const Layout& layout,
                               const LayerNodes& layer, const ConvGeometry& geometry, int lanes);

/// The share of a layer's tiles (lanes x lanes channels of a tap) that have weights.
double live_tiles(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                  const ConvGeometry& geometry, int lanes);

/// Place of a weight in the layer's [Np][KH][KW][Kp] image.
KPlace place_weight(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                    const ConvGeometry& geometry, int lanes, int c, int ky, int kx);

/// The input's lanes for a first convolution with this relay (or any other reader, without).
program::InputLayout input_layout(const ir::QuantGraph& graph, const LayerNodes* layer,
                                  const Relay& relay, int lanes);

/// A strided transfer of words, with dimensions that lie end to end merged. Units: words.
struct Transfer {
  int x = 1, y = 1, z = 1;
  std::int64_t y_stride = 0, z_stride = 0;
  bool blocks = false;  ///< z counts blocks: of merge_rows
};
Transfer merge(int x, int y, std::int64_t y_stride, int z, std::int64_t z_stride);
/// The same, but z (blocks) stays a dimension of its own.
Transfer merge_rows(int x, int y, std::int64_t y_stride, int z, std::int64_t z_stride);

}  // namespace espalier::compiler
