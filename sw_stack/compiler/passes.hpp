#pragma once
// The compiler's passes by name. docs/compiler.md says what each does.

#include <span>
#include <string>
#include <string_view>

#include "compiler/state.hpp"

namespace espalier::compiler {

struct Pass {
  std::string_view name;
  std::string_view does;  ///< in a few words
  /// Errors: what the graph has that the machine cannot do, with the node and the limit.
  Status (*run)(State& state);
  /// What it found, as text: a line for each node, layer, tensor or instruction.
  std::string (*dump)(const State& state);
};

/// In the order in which they run.
std::span<const Pass> passes();

}  // namespace espalier::compiler
