#pragma once
// The two graphs of the stack. Importers write a FloatGraph (canonical operators, everything that
// folds is folded) or, for models that are quantised already, a QuantGraph; the quantiser turns the
// first into the second; golden runs a QuantGraph; the compiler maps it to instructions.
//
// Both are for one image: activations are [C][H][W], a vector is C x 1 x 1. Nodes stand in
// topological order; tensor ids are indices into `tensors`.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace espalier::ir {

/// Extent of an activation tensor. Units: elements.
struct Shape {
  int c = 0, h = 0, w = 0;
  [[nodiscard]] std::int64_t count() const { return std::int64_t{c} * h * w; }
  bool operator==(const Shape&) const = default;
};

/// The window of a convolution or a pool. Units: pixels. Pads may differ on all four sides;
/// windows of a pool in ceil mode may reach past the bottom and right pads, and what lies there
/// is neither read nor counted.
struct Window {
  int kh = 1, kw = 1;
  int stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int dilation_h = 1, dilation_w = 1;
  bool operator==(const Window&) const = default;
};

enum class PoolKind { kMax, kAverage };

/// Input channels [first, last).
struct ChannelRange {
  int first = 0, last = 0;
  [[nodiscard]] bool empty() const { return first == last; }
  bool operator==(const ChannelRange&) const = default;
};

/// What the network multiplies in a convolution whose weights stand dense: for each output channel
/// the input channels. The weights of others are zeros that stand in for groups or for a scale a
/// channel. An empty range: the channel is only moved, by a copy, a border or a slice. No list:
/// all.
using Reads = std::vector<ChannelRange>;

// ---------------------------------------------------------------------------------- float

/// Convolution. Shapes: weights [N][KH][KW][C], bias [N]. A fully connected layer is one whose
/// kernel is the whole input.
struct FloatConv {
  Window window;
  int out_channels = 0;
  std::vector<float> weights;
  std::vector<float> bias;
  /// What padding holds, by input channel; empty: 0. Only on the graph's input, read by this alone.
  std::vector<float> border = {};
  Reads reads = {};
};
struct FloatAdd {};  ///< two inputs of one shape
struct FloatClamp {
  float lo = 0, hi = 0;
};  ///< ReLU has hi = +infinity
struct FloatPool {
  PoolKind kind = PoolKind::kMax;
  Window window;
  bool count_include_pad = false;  ///< average only: the divisor counts padding
};
struct FloatConcat {};  ///< along channels, two inputs or more
/// y = clamp-free copy of x through softmax over channels; runs on the host, last node only.
struct FloatSoftmax {};

/// Names in `host_ops` of what the host does to the output, which its reader must know.
inline constexpr const char* kLogSoftmax = "log_softmax";  ///< softmax's logarithm over channels
/// From channel by channel to pixel by pixel.
inline constexpr const char* kTransposeOutput = "transpose of the output";

using FloatOp = std::variant<FloatConv, FloatAdd, FloatClamp, FloatPool, FloatConcat, FloatSoftmax>;

struct FloatTensor {
  std::string name;
  Shape shape;
};
struct FloatNode {
  std::string name;
  std::vector<int> inputs;
  int output = -1;
  FloatOp op;
};

struct FloatGraph {
  std::string name;
  std::vector<FloatTensor> tensors;
  std::vector<FloatNode> nodes;
  int input = -1, output = -1;
  std::vector<std::string> host_ops;  ///< operators at the ends that the host does, for the report
};

// ---------------------------------------------------------------------------------- quantised

/// Per-tensor affine quantisation: real = scale * (q - zero). q is int8.
struct Quant {
  float scale = 1.0F;
  int zero = 0;
  bool operator==(const Quant&) const = default;
};

/// y = clamp(rne(fp32(acc) * scale[n]) + zero_y, lo, hi), acc = bias + sum (x - zero_x) * w.
/// Shapes: weights [N][KH][KW][C] int8, bias [N], scale [N] (fp32: s_x * s_w[n] / s_y).
struct QuantConv {
  Window window;
  int out_channels = 0;
  std::vector<std::int8_t> weights;
  std::vector<std::int32_t> bias;
  std::vector<float> scale;
  int lo = -128, hi = 127;
  /// What padding holds, by input channel, as stored; empty: the zero point. Only on the graph's
  /// input, read by this alone: the host writes it.
  std::vector<std::int8_t> border = {};
  Reads reads = {};
};
/// y = clamp(rne_shift((a - za) * ma + (b - zb) * mb, shift) + zero_y, lo, hi).
/// With one input, b is absent and mb is 0: that changes the scale of a tensor, as the inputs of a
/// concatenation need that have scales of their own.
/// Range: ma, mb < 2^22, shift in 13..31.
struct QuantAdd {
  std::uint32_t ma = 0, mb = 0;
  int shift = 13;
  int lo = -128, hi = 127;
};
/// Maximum (one scale for both sides) or average: y = clamp(rne(fp32(sum (x - zx)) *
/// pool_multiplier(sx, sy, count)) + zy, lo, hi), padding contributing zero to the sum.
struct QuantPool {
  PoolKind kind = PoolKind::kMax;
  Window window;
  bool count_include_pad = false;
  int lo = -128, hi = 127;
};
/// Concatenation along channels. All inputs and the output share one Quant.
struct QuantConcat {};

