#pragma once
// The squeezer: weights and parameters of a layer without the lanes and rows that its masks leave
// out. Source: docs/pack.md, section 5.

#include <cstdint>
#include <span>
#include <vector>

#include "isa/maps.hpp"
#include "base/result.hpp"

namespace espalier::iss {

/// Rows of weights, each in the order [tap][k block], a word of one byte a lane each: they keep
/// their live lanes, each segment of k filled up to a word by zeros. `segment`: rows of the segment
/// of output channels before and afterwards; with `fill` rows of zeros fill up its last block, and
/// it begins anew. Errors: kDevice where the words are no whole rows.
Result<std::vector<std::uint8_t>> squeeze_rows(std::span<const std::uint8_t> words,
                                               const isa::Maps& k, std::size_t taps, bool fill,
                                               std::size_t& segment);

/// Parameters of n blocks, 8 bytes a lane. Errors: as for weights.
Result<std::vector<std::uint8_t>> squeeze_params(std::span<const std::uint8_t> words,
                                                 const isa::Maps& n);

}  // namespace espalier::iss
