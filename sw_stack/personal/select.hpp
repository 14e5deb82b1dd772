#pragma once
// From scores to a mask within a budget.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "masks/choose.hpp"
#include "masks/mask.hpp"
#include "base/result.hpp"

namespace espalier::personal {

/// Multiply-accumulates that go with each channel where nothing else is masked, by class.
std::vector<double> channel_macs(const ir::QuantGraph& graph, const masks::Channels& channels);

/// Blocks of channels in scope in the order in which they go, over all groups: least score for what
/// they cost first. A group's channels are cut into blocks of `align`, best first, the last of what
/// is left over; its first block never goes.
class Ranking {
 public:
  /// `scores`, `costs`: by class of Channels; costs are above 0, or empty: all are alike.
  /// Range: 0 <= least <= 1.
  Ranking(const masks::Channels& channels, masks::Scope scope, const std::vector<double>& scores,
          int align, const std::vector<double>& costs = {}, double least = 0);

  /// Blocks that may go.
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  /// The mask after the first `removed` blocks went.
  [[nodiscard]] masks::Mask mask(std::size_t removed) const;

 private:
  const masks::Channels* channels_;
  std::vector<std::vector<int>> order_;  ///< classes of each block
};

/// Scores of 0 to 1 by chance; the same seed gives the same.
std::vector<double> random_scores(std::size_t classes, std::uint64_t seed);

/// Share of the dense network's multiply-accumulates that a mask leaves.
double macs_share(const ir::QuantGraph& graph, const masks::Channels& channels,
                  const masks::Mask& mask);

/// A mask that was found, and what it costs.
struct Selected {
  masks::Mask mask;
  std::size_t removed = 0;
  double cost = 0;
};

/// What a mask costs; smaller is better. Removing more does not make it larger where `meet` asks,
/// and not smaller where `push` does.
using Cost = std::function<Result<double>(const masks::Mask&)>;

/// The mask that keeps most with cost <= limit. `rough`, where there is one, is about what `cost`
/// is and quicker: the search begins where it says, and takes fewer costs the nearer that is.
/// Errors: kRange where even the smallest costs more; `what` names the cost.
Result<Selected> meet(const Ranking& ranking, double limit, const Cost& cost,
                      const std::string& what, const Cost& rough = {});

/// The mask that removes most with cost <= limit, for costs that rise; found by bisection in
/// `steps` steps, so cost may be slow and a little uneven. Errors: kRange where none does.
Result<Selected> push(const Ranking& ranking, double limit, const Cost& cost, int steps,
                      const std::string& what);

}  // namespace espalier::personal
