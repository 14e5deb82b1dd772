#include "masks/sealed.hpp"

#include <fmt/format.h>

namespace espalier::masks {

Status check_version(ByteReader& in, std::uint32_t version, const std::string& place) {
  const auto found = in.get<std::uint32_t>();
  if (!in.ok() || found == version) return {};
  return fail(ErrorCode::kMismatch,
              fmt::format("format version {}; this build reads {}", found, version), place);
}

Status check_end(ByteReader& in, std::span<const std::uint8_t> bytes, const std::string& place) {
  constexpr std::size_t kHashBytes = 8;
  if (!in.ok() || in.remaining() < kHashBytes) {
    return fail(ErrorCode::kMalformed, fmt::format("truncated near byte {}", in.position()), place);
  }
  if (in.remaining() > kHashBytes) {
    return fail(ErrorCode::kMalformed,
                fmt::format("{} bytes follow its end", in.remaining() - kHashBytes), place);
  }
  if (in.get<std::uint64_t>() != fnv1a(bytes.first(bytes.size() - kHashBytes)))
    return fail(ErrorCode::kMalformed, "corrupt: its hash does not match its contents", place);
  return {};
}

}  // namespace espalier::masks
