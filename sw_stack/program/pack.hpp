#pragma once
// The program that packs a mask's weights and parameters: LOADs through the squeezer, and STOREs.
// Source: docs/pack.md, section 5.

#include <cstdint>
#include <span>
#include <vector>

#include "program/program.hpp"

namespace espalier::program {

/// Encoded, with its end. Regions: 0 the dense image, 1 and 4 the mask's part of region 4.
/// `packed`: by layer, whether it is packed; `program` takes masks. `maps`: region 4 from
/// `maps_offset` on; it holds the bit maps of every layer that is packed.
std::vector<std::uint8_t> pack_program(const Program& program, const std::vector<bool>& packed,
                                       std::span<const std::uint8_t> maps,
                                       std::uint32_t maps_offset = 0);

/// A squeezer's LOAD of parameters; one of weights otherwise. Not for LOADs of other targets.
bool squeezes_params(const isa::Load& load);

}  // namespace espalier::program
