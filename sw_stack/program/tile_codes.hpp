#pragma once
// The streams of sparse CONVs (docs/tiles.md) as they stand in a program's constants.

#include <cstdint>
#include <span>
#include <vector>

#include "isa/instruction.hpp"
#include "base/result.hpp"

namespace espalier::program {

/// What each tile of a sparse CONV does, in walk order, as the weight sequencer hands it on: bit 0
/// runs, bit 1 overwrites the accumulator. Empty for other instructions.
using TileCodes = std::vector<std::uint8_t>;

/// The codes of every instruction of a list without clip words. Errors: kMalformed, naming the
/// instruction, where a stream ends too early, is longer or shorter than w_piece, or adds to sums
/// that nothing has written.
Result<std::vector<TileCodes>> tile_codes(std::span<const isa::Instruction> list,
                                          std::span<const std::uint8_t> constants,
                                          const isa::Config& config);

}  // namespace espalier::program
