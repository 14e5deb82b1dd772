#pragma once
// The clip stage: instructions shortened to what a mask leaves of their layers.
// Source: docs/pack.md, section 4.

#include <span>
#include <string>
#include <vector>

#include "isa/instruction.hpp"

namespace espalier::isa {

/// What the clip stage keeps from one instruction to the next.
struct ClipState {
  std::uint32_t w_pos = 0;  ///< words of the tile's weights so far, modulo 2^16
};

/// Empty, or what of the clip word means nothing in its instruction; the clip stage does not look.
/// What is left empty has for every row the same meaning in the machine and here.
std::string clip_trouble(const Instruction& instruction, const Config& config);

/// The instruction that the engines get. One without a clip word is not changed; one without work
/// becomes a nop of its queue, or an empty CONV (n_blocks 0) where post still counts it.
Instruction clip(const Instruction& instruction, const LayerRow& row, const Config& config,
                 ClipState& state);

/// A whole program clipped by a layer table. Errors: kMalformed, as decode_row.
Result<std::vector<Instruction>> clip_all(std::span<const Instruction> program,
                                          std::span<const std::uint8_t> table,
                                          const Config& config);

}  // namespace espalier::isa
