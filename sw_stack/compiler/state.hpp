#pragma once
// All that compiling finds out of a graph, in the order in which the passes do (passes.hpp): each
// reads what the passes before it wrote, and writes what its name stands at.

#include <cstdint>
#include <vector>

#include "compiler/arrange.hpp"
#include "compiler/compiler.hpp"

namespace espalier::compiler {

struct State {
  const ir::QuantGraph* given = nullptr;  ///< what is compiled: the caller's, for `rewrite`
  isa::Config config;
  Options options;
  ir::QuantGraph graph;              ///< rewrite; in the end the program's
  std::vector<LayerNodes> nodes;     ///< fuse
  Layout layout;                     ///< layout; `memory` gives its roots their addresses
  std::vector<PoolWindow> windows;   ///< layout
  int relayed = -1;                  ///< relay: the layer whose input has lanes of its own; -1
  Relay relay;                       ///< relay
  program::InputLayout input;        ///< relay
  std::vector<bool> fine;            ///< plan: layers whose CONVs may be fine
  std::vector<Layer> layers;         ///< plan; `refine` takes other tiles
  std::vector<Choices> choices;      ///< plan: of each layer's tiles
  Constants constants;               ///< constants; `refine` makes them again for its tiles
  Arrangement how;                   ///< refine
  Schedule schedule;                 ///< order
  std::uint32_t activation_bytes{};  ///< memory
  Emitted emitted;                   ///< emit
  program::Program program;          ///< program
};

/// Bytes that a tensor or concatenation takes in memory.
inline std::int64_t bytes_of(const Root& root, int lanes) {
  return std::int64_t{root.blocks} * root.h * root.w * lanes;
}

}  // namespace espalier::compiler
