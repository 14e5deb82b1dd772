#pragma once
// What a program that takes masks says of itself. Source: docs/pack.md, section 7.

#include "compiler/constants.hpp"
#include "program/program.hpp"

namespace espalier::compiler {

/// Where stored tensors lie, what each layer reads, and where its weights are; bit maps stand
/// behind the constants. Errors: kCapacity where they outgrow a region; kUnsupported, naming the
/// layer, for more blocks than there are maps.
Result<program::Maskable> describe_masks(const ir::QuantGraph& graph,
                                         const std::vector<Layer>& layers, const Layout& layout,
                                         const Constants& constants, const isa::Config& config);

}  // namespace espalier::compiler
