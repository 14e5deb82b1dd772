#include "import/refusals.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.hpp"

namespace espalier::import_ {

const Diagnostic* Refusals::first() const {
  const auto found =
      std::ranges::find_if(nodes_, [](const Node& n) { return n.refused.has_value(); });
  return found == nodes_.end() ? nullptr : &*found->refused;
}

std::vector<std::string> Refusals::lines() const {
  struct Group {
    std::string op, reason, names;
    std::size_t count = 0;
  };
  std::vector<Group> groups;
  std::size_t refused = 0, unjudged = 0;
  std::int64_t all = 0, mapped = 0;
  for (const Node& node : nodes_) {
    all += node.macs;
    unjudged += node.judged ? 0 : 1;
    if (!node.refused) {
      mapped += node.judged ? node.macs : 0;
      continue;
    }
    ++refused;
    auto group = std::ranges::find_if(groups, [&node](const Group& g) {
      return g.op == node.op && g.reason == node.refused->message;
    });
    if (group == groups.end())
      group = groups.insert(group, Group{node.op, node.refused->message, {}, 0});
    ++group->count;
    group->names += (group->names.empty() ? "" : ", ") + node.name;
  }
  if (refused == 0) return {};
  std::vector<std::string> list;
  list.push_back(fmt::format("{} of {} nodes are refused:", refused, nodes_.size()));
  for (const Group& g : groups)
    list.push_back(fmt::format("  {} {}: {}: {}", g.count, g.op, g.reason, g.names));
  if (unjudged > 0)
    list.push_back(
        fmt::format("{} behind them have inputs of unknown shape: not judged", unjudged));
  if (all > 0) {
    list.push_back(fmt::format("{:.1f} % of {} multiply-accumulates map{}",
                               100 * static_cast<double>(mapped) / static_cast<double>(all),
                               grouped(all), unjudged > 0 ? ", as far as shapes are known" : ""));
  }
  return list;
}

}  // namespace espalier::import_
