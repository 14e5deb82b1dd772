#pragma once
// Region 0: weights, parameters and pool tables.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler/steps.hpp"
#include "compiler/weight_tiles.hpp"
#include "isa/instruction.hpp"
#include "program/program.hpp"

namespace espalier::compiler {

/// Where a layer's constants lie. Units: bytes.
struct ConstantPlaces {
  std::uint32_t weights = 0, params = 0, table = 0;
  std::uint32_t bits = 0;   ///< region 4: of a program that takes environments, as params then is
  std::uint32_t clean = 0;  ///< the parameters without an environment
  int table_words = 0;
  std::vector<Unit> units;  ///< of weights, by group and chunk; none where the program takes masks
  bool sparse = false;      ///< the units are streams (docs/tiles.md)
};

/// Where a convolution's weights lie where masks may shorten it, without its bit maps.
program::Maskable::Weights mask_weights(const Layer& layer, const ConstantPlaces& places);

/// Place and size of a step's unit in the clip word.
isa::Clip unit_clip(const Layer& layer, const Step& step);

struct Constants {
  std::vector<std::uint8_t> bytes;
  std::vector<ConstantPlaces> places;   ///< by layer
  std::uint32_t environment_bytes = 0;  ///< of region 4, where the program takes environments
  bool switchable = false;              ///< whether it does

  /// Whether any layer's weights are streams, cut by its tiles.
  [[nodiscard]] bool any_sparse() const {
    return std::ranges::any_of(places, &ConstantPlaces::sparse);
  }
};

/// Errors: kCapacity where they do not fit into a region.
Result<Constants> make_constants(const ir::QuantGraph& graph, const std::vector<Layer>& layers,
                                 const Layout& layout, const isa::Config& config,
                                 const Options& options);

/// Writes what follows from scales: parameters of convolutions and tables of pools.
void put_scales(const ir::QuantGraph& graph, const std::vector<Layer>& layers, const Layout& layout,
                const std::vector<ConstantPlaces>& places, std::vector<std::uint8_t>& bytes);

}  // namespace espalier::compiler
