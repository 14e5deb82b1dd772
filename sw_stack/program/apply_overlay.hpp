#pragma once
// Overlays on programs: weights that a bit a weight makes 0, in the graph, which golden runs, and
// in the dense image, which PACK reads. Source: docs/masks.md.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/weight_mask.hpp"
#include "program/program.hpp"

namespace espalier::program {

/// A layer's bits in the order of its weights' bytes in region 0: bit i belongs to the byte at
/// `weights` + i. Lanes that hold no weight have bit 0.
/// Shapes: `bits` as ir::WeightMask has them for the layer's convolution; the program takes masks.
/// Errors: kMalformed, where what the program says of its masks contradicts its graph.
Result<std::vector<std::uint8_t>> image_bits(const Program& program, std::size_t layer,
                                             std::span<const std::uint8_t> bits);

/// Bytes of region 0, from one on.
struct Bytes {
  std::uint32_t offset = 0;
  std::vector<std::uint8_t> bytes;
};
/// What region 0 holds of a layer whose convolution is `conv` instead of the program's: its weights
/// and its parameters. Shapes: those of the layer's convolution; the program takes masks.
/// Errors: as image_bits.
Result<std::vector<Bytes>> layer_image(const Program& program, std::size_t layer,
                                       const ir::QuantConv& conv);

/// A layer's convolution: its index among the nodes, or -1.
int conv_node(const Program& program, const Layer& layer);

/// Makes weights 0 that do not stay, in the graph and in the dense image.
/// Errors: kUsage where the program takes no masks: it does not say where its weights lie; those of
/// image_bits.
Status apply_overlay(Program& program, const ir::WeightMask& mask);

}  // namespace espalier::program
