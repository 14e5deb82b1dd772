#include "isa/maps.hpp"

#include <string>

namespace espalier::isa {

Result<Maps> read_maps(std::span<const std::uint8_t> bytes, std::size_t lanes) {
  Maps maps;
  for (; bytes.size() >= kMapBytes; bytes = bytes.subspan(kMapBytes)) {
    const auto bit = [&](std::size_t i) { return ((bytes[i / 8] >> (i % 8)) & 1U) != 0; };
    auto& live = maps.live.emplace_back(lanes);
    for (std::size_t lane = 0; lane < lanes; ++lane) live[lane] = bit(lane);
    maps.ends.push_back(bit(kSegmentEnd) || bit(kListEnd));
    if (bit(kListEnd)) return maps;
  }
  return fail(ErrorCode::kDevice,
              "none of " + std::to_string(maps.ends.size()) + " bit maps is the last");
}

}  // namespace espalier::isa
