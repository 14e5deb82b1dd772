#pragma once
// Region 0: weights, parameters and pool tables.

#include <cstdint>
#include <vector>

#include "compiler/steps.hpp"

namespace espalier::compiler {

/// Where a layer's constants lie. Units: bytes.
struct ConstantPlaces {
  std::uint32_t weights = 0, params = 0, table = 0;
  int table_words = 0;
};

struct Constants {
  std::vector<std::uint8_t> bytes;
  std::vector<ConstantPlaces> places;  ///< by layer
};

/// Errors: kCapacity where they do not fit into a region.
Result<Constants> make_constants(const ir::QuantGraph& graph, const std::vector<Layer>& layers,
                                 const Layout& layout, const isa::Config& config);

}  // namespace espalier::compiler
