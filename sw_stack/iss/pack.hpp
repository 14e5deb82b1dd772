#pragma once
// The PACK instruction: one layer's weights and parameters without the lanes and rows that its
// masks leave out. Source: docs/pack.md, sections 2 and 5.

#include <cstdint>
#include <span>

#include "isa/instruction.hpp"
#include "support/result.hpp"

namespace espalier::iss {

/// Reads `dense` (region 0) and the masks in `packed` (region 4), and writes `packed` at the same
/// offsets. Errors: kDevice with the fault's name, where either region ends too early or fields
/// contradict each other.
Status pack(const isa::Pack& instruction, const isa::Config& config,
            std::span<const std::uint8_t> dense, std::span<std::uint8_t> packed);

/// Bit maps that fit on chip, those of both sides.
inline constexpr std::uint64_t kMaps = 512;
/// Bytes of one block's mask in memory, and the bit that ends a segment.
inline constexpr std::size_t kMaskBytes = 8;
inline constexpr unsigned kSegmentEnd = 32;

}  // namespace espalier::iss
