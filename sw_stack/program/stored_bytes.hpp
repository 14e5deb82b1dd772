#pragma once
// Bytes as a program file stores them: as they are, or, where that is shorter, as a bit map and the
// bytes that are not zero (docs/program-format.md).

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"

namespace espalier::program {

void put_stored(ByteWriter& out, std::span<const std::uint8_t> bytes);
/// What put_stored() wrote. Where the input is no such thing `in` fails, and nothing comes back: a
/// form that does not exist, bytes that the bit map does not count, a zero among them, bits past
/// the end.
std::vector<std::uint8_t> get_stored(ByteReader& in);

}  // namespace espalier::program
