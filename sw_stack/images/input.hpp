#pragma once
// From pixels to a network's input.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::images {

/// Network input values in float: (pixel / 255 - mean[c]) / std[c], or the pixels themselves where
/// the preprocessing is none or they are network inputs already (`raw_float`).
/// Shapes: pixels and result [C][H][W].
std::vector<float> preprocess_input(const ir::Preprocess& preprocess, const ir::Shape& shape,
                                    std::span<const float> pixels, bool raw_float);

/// q = clamp(rne(value / scale) + zero, -128, 127) of every value; a NaN becomes the zero point.
std::vector<std::int8_t> quantise_values(std::span<const float> values, const ir::Quant& quant);

/// Both in one: the graph's int8 input. Shapes: pixels are the graph input's [C][H][W].
std::vector<std::int8_t> quantise_input(const ir::QuantGraph& graph, std::span<const float> pixels,
                                        bool raw_float);

}  // namespace espalier::images
