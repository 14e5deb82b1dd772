#pragma once
// Users of a classifier, ways to prune it for them, and what each way costs in accuracy.

#include <optional>
#include <string>
#include <vector>

#include "images/dataset.hpp"
#include "personal/importance.hpp"
#include "personal/user_model.hpp"
#include "masks/channels.hpp"
#include "base/result.hpp"

namespace espalier::users {

using User = std::vector<int>;  ///< classes, ascending

/// One way to prune: the MAC cut, what ranks the channels, how the rest is corrected, and of what
/// the live counts are multiples.
struct Case {
  double cut = 1;
  std::string by = "taylor", correct = "all";
  int align = 1;
};
/// Nothing pruned.
inline const Case kGeneric{1, "generic", "none", 1};

/// Images from a set to learn from, and to test on.
struct Images {
  std::size_t learn = 300;      ///< the first of the user's classes
  std::size_t per_class = 300;  ///< to test on, of each class
};

/// Measures the cases of one user, on one thread; what all cases share is measured once.
class Bench {
 public:
  /// Errors: those of reading images; kRange where there are too few.
  static Result<Bench> open(const ir::QuantGraph& graph, const masks::Channels& channels,
                            const User& user, const images::Dataset& learn,
                            const images::Dataset& test, const Images& counts);
  /// How many test images are answered right, outputs restricted to the user's classes; nothing
  /// where no mask cuts so much. Errors: those of ir::verify.
  [[nodiscard]] Result<std::optional<std::size_t>> right(const Case& which);

 private:
  [[nodiscard]] std::size_t answered(const ir::QuantGraph& graph) const;
  Result<std::vector<double>> scores(const std::string& by);
  Bench(const ir::QuantGraph& graph, const masks::Channels& channels, User user)
      : graph_(&graph), channels_(&channels), user_(std::move(user)) {}
  const ir::QuantGraph* graph_;
  const masks::Channels* channels_;
  User user_;
  personal::Samples learn_, test_;
  std::optional<personal::Reference> reference_;
  personal::Importance importance_;
};

}  // namespace espalier::users