// The rest stands in backward graphs only (docs/backward.md).

/// Inputs g, b: z = low <= b <= high ? g : 0. Zero points of g and z are 0. low may exceed high.
struct QuantGate {
  int low = -128, high = 127;
};
/// Inputs g, b of one shape: the sum over pixels of g * (b - zb), int32 a channel, as its four
/// bytes. Shapes: output C x 1 x 4, byte i of channel c at column i; scale 1, zero point 0. g is
/// -127..127.
struct QuantScore {};
/// Channels [first, first + C of the output) of the input.
struct QuantSlice {
  int first = 0;
};
/// Input i, in the order of rows then columns, holds pixels (rows * y + i / cols, cols * x + i %
/// cols) of the output. All share one Quant.
struct QuantInterleave {
  int rows = 1, cols = 1;
};

using QuantOp = std::variant<QuantConv, QuantAdd, QuantPool, QuantConcat, QuantGate, QuantScore,
                             QuantSlice, QuantInterleave>;

struct QuantTensor {
  std::string name;
  Shape shape;
  Quant quant;
};
struct QuantNode {
  std::string name;
  std::vector<int> inputs;
  int output = -1;
  QuantOp op;
};

/// How pixels become the network's input: none leaves 0..255; otherwise
/// (pixel / 255 - mean[c]) / std[c]. Then q = clamp(rne(value / scale) + zero, -128, 127).
struct Preprocess {
  std::vector<float> mean, std;  ///< both empty, or one value a channel
};

struct QuantGraph {
  std::string name;
  std::vector<QuantTensor> tensors;
  std::vector<QuantNode> nodes;
  int input = -1, output = -1;
  /// Further inputs: activations of another graph. An image's data are those of `input`, then
  /// theirs, in this order.
  std::vector<int> more_inputs;
  /// Tensors that must be stored and stay whole until the end.
  std::vector<int> keep;
  Preprocess preprocess;
  bool softmax = false;               ///< the host applies softmax to the dequantised output
  std::vector<std::string> host_ops;  ///< for the report
};

/// Which channels of each tensor are there: by tensor id, by channel. An absent channel contributes
/// nothing to what reads it. Empty, or empty for a tensor: all are.
using ChannelMask = std::vector<std::vector<bool>>;

/// True for an operator that only says where its input lies in memory: no machine works for it.
bool is_place(const QuantOp& op);

/// What padding of the graph's input holds, by channel, where that is not the zero point; or none.
std::span<const std::int8_t> input_border(const QuantGraph& graph);

/// Elements of all inputs of a graph.
std::int64_t input_elements(const QuantGraph& graph);

/// Name of the operator, as `espalier ops` prints it: conv, add, max_pool, average_pool, concat,
/// ...
std::string op_name(const FloatOp& op);
std::string op_name(const QuantOp& op);

/// The output extent of a window over `size` pixels with these pads; floor mode. 0 if it does not
/// fit.
int window_extent(int size, int kernel, int stride, int dilation, int pad_before, int pad_after);

/// How many taps of a window lie in [low, high) along one axis, the first at `start`.
int taps_inside(int start, int kernel, int dilation, int low, int high);

/// The divisor of an average pool at output pixel (oy, ox): the taps inside the image, or inside
/// the padded image where padding counts.
int pool_count(const Window& window, bool count_include_pad, const Shape& input, int oy, int ox);

/// Weights that the network has in a node, each a product of every output pixel: those of live
/// channels that a convolution reads; 0 for all but conv.
std::int64_t products(const QuantGraph& graph, const QuantNode& node, const ChannelMask& live = {});

/// Multiply-accumulates of a node: its products at every output pixel, those with padding too.
std::int64_t macs(const QuantGraph& graph, const QuantNode& node, const ChannelMask& live = {});

/// Makes `reads` true for weights that were changed: none where a weight outside is not zero.
void settle_reads(QuantConv& conv);

/// Limits of a verified graph. Units: elements along one axis, and in one tensor.
inline constexpr int kMaxExtent = 1 << 16;
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 28;

/// Checks ids, topological order, single definitions, shapes, array lengths, ranges (zero points,
/// clamps, scales normal and positive, the accumulator bound K * 32,640 + |bias| < 2^31). Every
/// tensor is the input or some node's output; every pool window holds a pixel of the image; a
/// pool's output extent is that of floor or of ceil mode.
/// Errors: a diagnostic that names the node. Everything downstream relies on a verified graph.
Status verify(const FloatGraph& graph);
Status verify(const QuantGraph& graph);

/// Binary form of a QuantGraph, little endian, with a version; used by program files.
/// parse() accepts any bytes: Errors: kMalformed with the offset. The result is verified.
std::vector<std::uint8_t> serialise(const QuantGraph& graph);
Result<QuantGraph> parse_graph(const std::uint8_t* data, std::size_t size);

}  // namespace espalier::ir
