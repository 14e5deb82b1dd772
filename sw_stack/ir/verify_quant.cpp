#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "ir/verify.hpp"
#include "ir/numerics.hpp"

namespace espalier::ir {
namespace {

constexpr std::int64_t kAccumulatorLimit = std::int64_t{1} << 31;
constexpr std::int64_t kLargestProduct = 255 * 128;

/// A scale must be a normal number: the hardware has no subnormals.
Status check_scale(float scale, const std::string& what, const std::string& place) {
  if (std::isnormal(scale) && scale > 0) return {};
  return fail(ErrorCode::kRange,
              fmt::format("{} is {}; it must be positive and normal", what, scale), place);
}

Status check_clamp(int lo, int hi, const std::string& place) {
  if (-128 <= lo && lo <= hi && hi <= 127) return {};
  return fail(ErrorCode::kRange, fmt::format("clamp from {} to {}; the range is -128..127", lo, hi),
              place);
}

/// A convolution's reads: one a channel, inside the input, and no other weight.
Status check_reads(const QuantConv& conv, int channels, const std::string& place) {
  if (conv.reads.empty()) return {};
  if (Status s = check_reads(conv.reads, conv.out_channels, channels, place); !s) return s;
  if (zero_outside(conv)) return {};
  return fail(ErrorCode::kMalformed, "has a weight that is not zero where it reads no channel",
              place);
}

/// Checks one node's operator against its tensors, whose ids are valid.
class QuantOpCheck {
 public:
  QuantOpCheck(const QuantGraph& graph, const QuantNode& node)
      : graph_(graph), node_(node), place_(node_place(op_name(node.op), node.name)) {}

  Status operator()(const QuantConv& conv) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    if (Status s = check_conv(conv.window, conv.out_channels, in(0).shape, out().shape,
                              conv.weights.size(), conv.bias.size(), place_);
        !s) {
      return s;
    }
    if (conv.scale.size() != conv.bias.size()) {
      return fail(
          ErrorCode::kShape,
          fmt::format("{} scales for {} output channels", conv.scale.size(), conv.out_channels),
          place_);
    }
    if (Status s = check_reads(conv, in(0).shape.c, place_); !s) return s;
    const std::int64_t depth = std::int64_t{conv.window.kh} * conv.window.kw * in(0).shape.c;
    for (std::size_t n = 0; n < conv.bias.size(); ++n) {
      if (Status s = check_scale(conv.scale[n], fmt::format("scale {}", n), place_); !s) return s;
      const std::int64_t bias = std::llabs(std::int64_t{conv.bias[n]});
      if (depth * kLargestProduct + bias >= kAccumulatorLimit) {
        return fail(
            ErrorCode::kRange,
            fmt::format("output channel {}: {} products and bias {} could reach {}; the "
                        "accumulator holds less than {}",
                        n, depth, conv.bias[n], depth * kLargestProduct + bias, kAccumulatorLimit),
            place_);
      }
    }
    if (Status s = check_border(conv.border.size(), graph_, node_.inputs[0], place_); !s) return s;
    return check_clamp(conv.lo, conv.hi, place_);
  }
  Status operator()(const QuantAdd& add) const {
    const bool alone = node_.inputs.size() == 1;
    if (Status s = check_arity(node_.inputs.size(), alone ? 1 : 2, place_); !s) return s;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      if (Status s = check_same(in(i).shape, out().shape, place_); !s) return s;
    }
    if (alone && add.mb != 0) {
      return fail(ErrorCode::kRange,
                  fmt::format("multiplier {} of an absent input; it must be 0", add.mb), place_);
    }
    constexpr std::uint32_t kLimit = std::uint32_t{1} << 22;
    if (add.ma >= kLimit || add.mb >= kLimit) {
      return fail(
          ErrorCode::kRange,
          fmt::format("multipliers {} and {}; each must be below {}", add.ma, add.mb, kLimit),
          place_);
    }
    if (add.shift < 13 || add.shift > 31) {
      return fail(ErrorCode::kRange, fmt::format("shift {}; the range is 13..31", add.shift),
                  place_);
    }
    return check_clamp(add.lo, add.hi, place_);
  }
  Status operator()(const QuantPool& pool) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    if (Status s = check_pool(pool.window, in(0).shape, out().shape, place_); !s) return s;
    if (pool.kind == PoolKind::kMax) {
      if (Status s = check_quant(in(0).quant); !s) return s;
    } else {
      // The largest count gives the smallest multiplier, a count of 1 the largest.
      const int most = pool.window.kh * pool.window.kw;
      for (const int count : {1, most}) {
        const float multiplier = pool_multiplier(in(0).quant.scale, out().quant.scale, count);
        if (Status s =
                check_scale(multiplier, fmt::format("multiplier for {} pixels", count), place_);
            !s) {
          return s;
        }
      }
    }
    return check_clamp(pool.lo, pool.hi, place_);
  }
  Status operator()(const QuantConcat&) const {
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) shapes.push_back(in(i).shape);
    if (Status s = check_concat(shapes, out().shape, place_); !s) return s;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      if (Status s = check_quant(in(i).quant); !s) return s;
    }
    return {};
  }

  Status operator()(const QuantGate& gate) const {
    if (Status s = check_pair(); !s) return s;
    if (Status s = check_same(in(0).shape, out().shape, place_); !s) return s;
    if (Status s = check_quant(in(0).quant); !s) return s;
    return check_clamp(std::min(gate.low, gate.high), std::max(gate.low, gate.high), place_);
  }
  Status operator()(const QuantScore&) const {
    if (Status s = check_pair(); !s) return s;
    const Shape& x = in(0).shape;
    constexpr std::int64_t kMostPixels = (std::int64_t{1} << 31) / (127 * 255);
    if (std::int64_t{x.h} * x.w >= kMostPixels) {
      return fail(ErrorCode::kRange,
                  fmt::format("sums over {}x{} pixels; 32 bits hold {}", x.h, x.w, kMostPixels - 1),
                  place_);
    }
    if (Status s = check_same({x.c, 1, 4}, out().shape, place_); !s) return s;
    if (out().quant == Quant{}) return {};
    return fail(ErrorCode::kUnsupported, "the output's scale is not 1, or its zero point not 0",
                place_);
  }
  Status operator()(const QuantSlice& slice) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    const Shape &x = in(0).shape, &y = out().shape;
    if (Status s = check_same({y.c, x.h, x.w}, y, place_); !s) return s;
    if (slice.first < 0 || slice.first > x.c - y.c) {
      return fail(ErrorCode::kRange,
                  fmt::format("{} channels from {} on; there are {}", y.c, slice.first, x.c),
                  place_);
    }
    return check_quant(in(0).quant);
  }
  Status operator()(const QuantInterleave& op) const {
    const Shape& y = out().shape;
    if (op.rows < 1 || op.cols < 1 || op.rows > y.h || op.cols > y.w) {
      return fail(ErrorCode::kRange,
                  fmt::format("{}x{} phases of {}x{} pixels", op.rows, op.cols, y.h, y.w), place_);
    }
    const auto phases = static_cast<std::size_t>(op.rows) * static_cast<std::size_t>(op.cols);
    if (Status s = check_arity(node_.inputs.size(), phases, place_); !s) return s;
    for (std::size_t i = 0; i < phases; ++i) {
      const int row = static_cast<int>(i) / op.cols, col = static_cast<int>(i) % op.cols;
      const Shape wanted{y.c, (y.h - row + op.rows - 1) / op.rows,
                         (y.w - col + op.cols - 1) / op.cols};
      if (Status s = check_same(in(i).shape, wanted, place_); !s) return s;
      if (Status s = check_quant(in(i).quant); !s) return s;
    }
    return {};
  }

 private:
  /// Two inputs of one shape, the first with zero point 0.
  [[nodiscard]] Status check_pair() const {
    if (Status s = check_arity(node_.inputs.size(), 2, place_); !s) return s;
    if (Status s = check_same(in(0).shape, in(1).shape, place_); !s) return s;
    if (in(0).quant.zero == 0) return {};
    return fail(ErrorCode::kUnsupported,
                fmt::format("a gradient with zero point {}; it must be 0", in(0).quant.zero),
                place_);
  }
  [[nodiscard]] const QuantTensor& in(std::size_t i) const {
    return graph_.tensors[static_cast<std::size_t>(node_.inputs[i])];
  }
  [[nodiscard]] const QuantTensor& out() const {
    return graph_.tensors[static_cast<std::size_t>(node_.output)];
  }
  [[nodiscard]] Status check_quant(const Quant& x) const {
    const Quant& y = out().quant;
    if (x == y) return {};
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("input has scale {} and zero point {}, output {} and {}; they must agree",
                    x.scale, x.zero, y.scale, y.zero),
        place_);
  }

  const QuantGraph& graph_;
  const QuantNode& node_;
  std::string place_;
};

