#pragma once
// Which weights of a graph stay: one bit each.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::ir {

/// By node: a bit a weight in the order of QuantConv::weights (output channel, row, column, input
/// channel), the first in the lowest bit of a byte; 1 stays, 0 makes the weight 0. Bits past the
/// last weight are 0. Empty, or empty for a node: all stay.
using WeightMask = std::vector<std::vector<std::uint8_t>>;

/// Bytes of so many bits.
constexpr std::size_t bit_bytes(std::size_t bits) { return bits / 8 + (bits % 8 != 0 ? 1 : 0); }
inline bool get_bit(std::span<const std::uint8_t> bits, std::size_t i) {
  return (bits[i / 8] >> i % 8 & 1U) != 0;
}
inline void set_bit(std::span<std::uint8_t> bits, std::size_t i) {
  bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1U << i % 8);
}

/// Makes the weights 0 that do not stay. Shapes: each node's bits are as many as its weights.
void zero_weights(QuantGraph& graph, const WeightMask& mask);

}  // namespace espalier::ir
