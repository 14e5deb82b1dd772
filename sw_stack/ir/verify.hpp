#pragma once
// Checks that both kinds of graph share.

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

/// Shape of a pool's output, floor or ceil mode, and that no window lies outside the image.
Status check_pool(const Window& window, const Shape& x, const Shape& y, const std::string& place);

/// Shape of a concatenation: channels add up, the rest agrees.
Status check_concat(std::span<const Shape> inputs, const Shape& y, const std::string& place);

/// Shapes of an element-wise operator.
Status check_same(const Shape& x, const Shape& y, const std::string& place);

/// Number of inputs.
Status check_arity(std::size_t inputs, std::size_t wanted, const std::string& place);

}  // namespace espalier::ir
