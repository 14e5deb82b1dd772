#pragma once
// Instructions from steps: look-ahead, dependencies, fields.

#include <vector>

#include "compiler/constants.hpp"
#include "compiler/steps.hpp"
#include "compiler/weight_queue.hpp"
#include "isa/instruction.hpp"

namespace espalier::compiler {

struct Emitted {
  std::vector<isa::Instruction> instructions;
  std::vector<std::uint32_t> stores;  ///< STOREs out after each step of the order
};

Emitted emit(const ir::QuantGraph& graph, const std::vector<Layer>& layers, const Layout& layout,
             const Schedule& schedule, const Constants& constants, const isa::Config& config,
             const RingRoom& room);

/// Fields of one instruction, without dependencies and rings.
isa::Conv conv_fields(const ir::QuantGraph& graph, const Layer& layer, const Step& step,
                      const Piece& piece, int address, int operand_address, bool maskable);
isa::Pool pool_fields(const ir::QuantGraph& graph, const Layer& layer, const Step& step,
                      const Piece& piece, int address, bool maskable);
isa::Store store_fields(const Layer& layer, const Layout& layout, const Step& step, int lanes);
isa::Load load_fields(const Layout& layout, const ConstantPlaces& places, const Piece& piece,
                      int address, int lanes);

}  // namespace espalier::compiler
