#pragma once
// What a user asks `espalier personalise` for, read from text.

#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::cli {

/// `3,5,8`, ascending. Errors: kUsage for a class that a model of `outputs` classes lacks, one
/// named twice, or a single one.
Result<std::vector<int>> read_classes(const std::string& text, int outputs);

struct Budget {
  enum class Kind { kCycles, kMacs, kLoss };
  Kind kind = Kind::kCycles;
  double limit = 0;  ///< a share; kLoss: points
};

/// `cycles=0.5`, `macs=0.5` or `loss=1.0`. Errors: kUsage.
Result<Budget> read_budget(const std::string& text);

}  // namespace espalier::cli
