#include "program/stored_bytes.hpp"

#include <algorithm>
#include <bit>

namespace espalier::program {
namespace {

enum class Form : std::uint8_t { kPlain = 0, kBitMap = 1 };

constexpr std::size_t map_bytes(std::uint64_t bytes) { return bytes / 8 + (bytes % 8 != 0); }

std::vector<std::uint8_t> expand(std::uint64_t size, std::span<const std::uint8_t> map,
                                 std::span<const std::uint8_t> values) {
  std::vector<std::uint8_t> out(size, 0);
  auto value = values.begin();
  for (std::size_t byte = 0; byte < map.size(); ++byte) {
    for (unsigned rest = map[byte]; rest != 0; rest &= rest - 1)
      out[byte * 8 + static_cast<unsigned>(std::countr_zero(rest))] = *value++;
  }
  return out;
}

}  // namespace

void put_stored(ByteWriter& out, std::span<const std::uint8_t> bytes) {
  const auto zeros = static_cast<std::size_t>(std::ranges::count(bytes, 0));
  // The bit map has one length more.
  if (map_bytes(bytes.size()) + sizeof(std::uint64_t) >= zeros) {
    out.put(Form::kPlain);
    out.put_bytes(bytes);
    return;
  }
  std::vector<std::uint8_t> map(map_bytes(bytes.size()), 0), values;
  values.reserve(bytes.size() - zeros);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == 0) continue;
    map[i / 8] |= static_cast<std::uint8_t>(1U << i % 8);
    values.push_back(bytes[i]);
  }
  out.put(Form::kBitMap);
  out.put(static_cast<std::uint64_t>(bytes.size()));
  out.put_raw(map);
  out.put_bytes(values);
}

std::vector<std::uint8_t> get_stored(ByteReader& in) {
  const auto form = static_cast<Form>(in.get<std::uint8_t>());
  if (form == Form::kPlain) {
    const auto bytes = in.get_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto size = in.get<std::uint64_t>();
  const auto map = in.get_raw(map_bytes(size));
  const auto values = in.get_bytes();
  std::uint64_t count = 0;
  for (const std::uint8_t bits : map) count += static_cast<std::uint64_t>(std::popcount(bits));
  const bool past_end = size % 8 != 0 && !map.empty() && map.back() >> size % 8 != 0;
  if (form != Form::kBitMap || count != values.size() || past_end ||
      std::find(values.begin(), values.end(), 0) != values.end()) {
    in.refuse();
  }
  if (!in.ok()) return {};
  return expand(size, map, values);
}

}  // namespace espalier::program
