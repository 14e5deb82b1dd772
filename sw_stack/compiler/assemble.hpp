#pragma once
// The program, of all that the passes before found.

#include "compiler/state.hpp"

namespace espalier::compiler {

/// Encodes `state.emitted` as the program's instructions.
void encode(State& state);

/// Makes `state.program`, verified; the graph and the bytes of the constants become the program's.
/// Errors: those of describe_masks() and of program::verify().
Status assemble(State& state);

}  // namespace espalier::compiler
