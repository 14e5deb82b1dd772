#pragma once
// What the subcommands that take models share: programs as models, and masks on them.

#include <string>

#include "prune/prune.hpp"
#include "base/result.hpp"

namespace espalier::cli {

/// Whether a file begins as a program does; import_::load complains of one that cannot be read.
bool is_program(const std::string& path);

/// The same complaint with a file in front.
Diagnostic placed(Diagnostic error, const std::string& file);

/// The graph without the channels that `mask` leaves out; `file`, which names the mask, is in the
/// errors, which are those of prune::prune.
Result<prune::Pruned> pruned(const ir::QuantGraph& graph, const prune::Channels& channels,
                             const prune::Mask& mask, const std::string& file);

}  // namespace espalier::cli
