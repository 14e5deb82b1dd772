#pragma once
// What overlay and patch files share: a version after the magic, and a hash of all at the end.

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace espalier::masks {

/// Errors: kMismatch for another version than this build's. One that is cut off is left to
/// check_end.
Status check_version(ByteReader& in, std::uint32_t version, const std::string& place);

/// Errors: kMalformed where the reader failed, where anything but the hash is left, or where that
/// is not of `bytes`, the whole file.
Status check_end(ByteReader& in, std::span<const std::uint8_t> bytes, const std::string& place);

}  // namespace espalier::masks
