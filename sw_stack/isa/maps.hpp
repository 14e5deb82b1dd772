#pragma once
// Bit maps of live lanes as they stand in memory and behind the rows of the layer table: 8 bytes a
// block. Source: docs/pack.md, section 5.

#include <cstddef>
#include <cstdint>

#include "isa/generated/configs.hpp"
#include "isa/generated/isa.hpp"

namespace espalier::isa {

/// Maps of each side, of input (k) and output (n) channels, that fit on chip.
inline constexpr std::uint32_t kMaps = 256;
inline constexpr std::size_t kMapBytes = 8;
/// Bits of a map behind its lanes: the last block of a segment, the last block of all.
inline constexpr unsigned kSegmentEnd = 32, kListEnd = 33;
/// Bit of a LOAD's `sram_address` that sends parameters through the squeezer.
inline constexpr std::uint32_t kSqueezeParams = 0x8000;

/// The RAM of the layer table: where the maps of k blocks begin, how much each side's take, where
/// those of n blocks begin, and its size. Units: words of L bytes.
constexpr std::uint32_t k_maps_word(const Config& config) {
  return static_cast<std::uint32_t>(config.mask_layers * 32 / config.lanes);
}
constexpr std::uint32_t maps_words(const Config& config) {
  return static_cast<std::uint32_t>(kMaps * kMapBytes / static_cast<std::size_t>(config.lanes));
}
constexpr std::uint32_t n_maps_word(const Config& config) {
  return k_maps_word(config) + maps_words(config);
}
constexpr std::uint32_t table_words(const Config& config) {
  return n_maps_word(config) + maps_words(config);
}

}  // namespace espalier::isa
