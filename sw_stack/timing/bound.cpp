// The roofline.

#include <algorithm>

#include "timing/timing.hpp"

namespace espalier::timing {
namespace {

constexpr std::int64_t kParamBytes = 8;  // bias and multiplier of a channel

}  // namespace

double bound(const program::Program& program, const program::Layer& layer,
             const ir::ChannelMask& live) {
  const ir::QuantGraph& graph = program.graph;
  const auto channels = [&](int tensor) -> std::int64_t {
    const auto id = static_cast<std::size_t>(tensor);
    const bool all = live.empty() || live[id].empty();
    return all ? graph.tensors[id].shape.c : std::ranges::count(live[id], true);
  };
  const auto bytes = [&](int tensor) {
    const ir::Shape& shape = graph.tensors[static_cast<std::size_t>(tensor)].shape;
    return channels(tensor) * shape.h * shape.w;
  };
  std::vector<int> inside;
  std::int64_t read = 0, written = 0;
  for (const int id : layer.nodes) {
    const ir::QuantNode& node = graph.nodes[static_cast<std::size_t>(id)];
    if (ir::is_place(node.op)) continue;
    for (const int input : node.inputs) {
      if (std::ranges::find(inside, input) == inside.end()) read += bytes(input);
    }
    if (std::holds_alternative<ir::QuantConv>(node.op)) {
      read += ir::products(graph, node, live) + channels(node.output) * kParamBytes;
    }
    inside.push_back(node.output);
    written = bytes(node.output);  // of the last: the others are never stored
  }
  const std::int64_t macs = program::macs(graph, layer, live);
  if (macs <= 0) return 0;
  const isa::Config& machine = program.machine();
  const double compute =
      static_cast<double>(macs) / (static_cast<double>(machine.lanes) * machine.lanes);
  return std::max(compute, static_cast<double>(std::max(read, written)) / machine.bus_bytes);
}

double bound(const program::Program& program, const ir::ChannelMask& live) {
  double sum = 0;
  for (const program::Layer& layer : program.layers) sum += bound(program, layer, live);
  return sum;
}

double utilisation(const program::Program& program, std::int64_t cycles) {
  double macs = 0;
  for (const program::Layer& layer : program.layers) macs += static_cast<double>(layer.macs);
  const double lanes = program.machine().lanes;
  return macs / (lanes * lanes * static_cast<double>(cycles));
}

}  // namespace espalier::timing
