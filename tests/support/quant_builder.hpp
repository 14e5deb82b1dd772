#pragma once
// Builds small quantised graphs, node by node.

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::tests {

class QuantBuilder {
 public:
  explicit QuantBuilder(ir::Shape input, ir::Quant quant = {}) {
    graph_.name = "test";
    graph_.input = tensor(input, quant);
    graph_.output = graph_.input;
  }

  /// A convolution with the given weights ([N][KH][KW][C]); its output extent is that of its
  /// window.
  int conv(int x, ir::QuantConv op, ir::Quant y = {}) {
    const ir::Shape& s = shape(x);
    const ir::Window& w = op.window;
    const ir::Shape out{
        op.out_channels,
        ir::window_extent(s.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
        ir::window_extent(s.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
    return node({x}, out, y, std::move(op));
  }
  int pool(int x, const ir::QuantPool& op, int out_h, int out_w, ir::Quant y = {}) {
    return node({x}, {shape(x).c, out_h, out_w}, y, op);
  }
  int add(int a, int b, const ir::QuantAdd& op, ir::Quant y = {}) {
    return node({a, b}, shape(a), y, op);
  }
  int concat(const std::vector<int>& inputs) {
    ir::Shape out = shape(inputs[0]);
    out.c = 0;
    for (const int id : inputs) out.c += shape(id).c;
    return node(inputs, out, graph_.tensors[std::size_t(inputs[0])].quant, ir::QuantConcat{});
  }

  [[nodiscard]] const ir::Shape& shape(int id) const {
    return graph_.tensors[std::size_t(id)].shape;
  }
  /// The graph; its output is the last node's.
  [[nodiscard]] ir::QuantGraph& graph() { return graph_; }

 private:
  static std::string numbered(std::string name, std::size_t number) {
    name += std::to_string(number);
    return name;
  }
  int tensor(ir::Shape s, ir::Quant q) {
    graph_.tensors.push_back({numbered("t", graph_.tensors.size()), s, q});
    return static_cast<int>(graph_.tensors.size()) - 1;
  }
  int node(std::vector<int> inputs, ir::Shape s, ir::Quant q, ir::QuantOp op) {
    graph_.output = tensor(s, q);
    graph_.nodes.push_back(
        {numbered("n", graph_.nodes.size()), std::move(inputs), graph_.output, std::move(op)});
    return graph_.output;
  }

  ir::QuantGraph graph_;
};

/// A convolution without bias and with scale 1 everywhere.
inline ir::QuantConv plain_conv(ir::Window window, int out_channels,
                                std::vector<std::int8_t> weights) {
  ir::QuantConv op;
  op.window = window;
  op.out_channels = out_channels;
  op.weights = std::move(weights);
  op.bias.assign(std::size_t(out_channels), 0);
  op.scale.assign(std::size_t(out_channels), 1.0F);
  return op;
}

}  // namespace espalier::tests
