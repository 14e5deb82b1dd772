#pragma once
// Weights unit by unit: dense, of fine CONVs with indices (docs/fine.md), and as streams without
// the tiles that are zero (docs/tiles.md).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compiler/steps.hpp"

namespace espalier::compiler {

/// The weights of one unit, an output group and a chunk: a run. Units: words.
struct Unit {
  std::uint32_t offset = 0;  ///< from the layer's first
  std::uint32_t words = 0;
  std::uint32_t ring = 0;  ///< of the weight ring: without those of indices
  std::uint32_t bits = 0;  ///< its bits: words from the layer's first ones
};

struct UnitWeights {
  std::vector<std::uint8_t> bytes;
  std::vector<Unit> units;  ///< by group and chunk
};

/// The units of a layer whose weights are [N][taps][K] bytes, each in the order in which the
/// weight ring holds it: [n][tap][k], or where the plan is tapwise [tap][n][k]; of a fine chunk
/// indexed.
UnitWeights unit_weights(const Layer& layer, std::span<const std::uint8_t> dense, int lanes);

/// Where those units lie.
std::vector<Unit> units_of(const Layer& layer, int lanes);

/// Words of bits of a unit.
std::uint32_t bit_words(std::uint32_t weight_words);

/// The order of a layer's units as a program that takes environments has it.
program::WeightOrder weight_order(const Layer& layer);

/// The streams of a layer whose weights are [N][taps][K] bytes, where they leave out enough tiles
/// to be worth it (with `always`: whatever they leave out) and fit the weight ring; otherwise
/// nothing.
std::optional<UnitWeights> sparse_weights(const Layer& layer, std::span<const std::uint8_t> dense,
                                          const isa::Config& config, bool always);

}  // namespace espalier::compiler
