#include <algorithm>
#include <numeric>

#include "compiler/layers.hpp"

namespace espalier::compiler {
namespace {

Channels plain(int channels, int lanes) {
  Channels out;
  out.blocks = ceil_div(channels, lanes);
  out.starts = {0};
  out.lane.resize(static_cast<std::size_t>(channels));
  std::iota(out.lane.begin(), out.lane.end(), 0);
  return out;
}

}  // namespace

Span Spot::rows(Span own) const {
  return {row + own.low * pitch_y, row + (own.high - 1) * pitch_y + 1};
}
Span Spot::cols(Span own) const {
  return {col + own.low * pitch_x, col + (own.high - 1) * pitch_x + 1};
}

bool Channels::canonical() const {
  for (std::size_t c = 0; c < lane.size(); ++c) {
    if (lane[c] != static_cast<int>(c)) return false;
  }
  return true;
}

Layout lay_out(const ir::QuantGraph& graph, const std::vector<LayerNodes>& layers, int lanes) {
  Layout layout;
  layout.spots.resize(graph.tensors.size());
  std::vector<bool> stored(graph.tensors.size(), false);
  std::vector<int> inputs{graph.input};
  inputs.insert(inputs.end(), graph.more_inputs.begin(), graph.more_inputs.end());
  for (const int input : inputs) {
    at(stored, input) = true;
    at(layout.spots, input).channels = plain(at(graph.tensors, input).shape.c, lanes);
  }
  for (const LayerNodes& layer : layers) at(stored, layer.output) = true;

  // Channels, in the order of the nodes: a pool and a sum keep those of what they read.
  std::vector<int> parent(graph.tensors.size(), -1), parent_block(graph.tensors.size(), 0);
  for (const ir::QuantNode& node : graph.nodes) {
    Channels& channels = at(layout.spots, node.output).channels;
    if (std::holds_alternative<ir::QuantConcat>(node.op)) {
      at(stored, node.output) = true;
      for (const int tensor : node.inputs) {
        const Channels& part = at(layout.spots, tensor).channels;
        at(parent, tensor) = node.output;
        at(parent_block, tensor) = channels.blocks;
        for (const int lane : part.lane) channels.lane.push_back(channels.blocks * lanes + lane);
        for (const int start : part.starts) channels.starts.push_back(channels.blocks + start);
        channels.blocks += part.blocks;
      }
    } else if (const auto* phases = std::get_if<ir::QuantInterleave>(&node.op)) {
      at(stored, node.output) = true;
      channels = at(layout.spots, node.inputs[0]).channels;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        Spot& spot = at(layout.spots, node.inputs[i]);
        at(parent, node.inputs[i]) = node.output;
        spot.pitch_y = phases->rows;
        spot.pitch_x = phases->cols;
        spot.row = static_cast<int>(i) / phases->cols;
        spot.col = static_cast<int>(i) % phases->cols;
      }
    } else if (std::holds_alternative<ir::QuantConv>(node.op) ||
               std::holds_alternative<ir::QuantSlice>(node.op)) {
      channels = plain(at(graph.tensors, node.output).shape.c, lanes);
    } else if (std::holds_alternative<ir::QuantAdd>(node.op) ||
               std::holds_alternative<ir::QuantGate>(node.op)) {
      const LayerNodes* layer = nullptr;
      for (const LayerNodes& candidate : layers) {
        if (candidate.add >= 0 && &at(graph.nodes, candidate.add) == &node) layer = &candidate;
      }
      ESP_CHECK(layer != nullptr);
      channels = layer->operand < 0 ? plain(at(graph.tensors, node.output).shape.c, lanes)
                                    : at(layout.spots, layer->operand).channels;
    } else {
      channels = at(layout.spots, node.inputs[0]).channels;
    }
  }

  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    if (!stored[t] || parent[t] >= 0) continue;
    const ir::Shape& shape = graph.tensors[t].shape;
    Root root;
    root.tensor = static_cast<int>(t);
    root.blocks = layout.spots[t].channels.blocks;
    root.h = shape.h;
    root.w = shape.w;
    root.is_input = std::ranges::find(inputs, root.tensor) != inputs.end();
    root.is_output = root.tensor == graph.output;
    layout.spots[t].root = static_cast<int>(layout.roots.size());
    layout.roots.push_back(root);
  }
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    if (!stored[t] || parent[t] < 0) continue;
    int outer = static_cast<int>(t);
    int block = 0;
    while (at(parent, outer) >= 0) {
      block += at(parent_block, outer);
      outer = at(parent, outer);
    }
    layout.spots[t].block = block;
    layout.spots[t].root = at(layout.spots, outer).root;
  }
  for (const ir::QuantNode& node : graph.nodes) {  // views of what is stored
    const auto* slice = std::get_if<ir::QuantSlice>(&node.op);
    if (slice == nullptr) continue;
    const Spot& whole = at(layout.spots, node.inputs[0]);
    Spot& view = at(layout.spots, node.output);
    view.root = whole.root;
    view.block = whole.block + slice->first / lanes;
  }
  for (const int tensor : graph.keep) {
    if (const int root = at(layout.spots, tensor).root; root >= 0)
      at(layout.roots, root).keep = true;
  }
  return layout;
}

}  // namespace espalier::compiler
