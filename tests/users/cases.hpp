#pragma once
// Users of a classifier, ways to prune it for them, and what each way costs in accuracy.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "images/dataset.hpp"
#include "learn/personal.hpp"
#include "prune/channels.hpp"
#include "support/result.hpp"

namespace espalier::users {

using User = std::vector<int>;  ///< classes, ascending

/// One way to prune: the MAC cut, what ranks the channels, how the rest is corrected, and of what
/// the live counts are multiples.
struct Case {
  double cut = 1;
  std::string by = "taylor", correct = "all";
  int align = 1;
  [[nodiscard]] std::string name() const;
  bool operator==(const Case&) const = default;
};

/// Images from a set to learn from, and to test on.
struct Images {
  std::size_t learn = 300;      ///< the first of the user's classes
  std::size_t per_class = 300;  ///< to test on, of each class
};

/// Measures the cases of one user; what all cases share is measured once.
class Bench {
 public:
  /// Errors: those of reading images; kRange where there are too few.
  static Result<Bench> open(const ir::QuantGraph& graph, const prune::Channels& channels,
                            const User& user, const images::Dataset& learn,
                            const images::Dataset& test, const Images& counts);
  /// Accuracy on the test images without pruning, outputs restricted to the user's classes.
  [[nodiscard]] double generic() const;
  /// The same after pruning; nothing where no mask cuts so much. Errors: those of ir::verify.
  [[nodiscard]] Result<std::optional<double>> accuracy(const Case& which);

 private:
  Bench(const ir::QuantGraph& graph, const prune::Channels& channels, User user)
      : graph_(&graph), channels_(&channels), user_(std::move(user)) {}
  const ir::QuantGraph* graph_;
  const prune::Channels* channels_;
  User user_;
  learn::Samples learn_, test_;
  std::optional<learn::Reference> reference_;
  std::map<std::string, std::vector<double>> scores_;
};

}  // namespace espalier::users
