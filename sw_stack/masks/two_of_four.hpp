#pragma once
// 2:4 sparsity by magnitude.

#include "ir/graph.hpp"

namespace espalier::masks {

/// Zeroes, of every four consecutive input channels of each output channel and tap, the weights of
/// all but the two of largest magnitude. The first convolution and fully connected layers (those
/// whose output is one pixel) keep theirs. Returns how many convolutions lost weights.
int keep_two_of_four(ir::QuantGraph& graph);

}  // namespace espalier::masks
