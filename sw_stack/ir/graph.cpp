#include "ir/graph.hpp"

#include "ir/verify.hpp"

#include <algorithm>

namespace espalier::ir {
namespace {

struct OpNames {
  std::string operator()(const FloatConv&) const { return "conv"; }
  std::string operator()(const FloatAdd&) const { return "add"; }
  std::string operator()(const FloatClamp&) const { return "clamp"; }
  std::string operator()(const FloatPool& pool) const { return pool_name(pool.kind); }
  std::string operator()(const FloatConcat&) const { return "concat"; }
  std::string operator()(const FloatSoftmax&) const { return "softmax"; }
  std::string operator()(const QuantConv&) const { return "conv"; }
  std::string operator()(const QuantAdd&) const { return "add"; }
  std::string operator()(const QuantPool& pool) const { return pool_name(pool.kind); }
  std::string operator()(const QuantConcat&) const { return "concat"; }
  std::string operator()(const QuantGate&) const { return "gate"; }
  std::string operator()(const QuantScore&) const { return "score"; }
  std::string operator()(const QuantSlice&) const { return "slice"; }
  std::string operator()(const QuantInterleave&) const { return "interleave"; }

  static std::string pool_name(PoolKind kind) {
    return kind == PoolKind::kMax ? "max_pool" : "average_pool";
  }
};

}  // namespace

std::string op_name(const FloatOp& op) { return std::visit(OpNames{}, op); }
std::string op_name(const QuantOp& op) { return std::visit(OpNames{}, op); }

bool is_place(const QuantOp& op) {
  return std::holds_alternative<QuantConcat>(op) || std::holds_alternative<QuantSlice>(op) ||
         std::holds_alternative<QuantInterleave>(op);
}

std::span<const std::int8_t> input_border(const QuantGraph& graph) {
  for (const QuantNode& node : graph.nodes) {
    const auto* conv = std::get_if<QuantConv>(&node.op);
    if (conv != nullptr && node.inputs[0] == graph.input) return conv->border;
  }
  return {};
}

std::int64_t input_elements(const QuantGraph& graph) {
  std::int64_t count = graph.tensors[static_cast<std::size_t>(graph.input)].shape.count();
  for (const int id : graph.more_inputs)
    count += graph.tensors[static_cast<std::size_t>(id)].shape.count();
  return count;
}

int window_extent(int size, int kernel, int stride, int dilation, int pad_before, int pad_after) {
  const std::int64_t reach = std::int64_t{dilation} * (kernel - 1) + 1;
  const std::int64_t room = std::int64_t{size} + pad_before + pad_after - reach;
  return room < 0 ? 0 : static_cast<int>(room / stride + 1);
}

int taps_inside(int start, int kernel, int dilation, int low, int high) {
  // First tap at or after `low`, last tap before `high`.
  const std::int64_t before = std::int64_t{low} - start;
  const std::int64_t first = before <= 0 ? 0 : (before + dilation - 1) / dilation;
  const std::int64_t left = std::int64_t{high} - 1 - start;
  if (left < 0) return 0;
  const std::int64_t last = std::min<std::int64_t>(kernel - 1, left / dilation);
  return static_cast<int>(std::max<std::int64_t>(0, last - first + 1));
}

int pool_count(const Window& window, bool count_include_pad, const Shape& input, int oy, int ox) {
  const int top = count_include_pad ? -window.pad_top : 0;
  const int left = count_include_pad ? -window.pad_left : 0;
  const int bottom = input.h + (count_include_pad ? window.pad_bottom : 0);
  const int right = input.w + (count_include_pad ? window.pad_right : 0);
  return taps_inside(oy * window.stride_h - window.pad_top, window.kh, window.dilation_h, top,
                     bottom) *
         taps_inside(ox * window.stride_w - window.pad_left, window.kw, window.dilation_w, left,
                     right);
}

namespace {

/// How many of a tensor's first channels are live, by channel, and last of all of them.
std::vector<std::int64_t> live_before(const QuantGraph& graph, int tensor,
                                      const ChannelMask& live) {
  const auto id = static_cast<std::size_t>(tensor);
  const auto channels = static_cast<std::size_t>(graph.tensors[id].shape.c);
  const bool all = live.empty() || live[id].empty();
  std::vector<std::int64_t> before(channels + 1, 0);
  for (std::size_t c = 0; c < channels; ++c)
    before[c + 1] = before[c] + (all || live[id][c] ? 1 : 0);
  return before;
}

}  // namespace

std::int64_t products(const QuantGraph& graph, const QuantNode& node, const ChannelMask& live) {
  const auto* conv = std::get_if<QuantConv>(&node.op);
  if (conv == nullptr) return 0;
  const auto x = live_before(graph, node.inputs[0], live);
  const auto y = live_before(graph, node.output, live);
  std::int64_t pairs = y.back() * x.back();
  if (!conv->reads.empty()) {
    pairs = 0;
    for (std::size_t n = 0; n < conv->reads.size(); ++n) {
      const ChannelRange& range = conv->reads[n];
      pairs += (y[n + 1] - y[n]) *
               (x[static_cast<std::size_t>(range.last)] - x[static_cast<std::size_t>(range.first)]);
    }
  }
  return pairs * conv->window.kh * conv->window.kw;
}

std::int64_t macs(const QuantGraph& graph, const QuantNode& node, const ChannelMask& live) {
  const Shape& y = graph.tensors[static_cast<std::size_t>(node.output)].shape;
  return products(graph, node, live) * y.h * y.w;
}

void settle_reads(QuantConv& conv) {
  if (!zero_outside(conv)) conv.reads.clear();
}

}  // namespace espalier::ir
