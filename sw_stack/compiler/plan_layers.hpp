#pragma once
// Tiles of all layers: who may use how much of the activation buffer, and the search for each.

#include <vector>

#include "compiler/state.hpp"

namespace espalier::compiler {

/// How the activation buffer is shared. Units: words.
struct Budgets {
  std::vector<int> conv;       ///< what a convolution may use, by position among them
  std::vector<int> pool_base;  ///< where a pool's part begins, by window
};
/// Errors: those of pool_geometry().
Result<Budgets> share_buffer(const State& state, const isa::Config& machine);

/// Chooses the lanes of the input for the one convolution that reads it alone: `relay`, `relayed`.
/// Errors: those of choose_relay().
Status choose_lanes(State& state);

/// Layers whose CONVs may be fine, where the machine and the options have that, in fewer passes.
/// Errors: those of conv_geometry().
Result<std::vector<bool>> fine_layers(const State& state);

/// Geometry, and the tiles that the costs say, as for a machine of these sizes.
/// Errors: kUnsupported and kCapacity, with the layer.
Result<Planned> plan_layers(const State& state, const isa::Config& machine);

}  // namespace espalier::compiler
