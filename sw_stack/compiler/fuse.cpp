#include <algorithm>

#include "compiler/layers.hpp"

namespace espalier::compiler {

std::vector<std::vector<int>> consumers(const ir::QuantGraph& graph) {
  std::vector<std::vector<int>> readers(graph.tensors.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const int tensor : graph.nodes[n].inputs)
      at(readers, tensor).push_back(static_cast<int>(n));
  }
  return readers;
}

std::vector<int> producers(const ir::QuantGraph& graph) {
  std::vector<int> writers(graph.tensors.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    at(writers, graph.nodes[n].output) = static_cast<int>(n);
  }
  return writers;
}

bool stays(const ir::QuantGraph& graph, int tensor) {
  return tensor == graph.output || std::ranges::find(graph.keep, tensor) != graph.keep.end();
}

int fusable_conv(const ir::QuantGraph& graph, const std::vector<std::vector<int>>& readers,
                 const std::vector<int>& writers, int tensor) {
  const int node = at(writers, tensor);
  if (node < 0 || stays(graph, tensor) || at(readers, tensor).size() != 1) return -1;
  return std::holds_alternative<ir::QuantConv>(at(graph.nodes, node).op) ? node : -1;
}

bool is_global_average(const ir::QuantGraph& graph, const ir::QuantNode& node) {
  const auto* pool = std::get_if<ir::QuantPool>(&node.op);
  if (pool == nullptr || pool->kind != ir::PoolKind::kAverage) return false;
  const ir::Shape& x = at(graph.tensors, node.inputs[0]).shape;
  const ir::Shape& y = at(graph.tensors, node.output).shape;
  const ir::Window& w = pool->window;
  return w.kh == x.h && w.kw == x.w && y.h == 1 && y.w == 1 && w.pad_top == 0 && w.pad_left == 0 &&
         w.pad_bottom == 0 && w.pad_right == 0 && (w.dilation_h == 1 || w.kh == 1) &&
         (w.dilation_w == 1 || w.kw == 1) && pool->lo == -128 && pool->hi == 127;
}

bool takes_product(const ir::QuantNode& node) {
  return std::holds_alternative<ir::QuantGate>(node.op) ||
         std::holds_alternative<ir::QuantScore>(node.op);
}

bool LayerNodes::product(const ir::QuantGraph& graph) const {
  const int last = gap >= 0 ? gap : add;
  return last >= 0 && takes_product(at(graph.nodes, last));
}

std::vector<LayerNodes> fuse(const ir::QuantGraph& graph) {
  const auto readers = consumers(graph);
  const auto writers = producers(graph);
  std::vector<LayerNodes> layers;
  std::vector<int> layer_of(graph.tensors.size(), -1);  // layer that makes the tensor last
  std::vector<bool> taken(graph.nodes.size(), false);   // convolutions that an add will run

  // Which convolution an add joins: the later one, so that the other operand is there already.
  std::vector<int> joined(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const ir::QuantNode& node = graph.nodes[n];
    if (std::holds_alternative<ir::QuantAdd>(node.op)) {
      for (const int tensor : node.inputs)
        joined[n] = std::max(joined[n], fusable_conv(graph, readers, writers, tensor));
    } else if (takes_product(node)) {
      joined[n] = fusable_conv(graph, readers, writers, node.inputs[0]);
    } else {
      continue;
    }
    ESP_CHECK(joined[n] >= 0);
    at(taken, joined[n]) = true;
  }

  const auto finish = [&](LayerNodes layer) {
    at(layer_of, layer.output) = static_cast<int>(layers.size());
    layers.push_back(std::move(layer));
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const ir::QuantNode& node = graph.nodes[n];
    const int id = static_cast<int>(n);
    if (std::holds_alternative<ir::QuantConv>(node.op)) {
      if (taken[n]) continue;
      LayerNodes layer;
      layer.conv = id;
      layer.input = node.inputs[0];
      layer.output = node.output;
      layer.nodes = {id};
      finish(std::move(layer));
    } else if (std::holds_alternative<ir::QuantAdd>(node.op)) {
      LayerNodes layer;
      layer.conv = joined[n];
      layer.add = id;
      const ir::QuantNode& conv = at(graph.nodes, layer.conv);
      layer.input = conv.inputs[0];
      if (node.inputs.size() > 1) {
        layer.operand_first = node.inputs[0] != conv.output;
        layer.operand = node.inputs[layer.operand_first ? 0 : 1];
      }
      layer.output = node.output;
      layer.nodes = {layer.conv, id};
      finish(std::move(layer));
    } else if (takes_product(node)) {
      LayerNodes layer;
      layer.conv = joined[n];
      (std::holds_alternative<ir::QuantGate>(node.op) ? layer.add : layer.gap) = id;
      layer.input = at(graph.nodes, layer.conv).inputs[0];
      layer.operand = node.inputs[1];
      layer.output = node.output;
      layer.nodes = {layer.conv, id};
      finish(std::move(layer));
    } else if (std::holds_alternative<ir::QuantPool>(node.op)) {
      const int source = node.inputs[0];
      const int before = at(layer_of, source);
      if (is_global_average(graph, node) && before >= 0 && !stays(graph, source) &&
          at(readers, source).size() == 1 && !at(layers, before).is_pool() &&
          at(layers, before).gap < 0 && !at(layers, before).product(graph) &&
          at(layers, before).output == source) {
        // The layer moves to here: nothing in between reads what it makes.
        LayerNodes layer = at(layers, before);
        layers.erase(layers.begin() + before);
        for (int& owner : layer_of) owner -= owner > before ? 1 : 0;
        layer.gap = id;
        layer.output = node.output;
        layer.nodes.push_back(id);
        finish(std::move(layer));
      } else {
        LayerNodes layer;
        layer.pool = id;
        layer.input = source;
        layer.output = node.output;
        layer.nodes = {id};
        finish(std::move(layer));
      }
    } else {
      int last = -1;
      for (const int tensor : node.inputs) last = std::max(last, at(layer_of, tensor));
      at(layer_of, node.output) = last;
      if (last >= 0) at(layers, last).nodes.push_back(id);
    }
  }
  return layers;
}

}  // namespace espalier::compiler
