#pragma once
// Region 0: weights, parameters and pool tables.

#include <cstdint>
#include <vector>

#include "compiler/steps.hpp"
#include "compiler/tiles.hpp"
#include "isa/instruction.hpp"

namespace espalier::compiler {

/// Where a layer's constants lie. Units: bytes.
struct ConstantPlaces {
  std::uint32_t weights = 0, params = 0, table = 0;
  int table_words = 0;
  std::vector<Stream> streams;  ///< by group and chunk, where the weights are sparse
};

/// The order of a layer's weights where masks may shorten it: unit by unit, a unit being a group
/// and a K chunk, each at a multiple of a full one's size (docs/pack.md, section 2). Units: words.
struct UnitOrder {
  std::int64_t group_words = 0, chunk_words = 0;
  std::int64_t tap_words = 0;  ///< where tapwise; 0: a row's taps lie together
};
UnitOrder unit_order(const Layer& layer, int lanes);

/// Place and size of a step's unit in the clip word; `bound` and the rest are the caller's.
isa::Clip unit_clip(const Layer& layer, const Step& step);

struct Constants {
  std::vector<std::uint8_t> bytes;
  std::vector<ConstantPlaces> places;  ///< by layer
};

/// Errors: kCapacity where they do not fit into a region.
Result<Constants> make_constants(const ir::QuantGraph& graph, const std::vector<Layer>& layers,
                                 const Layout& layout, const isa::Config& config,
                                 const Options& options);

}  // namespace espalier::compiler
