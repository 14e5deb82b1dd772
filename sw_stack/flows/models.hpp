#pragma once
// What flows that take models share: programs as models, and masks on them.

#include <string>

#include "import/model.hpp"
#include "masks/prune.hpp"

namespace espalier::flows {

/// The first 8 bytes of a file, as far as they can be read.
std::string head_of(const std::string& path);
/// Whether a file begins as a program does; load_model complains of one that cannot be read.
bool is_program(const std::string& path);

/// As import_::load; where nodes are refused, all of them are in the error's further lines.
Result<import_::Model> load_model(const std::string& path);
/// The same, or the quantised model of a program, without copies.
Result<import_::Model> load_model_or_program(const std::string& path);

/// The graph without the channels that `mask` leaves out; `file`, which names the mask, is in the
/// errors, which are those of masks::prune.
Result<masks::Pruned> pruned(const ir::QuantGraph& graph, const masks::Channels& channels,
                             const masks::Mask& mask, const std::string& file);

/// Unpadded multiply-accumulates of one image.
std::int64_t macs(const ir::QuantGraph& graph);

}  // namespace espalier::flows
