#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "compiler/cost.hpp"
#include "compiler/plan.hpp"

namespace espalier::compiler {
namespace {

constexpr int kMaxBlocks = 4095, kMaxTile = 4095, kMaxSpan = 8191, kMaxSlots = 16;
constexpr double kLongStep = 20000;  // a pool that takes longer holds up the stores behind it

struct Along {
  int count = 0, largest = 0;
  std::int64_t pixels = 0;
};

Along tiles_along(const Axis& axis, int step) {
  Along out;
  for (int o = 0; o < axis.out; o += step) {
    const Reach r = reach(axis, o, std::min(step, axis.out - o), 0, axis.kernel);
    ++out.count;
    out.largest = std::max(out.largest, r.pixels.size());
    out.pixels += r.pixels.size();
  }
  return out;
}

}  // namespace

int pool_least_words(const PoolGeometry& g) {
  return std::min(g.y.kernel, g.y.in) * std::min(g.x.kernel, g.x.in);
}

Result<std::vector<PoolPlan>> plan_pool(const PoolGeometry& g, const isa::Config& config, int base,
                                        const Options& options, const std::string& place) {
  if (config.pool_lanes == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("is a pool; configuration {} has none", config.name.view()), place);
  }
  const int budget = config.act_words - base;
  PoolPlan best;
  std::map<int, std::pair<double, PoolPlan>> by_size;  // the cheapest, by words to a power of 2
  Chooser chooser(options, static_cast<std::uint64_t>(g.blocks) * 57 + g.y.out * 3 + g.y.kernel);
  // Windows that divide by different counts without a table take an instruction each.
  const bool single = !g.uniform && !g.use_table;
  const int limit = single ? 1 : kMaxTile;
  for (const int rows : shares(g.y.out, limit)) {
    const Along ty = tiles_along(g.y, rows);
    if (ty.largest > kMaxSpan) continue;
    for (const int cols : shares(g.x.out, limit)) {
      const Along tx = tiles_along(g.x, cols);
      if (tx.largest > kMaxSpan) continue;
      const std::int64_t area = std::int64_t{ty.largest} * tx.largest;
      if (area > budget) continue;
      const int most = static_cast<int>(std::min<std::int64_t>(budget / area, kMaxBlocks));
      for (const int blocks : shares(g.blocks, most)) {
        if (std::int64_t{rows} * cols * blocks > 65535) continue;
        PoolPlan plan;
        plan.rows = rows;
        plan.cols = cols;
        plan.blocks = blocks;
        plan.base = base;
        plan.slot_words = static_cast<int>(area) * blocks;
        plan.slots = std::min(budget / plan.slot_words, kMaxSlots);
        const double steps = double{1.0} * ty.count * tx.count * ceil_div(g.blocks, blocks);
        const int word = std::max(g.y.kernel * g.x.kernel, config.lanes / config.pool_lanes);
        const double compute =
            double{1.0} * g.blocks * g.y.out * g.x.out * word + steps * kTiming.pool_overhead;
        const bool full = tx.count == 1 && tx.pixels == g.x.in;
        const double load = full ? run_cycles(config, ty.pixels / ty.count * g.x.in,
                                              double{1.0} * g.blocks * ty.count)
                                 : run_cycles(config, tx.pixels / tx.count,
                                              static_cast<double>(ty.pixels) * g.blocks * tx.count);
        plan.cycles = std::max(compute, load) + (plan.slots < 2 ? load : load / steps);
        const double longest = compute / steps;
        const double cost =
            plan.cycles + 0.1 * load + (longest > kLongStep ? longest - kLongStep : 0);
        if (chooser.offer(cost)) best = plan;
        const int size = std::bit_width(static_cast<unsigned>(rows * cols * blocks));
        const auto [it, added] = by_size.try_emplace(size, cost, plan);
        if (!added && cost < it->second.first) it->second = {cost, plan};
      }
    }
  }
  if (chooser.any()) {
    std::vector<PoolPlan> list{best};
    for (const auto& [size, choice] : by_size) {
      if (!(choice.second == best)) list.push_back(choice.second);
    }
    return list;
  }
  return fail(
      ErrorCode::kCapacity,
      fmt::format("no tile fits: a window holds {} words; the activation buffer has {} for pools",
                  pool_least_words(g), budget),
      place);
}

}  // namespace espalier::compiler
