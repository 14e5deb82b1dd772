#pragma once
// What the squeezer makes of a LOAD: its rows, how long each takes and how many words it gives.

#include <vector>

#include "isa/instruction.hpp"
#include "isa/maps.hpp"
#include "program/program.hpp"
#include "timing/parts.hpp"

namespace espalier::timing {

/// Cycles of a word through the squeezer: one more where it is put together from beats.
inline Time squeeze_cycles(const isa::Config& config) {
  return config.pack_lanes == config.lanes ? 4 : 5;
}

/// A stretch of a squeezer's LOAD. Units: cycles, words of L bytes.
struct SqueezedRow {
  std::int64_t beats = 0;  ///< that it takes from the bus
  Time lead = 0;           ///< from when the first of them may be taken until it is
  Time tail = 0;           ///< behind the last: padding, and rows of zeros
  std::int64_t words = 0;  ///< that leave
};

/// `w`: the layer's; `k`, `n`: its maps; `segment`: rows of its segment of output channels so far,
/// of LOADs of weights.
std::vector<SqueezedRow> squeezed_rows(const isa::Load& load, const isa::Config& config,
                                       const program::Maskable::Weights& w, const isa::Maps& k,
                                       const isa::Maps& n, std::int64_t& segment);

}  // namespace espalier::timing
