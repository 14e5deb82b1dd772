#pragma once
// Measurements kept in a file while they come, and tables of them.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "support/result.hpp"

namespace espalier::users {

/// Accuracy by user and case; a line of text each, appended as they come, so that a run that was
/// cut goes on.
class Results {
 public:
  /// `settings` must be those of the file, which begins with them. Errors: kIo, kMismatch.
  static Result<Results> open(const std::string& path, const std::string& settings);
  [[nodiscard]] bool has(const std::string& user, const std::string& name) const;
  /// Errors: kIo.
  Status add(const std::string& user, const std::string& name, double accuracy);
  /// Range: has(user, name).
  [[nodiscard]] double at(const std::string& user, const std::string& name) const;

 private:
  std::string path_;
  std::map<std::pair<std::string, std::string>, double> values_;
};

/// The largest cut that loses `loss` at most, by straight lines between the points, which ascend in
/// cut; a cut of 1 loses nothing. The last cut where even that loses less.
double cut_at(const std::vector<std::pair<double, double>>& loss_by_cut, double loss);

}  // namespace espalier::users
