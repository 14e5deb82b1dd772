#pragma once
// Environments by chance.

#include "environment/environment.hpp"

namespace espalier::tests {

/// Bits by chance, biases and multipliers a little changed, for every convolution of the graph but
/// copies; of the first layer all weights stay.
environment::Environment random_environment(const ir::QuantGraph& graph, environment::Kind kind,
                                            std::uint64_t seed);

}  // namespace espalier::tests
