#pragma once
// One user's model: a mask and corrections put together.

#include <cstdint>
#include <span>
#include <vector>

#include "personal/correct.hpp"
#include "masks/mask.hpp"
#include "base/result.hpp"

namespace espalier::personal {

/// A user's images: inputs one after the other, a label each.
struct Samples {
  std::vector<std::int8_t> inputs;
  std::vector<int> labels;
  [[nodiscard]] std::size_t size() const { return labels.size(); }
};

/// The pruned and corrected graph, with the outputs of these classes only, in their order.
/// Errors: those of masks::prune and correct.
Result<ir::QuantGraph> personalise(const ir::QuantGraph& graph, const masks::Channels& channels,
                                   const masks::Mask& mask, const Reference& reference,
                                   std::span<const std::int8_t> inputs,
                                   std::span<const int> classes, Correction level, int threads = 0);

/// Share of the samples whose label is the best of the user's classes. The graph has all outputs,
/// or those of `classes` only. Range: samples are not empty; classes ascend.
double accuracy(const ir::QuantGraph& graph, const Samples& samples, std::span<const int> classes,
                int threads = 0);

}  // namespace espalier::personal
