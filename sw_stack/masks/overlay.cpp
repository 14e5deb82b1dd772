#include "masks/overlay.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>

#include "masks/by_name.hpp"

namespace espalier::masks {
namespace {

const ir::QuantConv& conv_of(const ir::QuantGraph& graph, int node) {
  return std::get<ir::QuantConv>(graph.nodes[static_cast<std::size_t>(node)].op);
}

std::vector<std::uint32_t> in_order(std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  return order;
}

/// Weights of one layer, those that stay first.
std::vector<std::uint32_t> rank(const ir::QuantConv& conv, WeightRank by, std::mt19937_64& random) {
  std::vector<std::uint32_t> order = in_order(conv.weights.size());
  if (by == WeightRank::kRandom) {
    // std::shuffle differs between libraries.
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    return order;
  }
  const std::size_t row = conv.weights.size() / conv.scale.size();
  // scale[n] is that of channel n's weights times the same factor for the whole layer.
  const auto magnitude = [&](std::uint32_t i) {
    return std::abs(int{conv.weights[i]}) * double{conv.scale[i / row]};
  };
  std::ranges::stable_sort(
      order, [&](std::uint32_t a, std::uint32_t b) { return magnitude(a) > magnitude(b); });
  return order;
}

}  // namespace

std::uint64_t Overlay::Layer::live() const {
  return std::accumulate(bits.begin(), bits.end(), std::uint64_t{0},
                         [](std::uint64_t sum, std::uint8_t b) {
                           return sum + static_cast<std::uint64_t>(std::popcount(b));
                         });
}

std::uint64_t Overlay::count() const {
  std::uint64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.count();
  return sum;
}

std::uint64_t Overlay::live() const {
  std::uint64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.live();
  return sum;
}

Result<Overlay> choose_weights(const ir::QuantGraph& graph, const OverlayChoice& choice) {
  Overlay overlay{graph.name, fingerprint(graph), {}};
  const Convolutions convolutions(graph);
  std::mt19937_64 random(choice.seed);
  for (const ir::QuantNode& node : graph.nodes) {
    if (!std::holds_alternative<ir::QuantConv>(node.op) || is_copy(graph, node) ||
        fnmatch(choice.layers.c_str(), node.name.c_str(), 0) != 0)
      continue;
    if (convolutions.twice(node.name)) {
      return fail(ErrorCode::kUnsupported, "the model has two convolutions of this name",
                  "layer '" + node.name + "'");
    }
    const auto& conv = std::get<ir::QuantConv>(node.op);
    Overlay::Layer layer{node.name, static_cast<std::uint32_t>(conv.out_channels),
                         static_cast<std::uint32_t>(conv.weights.size() / conv.scale.size()),
                         std::vector<std::uint8_t>(ir::bit_bytes(conv.weights.size()), 0)};
    const std::vector<std::uint32_t> order = rank(conv, choice.rank, random);
    const auto live =
        std::llround(std::clamp(choice.keep, 0.0, 1.0) * static_cast<double>(order.size()));
    for (std::size_t i = 0; i < static_cast<std::size_t>(live); ++i)
      ir::set_bit(layer.bits, order[i]);
    overlay.layers.push_back(std::move(layer));
  }
  if (overlay.layers.empty()) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` names no convolution of '{}'", choice.layers, graph.name),
                "--layers");
  }
  return overlay;
}

Result<ir::WeightMask> from_overlay(const Overlay& overlay, const ir::QuantGraph& graph,
                                    const std::string& place, Known known) {
  const auto model = same_model(overlay.fingerprint, graph, place, known);
  if (!model) return model.error();
  const Convolutions convolutions(graph);
  ir::WeightMask mask(graph.nodes.size());
  for (const Overlay::Layer& layer : overlay.layers) {
    const std::string here = fmt::format("{}: layer '{}'", place, layer.name);
    const auto found = convolutions.find(layer.name, here);
    if (!found) return found.error();
    const auto complain = [&](ErrorCode code, std::string message) {
      return fail(code, std::move(message), here);
    };
    const ir::QuantConv& conv = conv_of(graph, *found);
    const std::size_t row = conv.weights.size() / conv.scale.size();
    if (layer.channels != conv.scale.size() || layer.weights != row) {
      return complain(ErrorCode::kMismatch,
                      fmt::format("has {} channels of {} weights; the model's has {} of {}",
                                  layer.channels, layer.weights, conv.scale.size(), row));
    }
    std::vector<std::uint8_t>& bits = mask[static_cast<std::size_t>(*found)];
    if (!bits.empty()) return complain(ErrorCode::kMalformed, "is there twice");
    bits = layer.bits;
  }
  return mask;
}

}  // namespace espalier::masks
