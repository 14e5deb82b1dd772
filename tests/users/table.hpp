#pragma once
// Measurements kept in a file while they come.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "tests/users/cases.hpp"

namespace espalier::users {

/// Right answers by user and case; a line of text each, appended as they come, also by several
/// processes at once, so that a run that was cut goes on. tests/users/table.py reads it.
class Results {
 public:
  enum class Use { kRead, kAppend };  ///< only to read what is there; to add to it
  /// `settings` must be those of the file, which begins with them. Errors: kIo, kMismatch.
  static Result<Results> open(const std::string& path, const std::string& settings,
                              Use use = Use::kAppend);
  [[nodiscard]] bool has(const User& user, const Case& which) const;
  /// `right`: images; nothing where the network cannot be cut so far. Errors: kIo.
  Status add(const User& user, const Case& which, std::optional<std::size_t> right);
  /// The file anew, in order, at `path`. Errors: kIo.
  [[nodiscard]] Status save(const std::string& path) const;
  [[nodiscard]] const std::string& settings() const { return settings_; }

 private:
  static std::string key(const User& user, const Case& which);

  std::string path_, settings_;
  std::map<std::string, std::string> values_;
};

}  // namespace espalier::users
