#pragma once
// Zeroes two of every four weights: 2:4 sparsity.

#include <cstdint>

#include "ir/graph.hpp"

namespace espalier::tests {

/// Of every four consecutive input channels of every convolution's outputs and taps two lose their
/// weights, drawn at random; `most`: they keep this many. `spare_first`: but of the first
/// convolution's.
void two_of_four(ir::QuantGraph& graph, std::uint64_t seed, bool spare_first = false, int most = 2);

}  // namespace espalier::tests
