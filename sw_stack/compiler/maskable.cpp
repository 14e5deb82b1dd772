#include "compiler/maskable.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace espalier::compiler {
namespace {

constexpr std::int64_t kMapBytes = 8;  // of a block
constexpr std::int64_t kMapAlign = 32;
constexpr std::uint32_t kMaps = 512;  // that fit on chip
constexpr std::int64_t kLimit = 0x7FFF0000;

/// Channels of each segment of a tensor.
std::vector<int> segments(const Channels& channels, int lanes) {
  std::vector<int> list(channels.starts.size(), 0);
  for (const int lane : channels.lane) {
    const auto after = std::ranges::upper_bound(channels.starts, lane / lanes);
    ++at(list, static_cast<int>(after - channels.starts.begin()) - 1);
  }
  return list;
}

isa::Pack pack_of(const Layer& layer, int index, const ConstantPlaces& places, int lanes) {
  const ConvGeometry& g = layer.conv;
  const UnitOrder order = unit_order(layer, lanes);
  const auto bytes = [lanes](std::int64_t words) {
    return static_cast<std::uint32_t>(words * lanes);
  };
  isa::Pack pack;
  pack.layer = static_cast<std::uint32_t>(index);
  pack.weights = places.weights;
  pack.params = places.params;
  pack.taps = static_cast<std::uint32_t>(g.taps());
  pack.k_blocks = static_cast<std::uint32_t>(g.kb);
  pack.n_blocks = static_cast<std::uint32_t>(g.nb);
  pack.kc = static_cast<std::uint32_t>(layer.conv_plan.kc);
  pack.nb = static_cast<std::uint32_t>(layer.conv_plan.nb);
  pack.tapwise = layer.conv_plan.tapwise ? 1 : 0;
  pack.tap_stride = bytes(order.tap_words);
  pack.chunk_stride = bytes(order.chunk_words);
  pack.group_stride = bytes(order.group_words);
  return pack;
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
    const bool pool = layer.is_pool();
    out.layers.push_back({layer.nodes.input, layer.nodes.operand, layer.nodes.output,
                          !pool && (layer.conv.flat || layer.conv.relay.active())});
    if (pool) continue;
    isa::Pack pack = pack_of(layer, static_cast<int>(l), at(constants.places, static_cast<int>(l)),
                             config.lanes);
    pack.masks = static_cast<std::uint32_t>(maps);
    if (pack.k_blocks + pack.n_blocks > kMaps) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{} blocks of input and {} of output channels; a program that takes "
                              "masks has {} in all",
                              pack.k_blocks, pack.n_blocks, kMaps),
                  layer.name);
    }
    maps += (std::int64_t{pack.k_blocks} + pack.n_blocks) * kMapBytes;
    maps = (maps + kMapAlign - 1) / kMapAlign * kMapAlign;
    if (maps > kLimit) {
      return fail(ErrorCode::kCapacity,
                  fmt::format("weights and bit maps take {} bytes; a region has {}", maps, kLimit),
                  graph.name);
    }
    isa::encode(pack, out.packs);
  }
  return out;
}

}  // namespace espalier::compiler
