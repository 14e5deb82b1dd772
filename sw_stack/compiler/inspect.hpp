#pragma once
// A program as text: layers with their tiles, and the memory map.

#include <string>

#include "program/program.hpp"

namespace espalier::compiler {

/// A line a layer: operator, tile, MACs, estimated cycles and how much of the array they use.
std::string describe_layers(const program::Program& program);
/// A line a region, and one a stored tensor.
std::string describe_memory(const program::Program& program);

}  // namespace espalier::compiler
