#include "masks/choose.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "base/integers.hpp"

namespace espalier::masks {
namespace {

std::size_t share(double keep, std::size_t count) {
  return static_cast<std::size_t>(std::llround(keep * static_cast<double>(count)));
}

/// Every convolution that makes channels, with its output's classes.
template <typename Visit>
void each_source(const ir::QuantGraph& graph, const Channels& channels, Visit visit) {
  for (const ir::QuantNode& node : graph.nodes) {
    const auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv != nullptr && !is_copy(graph, node))
      visit(node, *conv, channels.of_tensor[index(node.output)]);
  }
}

}  // namespace

bool in_scope(const Group& group, Scope scope) {
  return scope == Scope::kAll || (!group.residual && !group.joined);
}

std::vector<double> magnitudes(const ir::QuantGraph& graph, const Channels& channels) {
  std::vector<double> weight(channels.classes(), 0.0);
  each_source(graph, channels, [&](const auto&, const ir::QuantConv& conv, const auto& classes) {
    const std::size_t depth = conv.weights.size() / conv.bias.size();
    std::vector<double> norms;
    double sum = 0;
    for (std::size_t n = 0; n < conv.bias.size(); ++n) {
      double norm = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        const double w = conv.weights[n * depth + k];
        norm += w * w;
      }
      // scale[n] is the weights' scale times the same factor for the whole layer.
      norm *= double{conv.scale[n]} * conv.scale[n];
      norms.push_back(norm);
      sum += norm;
    }
    const double mean = sum > 0 ? sum / static_cast<double>(norms.size()) : 1;
    for (std::size_t n = 0; n < norms.size(); ++n) weight[index(classes[n])] += norms[n] / mean;
  });
  return weight;
}

Mask random_mask(const Channels& channels, const Choice& choice, std::uint64_t seed) {
  Mask mask = all_live(channels);
  std::mt19937_64 random(seed);
  const auto block = static_cast<std::size_t>(std::max(choice.align, 1));
  for (const Group& group : channels.groups) {
    if (!in_scope(group, choice.scope)) continue;
    std::vector<int> order = group.classes;
    // std::shuffle differs between libraries.
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    const std::size_t wanted = std::max<std::size_t>(1, share(choice.keep, order.size()));
    const std::size_t live = std::min(order.size(), round_up(wanted, block));
    for (std::size_t i = live; i < order.size(); ++i) mask.live[index(order[i])] = false;
  }
  return mask;
}

Mask magnitude_mask(const ir::QuantGraph& graph, const Channels& channels, const Choice& choice) {
  struct Block {
    double weight;
    std::vector<int> classes;
  };
  const std::vector<double> weight = magnitudes(graph, channels);
  const auto size = static_cast<std::size_t>(std::max(choice.align, 1));
  Mask mask = all_live(channels);
  std::vector<Block> blocks;  // those that may go
  std::size_t all = 0, live = 0;
  for (const Group& group : channels.groups) {
    if (!in_scope(group, choice.scope)) continue;
    std::vector<int> order = group.classes;
    std::ranges::stable_sort(order,
                             [&](int a, int b) { return weight[index(a)] > weight[index(b)]; });
    all += order.size();
    live += std::min(size, order.size());
    for (std::size_t at = size; at < order.size(); at += size) {
      Block block{0, {}};
      for (std::size_t i = at; i < std::min(at + size, order.size()); ++i) {
        block.classes.push_back(order[i]);
        block.weight += weight[index(order[i])];
        mask.live[index(order[i])] = false;
      }
      block.weight /= static_cast<double>(block.classes.size());
      blocks.push_back(std::move(block));
    }
  }
  std::ranges::stable_sort(blocks,
                           [](const Block& a, const Block& b) { return a.weight > b.weight; });
  const std::size_t wanted = share(choice.keep, all);
  for (const Block& block : blocks) {
    if (live >= wanted) break;
    for (const int c : block.classes) mask.live[index(c)] = true;
    live += block.classes.size();
  }
  return mask;
}

Mask zeroed_mask(const ir::QuantGraph& graph, const Channels& channels) {
  Mask mask{std::vector<bool>(channels.classes(), false)};
  for (std::size_t c = 0; c < channels.classes(); ++c) mask.live[c] = !channels.prunable[c];
  each_source(graph, channels,
              [&](const ir::QuantNode& node, const ir::QuantConv& conv, const auto& classes) {
                const std::size_t depth = conv.weights.size() / conv.bias.size();
                const int zero = graph.tensors[index(node.output)].quant.zero;
                for (std::size_t n = 0; n < conv.bias.size(); ++n) {
                  const auto row = std::span(conv.weights).subspan(n * depth, depth);
                  const float y = std::nearbyint(static_cast<float>(conv.bias[n]) * conv.scale[n]);
                  const double out = std::clamp(double{y} + zero, double(conv.lo), double(conv.hi));
                  const bool zeroed =
                      std::ranges::all_of(row, [](std::int8_t w) { return w == 0; }) && out == zero;
                  if (!zeroed) mask.live[index(classes[n])] = true;
                }
              });
  for (const Group& group : channels.groups) {
    const bool any = std::ranges::any_of(group.classes, [&](int c) { return mask.live[index(c)]; });
    if (!any) mask.live[index(group.classes[0])] = true;
  }
  return mask;
}

}  // namespace espalier::masks
