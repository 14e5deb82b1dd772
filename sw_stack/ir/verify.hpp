#pragma once
// Checks that both kinds of graph share.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::ir {

/// What verification of the graph's frame needs to know of one node.
struct NodeFrame {
  const std::string* name;
  std::span<const int> inputs;
  int output;
};

/// A name for messages: `conv 'layer1.0'`.
std::string node_place(const std::string& op, const std::string& name);

Status check_shape(const Shape& shape, const std::string& place);

/// Ids, topological order, one definition of every tensor.
Status check_frame(std::size_t tensors, std::span<const NodeFrame> nodes,
                   std::span<const int> inputs, int output);

/// Kernel, stride, dilation and pads within limits.
Status check_window(const Window& window, const std::string& place);

/// Shape of a convolution's output and the length of its arrays.
Status check_conv(const Window& window, int out_channels, const Shape& x, const Shape& y,
                  std::size_t weights, std::size_t bias, const std::string& place);

/// Whether there is neither an infinity nor a NaN among them.
bool all_finite(std::span<const float> values);

/// One range a channel, inside the input; or none.
Status check_reads(const Reads& reads, int out_channels, int channels, const std::string& place);

/// Whether a channel's weights outside its range are zero, and without a range all but one.
bool zero_outside(const QuantConv& conv);

/// Shape of a pool's output, floor or ceil mode, and that no window lies outside the image.
Status check_pool(const Window& window, const Shape& x, const Shape& y, const std::string& place);

/// Shape of a concatenation: channels add up, the rest agrees.
Status check_concat(std::span<const Shape> inputs, const Shape& y, const std::string& place);

/// Shapes of an element-wise operator.
Status check_same(const Shape& x, const Shape& y, const std::string& place);

/// Number of inputs.
Status check_arity(std::size_t inputs, std::size_t wanted, const std::string& place);

/// Values of padding, if any: one a channel of the graph's input, which has no other reader.
template <typename Graph>
Status check_border(std::size_t values, const Graph& graph, int tensor, const std::string& place) {
  if (values == 0) return {};
  const int channels = graph.tensors[static_cast<std::size_t>(tensor)].shape.c;
  if (values != static_cast<std::size_t>(channels)) {
    return fail(ErrorCode::kShape,
                std::to_string(values) + " values of padding for " + std::to_string(channels) +
                    " input channels",
                place);
  }
  std::ptrdiff_t readers = 0;
  for (const auto& node : graph.nodes) readers += std::ranges::count(node.inputs, tensor);
  if (tensor == graph.input && readers == 1) return {};
  return fail(ErrorCode::kUnsupported,
              "padding has values of its own; only the graph's input may, read by one node", place);
}

}  // namespace espalier::ir
