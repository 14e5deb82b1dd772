#pragma once
// Little-endian bytes of files: a writer, and a reader that never leaves its buffer.

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace espalier {

class ByteWriter {
 public:
  template <typename T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void put(T value) {
    std::uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.insert(bytes_.end(), raw, raw + sizeof(T));
  }
  void put_bytes(std::span<const std::uint8_t> data) {
    put(static_cast<std::uint64_t>(data.size()));
    put_raw(data);
  }
  /// Without their length.
  void put_raw(std::span<const std::uint8_t> data) {
    bytes_.insert(bytes_.end(), data.begin(), data.end());
  }
  void put_string(std::string_view text) {
    put_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  /// Room for so many bytes more.
  void reserve(std::size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  static_assert(std::endian::native == std::endian::little);
  std::vector<std::uint8_t> bytes_;
};

/// After the first failure every get returns zeros and ok() stays false.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> data) : data_(data) {}

  template <typename T>
  requires std::is_arithmetic_v<T> T get() {
    T value{};
    if (need(sizeof(T))) {
      std::memcpy(&value, data_.data() + position_, sizeof(T));
      position_ += sizeof(T);
    }
    return value;
  }
  std::span<const std::uint8_t> get_bytes() { return get_raw(get<std::uint64_t>()); }
  /// Without their length.
  std::span<const std::uint8_t> get_raw(std::uint64_t size) {
    if (!need(size)) return {};
    const auto part = data_.subspan(position_, size);
    position_ += size;
    return part;
  }
  std::string get_string() {
    const auto part = get_bytes();
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  /// A count of items of at least `item_bytes` each; fails where the rest cannot hold them.
  std::uint64_t get_count(std::uint64_t item_bytes) {
    const auto count = get<std::uint64_t>();
    if (count > remaining() / item_bytes) ok_ = false;
    return ok_ ? count : 0;
  }
  /// Fails, for a reason of the caller's.
  void refuse() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - position_; }

 private:
  bool need(std::uint64_t size) {
    if (size > remaining()) ok_ = false;
    return ok_;
  }
  std::span<const std::uint8_t> data_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

/// FNV-1a, 64 bits.
inline std::uint64_t fnv1a(std::span<const std::uint8_t> data) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const std::uint8_t byte : data) hash = (hash ^ byte) * 0x100000001B3ULL;
  return hash;
}

}  // namespace espalier
