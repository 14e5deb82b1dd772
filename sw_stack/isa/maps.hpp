#pragma once
// Bit maps of live lanes as they stand in memory and behind the rows of the layer table: 8 bytes a
// block. Source: docs/pack.md, section 5.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "isa/generated/configs.hpp"
#include "base/result.hpp"

namespace espalier::isa {

/// Maps of each side, of input (k) and output (n) channels, that fit on chip.
inline constexpr std::uint32_t kMaps = 256;
inline constexpr std::size_t kMapBytes = 8;
/// Bits of a map behind its lanes: the last block of a segment, the last block of all.
inline constexpr unsigned kSegmentEnd = 32, kListEnd = 33;
/// Bits of a squeezer's LOAD in `sram_address`: it brings parameters; behind its rows rows of zeros
/// fill up the last block of output channels.
inline constexpr std::uint32_t kSqueezeParams = 0x8000, kSqueezeFill = 0x4000;

/// The RAM of the layer table: where a layer's row stands, where the maps of k blocks begin, how
/// much each side's take, where those of n blocks begin, and its size. Units: words of L bytes.
constexpr std::uint32_t row_word(const Config& config, std::uint32_t layer) {
  return layer % static_cast<std::uint32_t>(config.mask_layers) * 32 /
         static_cast<std::uint32_t>(config.lanes);
}
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

/// One side's bit maps: which lanes of each block live, and which blocks end a segment.
struct Maps {
  std::vector<std::vector<bool>> live;  ///< by block, by lane
  std::vector<bool> ends;               ///< by block
};

/// Reads maps up to the one that is marked as the last, which ends a segment as well. Errors:
/// kDevice for a list without one in `bytes`.
Result<Maps> read_maps(std::span<const std::uint8_t> bytes, std::size_t lanes);

}  // namespace espalier::isa
