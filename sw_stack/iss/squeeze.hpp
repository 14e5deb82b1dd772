#pragma once
// The squeezer: weights and parameters of a layer without the lanes and rows that its masks leave
// out. Source: docs/pack.md, section 5.

#include <cstdint>
#include <span>
#include <vector>

#include "isa/maps.hpp"
#include "support/result.hpp"

namespace espalier::iss {

/// Weights in the order [n block][lane][tap][k block], a word of one byte a lane each: live rows
/// keep their live lanes, each segment of k filled up to a word by zeros, each segment of n up to a
/// whole block by rows of zeros. Errors: kDevice where there are more or fewer words than that.
Result<std::vector<std::uint8_t>> squeeze_weights(std::span<const std::uint8_t> words,
                                                  const isa::Maps& k, const isa::Maps& n,
                                                  std::size_t taps);

/// Parameters of n blocks, 8 bytes a lane. Errors: as for weights.
Result<std::vector<std::uint8_t>> squeeze_params(std::span<const std::uint8_t> words,
                                                 const isa::Maps& n);

}  // namespace espalier::iss