Status check_tensor(const QuantTensor& tensor) {
  const std::string place = node_place("tensor", tensor.name);
  if (Status s = check_shape(tensor.shape, place); !s) return s;
  if (Status s = check_scale(tensor.quant.scale, "scale", place); !s) return s;
  if (tensor.quant.zero < -128 || tensor.quant.zero > 127) {
    return fail(ErrorCode::kRange,
                fmt::format("zero point {}; the range is -128..127", tensor.quant.zero), place);
  }
  return {};
}

Status check_preprocess(const Preprocess& p, int channels) {
  const std::string place = "preprocessing";
  if (p.mean.empty() && p.std.empty()) return {};
  const auto wanted = static_cast<std::size_t>(channels);
  if (p.mean.size() != wanted || p.std.size() != wanted) {
    return fail(ErrorCode::kShape,
                fmt::format("{} means and {} deviations for {} channels", p.mean.size(),
                            p.std.size(), channels),
                place);
  }
  for (std::size_t c = 0; c < wanted; ++c) {
    if (!std::isfinite(p.mean[c])) {
      return fail(ErrorCode::kRange, fmt::format("mean {} is {}", c, p.mean[c]), place);
    }
    if (Status s = check_scale(p.std[c], fmt::format("deviation {}", c), place); !s) return s;
  }
  return {};
}

}  // namespace

Status verify(const QuantGraph& graph) {
  std::vector<NodeFrame> frames;
  for (const QuantNode& node : graph.nodes)
    frames.push_back({&node.name, node.inputs, node.output});
  std::vector<int> inputs{graph.input};
  inputs.insert(inputs.end(), graph.more_inputs.begin(), graph.more_inputs.end());
  if (Status s = check_frame(graph.tensors.size(), frames, inputs, graph.output); !s) return s;
  for (const int id : graph.keep) {
    if (id < 0 || static_cast<std::size_t>(id) >= graph.tensors.size()) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("keeps tensor {} of {}", id, graph.tensors.size()));
    }
  }
  for (const QuantTensor& tensor : graph.tensors) {
    if (Status s = check_tensor(tensor); !s) return s;
  }
  for (const QuantNode& node : graph.nodes) {
    if (Status s = std::visit(QuantOpCheck(graph, node), node.op); !s) return s;
  }
  const Shape& input = graph.tensors[static_cast<std::size_t>(graph.input)].shape;
  return check_preprocess(graph.preprocess, input.c);
}

}  // namespace espalier::ir
