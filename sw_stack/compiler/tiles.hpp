#pragma once
// Streams of weights without the tiles that are zero (docs/tiles.md).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compiler/steps.hpp"

namespace espalier::compiler {

/// The stream of one unit: an output group and a chunk. Units: words.
struct Stream {
  std::uint32_t offset = 0;  ///< from the layer's first
  std::uint32_t words = 0;
};

struct SparseWeights {
  std::vector<std::uint8_t> bytes;
  std::vector<Stream> streams;  ///< by group and chunk
};

/// The streams of a layer whose weights are [N][taps][K] bytes, where they leave out enough tiles
/// to be worth it (with `always`: whatever they leave out) and fit the weight ring; otherwise
/// nothing.
std::optional<SparseWeights> sparse_weights(const Layer& layer, std::span<const std::uint8_t> dense,
                                            const isa::Config& config, bool always);

}  // namespace espalier::compiler
