#pragma once
// Zeroes tiles of weights: blocks of output and input channels of one tap.

#include <cstdint>

#include "ir/graph.hpp"

namespace espalier::tests {

/// Zeroes this share of the tiles of `lanes` x `lanes` channels, drawn at random, of every
/// convolution with more than `lanes` input channels (`all`: of every one).
void zero_tiles(ir::QuantGraph& graph, int lanes, double share, std::uint64_t seed,
                bool all = false);

}  // namespace espalier::tests
