#pragma once
// The form of a sparse CONV's weights (docs/tiles.md).

#include <cstddef>
#include <cstdint>
#include <span>

namespace espalier::isa {

/// Tiles that one header word speaks of, two bits each from bit 0 of its low 32 bits up.
inline constexpr std::size_t kHeaderTiles = 16;
inline constexpr std::uint8_t kTileSkips = 0, kTileRuns = 1, kTileOverwrites = 2;

/// Code `index` of a header, whose bytes are at `word`.
inline std::uint8_t tile_code(const std::uint8_t* word, std::size_t index) {
  return (word[index / 4] >> (index % 4 * 2)) & 3U;
}

/// What the weight sequencer makes of a code: bit 0 runs, bit 1 overwrites.
constexpr std::uint8_t resolve_code(std::uint8_t code, bool last_tile) {
  return static_cast<std::uint8_t>((code & 2U) | (code != 0 || last_tile ? 1U : 0U));
}

}  // namespace espalier::isa
