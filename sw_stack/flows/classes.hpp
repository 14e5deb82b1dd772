#pragma once
// The outputs of a classifier that a user needs.

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::flows {

/// Outputs of a classifier. Errors: kUnsupported for a graph that is none; `place` names it.
Result<int> outputs_of(const ir::QuantGraph& graph, const std::string& place);

/// The chosen outputs, ascending. Errors: kUsage for a class that a model of `outputs` classes
/// lacks, one named twice, or a single one.
Result<std::vector<int>> choose_classes(const std::vector<std::uint64_t>& chosen, int outputs);

}  // namespace espalier::flows
