#pragma once
// The squeezer: weights and parameters of a layer without the lanes and rows that its masks leave
// out. Source: docs/pack.md, section 5.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "support/result.hpp"

namespace espalier::iss {

/// One side's bit maps: which lanes of each block live, and which blocks end a segment.
struct Maps {
  std::vector<std::vector<bool>> live;  ///< by block, by lane
  std::vector<bool> ends;               ///< by block
};

/// Reads maps up to the one that is marked as the last, which ends a segment as well. Errors:
/// kDevice for a list without one in `bytes`.
Result<Maps> read_maps(std::span<const std::uint8_t> bytes, std::size_t lanes);

/// Weights in the order [n block][lane][tap][k block], a word of one byte a lane each: live rows
/// keep their live lanes, each segment of k filled up to a word by zeros, each segment of n up to a
/// whole block by rows of zeros. Errors: kDevice where there are more or fewer words than that.
Result<std::vector<std::uint8_t>> squeeze_weights(std::span<const std::uint8_t> words,
                                                  const Maps& k, const Maps& n, std::size_t taps);

/// Parameters of n blocks, 8 bytes a lane. Errors: as for weights.
Result<std::vector<std::uint8_t>> squeeze_params(std::span<const std::uint8_t> words,
                                                 const Maps& n);

}  // namespace espalier::iss
