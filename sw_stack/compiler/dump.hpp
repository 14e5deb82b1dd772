#pragma once
// What the passes found, as text. The form is for readers and may change.

#include <string>

#include "compiler/state.hpp"

namespace espalier::compiler {

std::string dump_graph(const State& state);         ///< nodes
std::string dump_nodes(const State& state);         ///< layers, and the nodes of each
std::string dump_layout(const State& state);        ///< pieces of memory, and tensors in them
std::string dump_input(const State& state);         ///< channel and shift of each lane
std::string dump_tiles(const State& state);         ///< geometry and tiles of each layer
std::string dump_constants(const State& state);     ///< bytes of region 0, by layer
std::string dump_order(const State& state);         ///< steps in order
std::string dump_instructions(const State& state);  ///< as the disassembler has them
std::string dump_program(const State& state);       ///< sizes

}  // namespace espalier::compiler
