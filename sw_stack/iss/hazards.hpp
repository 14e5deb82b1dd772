#pragma once
// Proves that a program's dependencies order every pair of conflicting accesses, whatever the
// latencies: each engine's knowledge of the others is a vector clock, and each word of the
// activation buffer, the pool table and the memory remembers who touched it last.

#include <span>

#include "isa/instruction.hpp"
#include "base/result.hpp"

namespace espalier::iss {

/// The program as the engines get it: clipped (isa/clip.hpp) where it takes masks, or packs.
/// Errors: kDevice, naming both instructions, the place and which dependency is missing.
Status check_hazards(const isa::Config& config, std::span<const isa::Instruction> program);

}  // namespace espalier::iss
