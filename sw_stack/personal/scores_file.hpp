#pragma once
// Scores kept in a file, so that a measurement goes on where it stopped.

#include <cstdint>
#include <string>
#include <vector>

#include "personal/importance.hpp"
#include "base/result.hpp"

namespace espalier::personal {

/// What scores belong to: all of it must agree before a measurement goes on.
struct ScoresOf {
  std::uint64_t fingerprint = 0;  ///< of the graph
  std::string scope;
  std::vector<int> classes;
  bool operator==(const ScoresOf&) const = default;
};

/// The file is written whole or not at all. Errors: kIo.
Status save_scores(const ScoresOf& of, const Importance& importance, const std::string& path);

/// Errors: kIo, kMalformed, kMismatch (another version, model or user), with the file.
/// `size` is the number of channel classes, `slots` that of gradients.
Result<Importance> load_scores(const ScoresOf& of, std::size_t size, std::size_t slots,
                               const std::string& path);

}  // namespace espalier::personal
