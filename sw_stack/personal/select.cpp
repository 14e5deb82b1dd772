#include "personal/select.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "masks/prune.hpp"
#include "base/integers.hpp"

namespace espalier::personal {
namespace {}  // namespace

std::vector<double> channel_macs(const ir::QuantGraph& graph, const masks::Channels& channels) {
  std::vector<double> macs(channels.classes(), 0.0);
  for (const ir::QuantNode& node : graph.nodes) {
    const auto all = static_cast<double>(ir::macs(graph, node));
    if (all == 0) continue;
    for (const int t : {node.inputs[0], node.output}) {
      const std::vector<int>& list = channels.of_tensor[index(t)];
      for (const int c : list) macs[index(c)] += all / static_cast<double>(list.size());
    }
  }
  return macs;
}

Ranking::Ranking(const masks::Channels& channels, masks::Scope scope,
                 const std::vector<double>& scores, int align, const std::vector<double>& costs,
                 double least)
    : channels_(&channels) {
  struct Block {
    double worth;
    std::vector<int> classes;
  };
  std::vector<Block> blocks;
  const std::size_t size = index(std::max(align, 1));
  for (const masks::Group& group : channels.groups) {
    if (!masks::in_scope(group, scope)) continue;
    std::vector<int> best = group.classes;
    std::ranges::stable_sort(best,
                             [&](int a, int b) { return scores[index(a)] > scores[index(b)]; });
    const auto kept = static_cast<std::size_t>(
        std::ceil(least * static_cast<double>(best.size()) / static_cast<double>(size)));
    const std::size_t start = size * std::max<std::size_t>(kept, 1);  // of what may go
    double worth = 0;  // a block never goes before a worse one of its group
    for (std::size_t first = (best.size() - 1) / size * size; first >= start; first -= size) {
      Block block{0, {}};
      double score = 0, cost = 0;
      for (std::size_t i = first; i < std::min(first + size, best.size()); ++i) {
        block.classes.push_back(best[i]);
        score += scores[index(best[i])];
        cost += costs.empty() ? 1.0 : costs[index(best[i])];
      }
      worth = block.worth = std::max(worth, score / cost);
      blocks.push_back(std::move(block));
    }
  }
  std::ranges::stable_sort(blocks,
                           [](const Block& a, const Block& b) { return a.worth < b.worth; });
  for (Block& block : blocks) order_.push_back(std::move(block.classes));
}

masks::Mask Ranking::mask(std::size_t removed) const {
  masks::Mask mask = masks::all_live(*channels_);
  for (std::size_t i = 0; i < std::min(removed, order_.size()); ++i) {
    for (const int c : order_[i]) mask.live[index(c)] = false;
  }
  return mask;
}

std::vector<double> random_scores(std::size_t classes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> scores(classes);
  std::ranges::generate(scores, [&] { return static_cast<double>(random() >> 11U) * 0x1p-53; });
  return scores;
}

double macs_share(const ir::QuantGraph& graph, const masks::Channels& channels,
                  const masks::Mask& mask) {
  const ir::ChannelMask tensors = masks::by_tensor(channels, mask);
  std::int64_t live = 0, all = 0;
  for (const ir::QuantNode& node : graph.nodes) {
    live += ir::macs(graph, node, tensors);
    all += ir::macs(graph, node);
  }
  return static_cast<double>(live) / static_cast<double>(std::max<std::int64_t>(all, 1));
}

namespace {

/// The mask without so many blocks, and what it costs.
Result<Selected> select(const Ranking& ranking, std::size_t removed, const Cost& cost) {
  Selected found{ranking.mask(removed), removed, 0};
  const auto value = cost(found.mask);
  if (!value) return value.error();
  found.cost = *value;
  return found;
}

/// How few blocks must go for cost <= limit; all of them where that is not enough.
Result<std::size_t> first_within(const Ranking& ranking, double limit, const Cost& cost) {
  std::size_t low = 0, high = ranking.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const auto value = cost(ranking.mask(middle));
    if (!value) return value.error();
    if (*value <= limit) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

Result<Selected> meet(const Ranking& ranking, double limit, const Cost& cost,
                      const std::string& what, const Cost& rough) {
  // The fewest blocks that must go are from low to high, and `best` is without high.
  std::size_t low = 0, high = ranking.size(), at = high;
  std::optional<Selected> best;
  bool searched = !rough;  // low has been found, or there is nowhere to begin but at the end
  if (rough) {
    const auto guess = first_within(ranking, limit, rough);
    if (!guess) return guess.error();
    at = *guess;
  }
  for (std::size_t step = 1; !best || low < high; step *= 2) {
    auto found = select(ranking, at, cost);
    if (!found) return found;
    if (found->cost <= limit) {
      high = at;
      best = std::move(*found);
    } else if (at == ranking.size()) {
      return fail(
          ErrorCode::kRange,
          fmt::format("{} cannot go down to {:.4g}; with all that may go removed it is {:.4g}",
                      what, limit, found->cost));
    } else {
      low = at + 1;
      searched = true;
    }
    if (!best) {
      at = std::min(at + step, ranking.size());
    } else if (searched) {
      at = (low + high) / 2;
    } else {
      at = high - std::min(step, high - low);
    }
  }
  return std::move(*best);
}

Result<Selected> push(const Ranking& ranking, double limit, const Cost& cost, int steps,
                      const std::string& what) {
  std::size_t low = 0, high = ranking.size();
  auto best = select(ranking, 0, cost);
  if (!best) return best;
  if (best->cost > limit) {
    return fail(ErrorCode::kRange,
                fmt::format("{} cannot go down to {:.4g}; with every channel it is {:.4g}", what,
                            limit, best->cost));
  }
  for (int step = 0; step < steps && low < high; ++step) {
    const std::size_t middle = (low + high + 1) / 2;
    auto found = select(ranking, middle, cost);
    if (!found) return found;
    if (found->cost <= limit) {
      low = middle;
      best = std::move(found);
    } else {
      high = middle - 1;
    }
  }
  return best;
}

}  // namespace espalier::personal
