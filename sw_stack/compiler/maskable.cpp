#include "compiler/maskable.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "isa/maps.hpp"

namespace espalier::compiler {
namespace {

/// Channels of each segment of a tensor.
std::vector<int> segments(const Channels& channels, int lanes) {
  std::vector<int> list(channels.starts.size(), 0);
  for (const int lane : channels.lane) {
    const auto after = std::ranges::upper_bound(channels.starts, lane / lanes);
    ++at(list, static_cast<int>(after - channels.starts.begin()) - 1);
  }
  return list;
}

}  // namespace

Result<program::Maskable> describe_masks(const ir::QuantGraph& graph,
                                         const std::vector<Layer>& layers, const Layout& layout,
                                         const Constants& constants, const isa::Config& config) {
  program::Maskable out;
  for (std::size_t t = 0; t < layout.spots.size(); ++t) {
    const Spot& spot = layout.spots[t];
    if (spot.root < 0) continue;
    out.spots.push_back({static_cast<int>(t), at(layout.roots, spot.root).tensor, spot.block,
                         segments(spot.channels, config.lanes)});
  }
  auto maps = static_cast<std::int64_t>(constants.bytes.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Layer& layer = layers[l];
    auto& described = out.layers.emplace_back();
    described.input = layer.nodes.input;
    described.operand = layer.nodes.operand;
    described.output = layer.nodes.output;
    if (layer.is_pool()) continue;
    described.whole_input = layer.conv.flat || layer.conv.relay.active();
    auto weights = mask_weights(layer, constants.places[l]);
    if (std::max(weights.k_blocks, weights.n_blocks) > static_cast<int>(isa::kMaps)) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{} blocks of input and {} of output channels; a program that takes "
                              "masks has {} of each",
                              weights.k_blocks, weights.n_blocks, isa::kMaps),
                  layer.name);
    }
    weights.maps = static_cast<std::uint32_t>(maps);
    maps = weights.maps_end();
    if (maps > program::kRegionLimit) {
      return fail(ErrorCode::kCapacity,
                  fmt::format("weights and bit maps take {} bytes; a region has {}", maps,
                              program::kRegionLimit),
                  graph.name);
    }
    described.weights = weights;
  }
  return out;
}

}  // namespace espalier::compiler
