#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "ir/verify.hpp"

namespace espalier::ir {

bool all_finite(std::span<const float> values) {
  constexpr std::int32_t kSign = std::numeric_limits<std::int32_t>::min();
  std::int32_t most = 0;  // without its sign a float orders as its bits do
  for (const float value : values)
    most = std::max(most, std::bit_cast<std::int32_t>(value) & ~kSign);
  return std::isfinite(std::bit_cast<float>(most));
}

namespace {

Status check_finite(const std::vector<float>& values, const char* what, const std::string& place) {
  if (all_finite(values)) return {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return fail(ErrorCode::kRange, fmt::format("{} {} is {}", what, i, values[i]), place);
    }
  }
  return {};
}

/// Checks one node's operator against the shapes of its tensors, whose ids are valid.
class FloatOpCheck {
 public:
  FloatOpCheck(const FloatGraph& graph, const FloatNode& node, bool last)
      : graph_(graph), node_(node), last_(last), place_(node_place(op_name(node.op), node.name)) {}

  Status operator()(const FloatConv& conv) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    if (Status s = check_conv(conv.window, conv.out_channels, in(0), out(), conv.weights.size(),
                              conv.bias.size(), place_);
        !s) {
      return s;
    }
    if (Status s = check_reads(conv.reads, conv.out_channels, in(0).c, place_); !s) return s;
    if (Status s = check_finite(conv.weights, "weight", place_); !s) return s;
    if (Status s = check_finite(conv.bias, "bias", place_); !s) return s;
    if (Status s = check_border(conv.border.size(), graph_, node_.inputs[0], place_); !s) return s;
    return check_finite(conv.border, "padding", place_);
  }
  Status operator()(const FloatAdd&) const {
    if (Status s = check_arity(node_.inputs.size(), 2, place_); !s) return s;
    if (Status s = check_same(in(0), out(), place_); !s) return s;
    return check_same(in(1), out(), place_);
  }
  Status operator()(const FloatClamp& clamp) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    if (!(clamp.lo <= clamp.hi)) {  // NaN fails, too
      return fail(ErrorCode::kRange, fmt::format("clamp from {} to {}", clamp.lo, clamp.hi),
                  place_);
    }
    return check_same(in(0), out(), place_);
  }
  Status operator()(const FloatPool& pool) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    return check_pool(pool.window, in(0), out(), place_);
  }
  Status operator()(const FloatConcat&) const {
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) shapes.push_back(in(i));
    return check_concat(shapes, out(), place_);
  }
  Status operator()(const FloatSoftmax&) const {
    if (Status s = check_arity(node_.inputs.size(), 1, place_); !s) return s;
    if (!last_ || node_.output != graph_.output) {
      return fail(ErrorCode::kUnsupported, "softmax that is not the graph's last operator", place_);
    }
    return check_same(in(0), out(), place_);
  }

 private:
  [[nodiscard]] const Shape& in(std::size_t i) const {
    return graph_.tensors[static_cast<std::size_t>(node_.inputs[i])].shape;
  }
  [[nodiscard]] const Shape& out() const {
    return graph_.tensors[static_cast<std::size_t>(node_.output)].shape;
  }

  const FloatGraph& graph_;
  const FloatNode& node_;
  bool last_;
  std::string place_;
};

}  // namespace

Status verify(const FloatGraph& graph) {
  std::vector<NodeFrame> frames;
  for (const FloatNode& node : graph.nodes)
    frames.push_back({&node.name, node.inputs, node.output});
  if (Status s = check_frame(graph.tensors.size(), frames, {&graph.input, 1}, graph.output); !s)
    return s;
  for (const FloatTensor& tensor : graph.tensors) {
    if (Status s = check_shape(tensor.shape, node_place("tensor", tensor.name)); !s) return s;
  }
  for (const FloatNode& node : graph.nodes) {
    const bool last = &node == &graph.nodes.back();
    if (Status s = std::visit(FloatOpCheck(graph, node, last), node.op); !s) return s;
  }
  return {};
}

}  // namespace espalier::ir
