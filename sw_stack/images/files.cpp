#include "images/files.hpp"

#include <fmt/format.h>

#include <bit>

#include "images/source.hpp"
#include "base/whole_file.hpp"

namespace espalier::images {
namespace {

constexpr std::uint64_t kMaxNamesFile = 1 << 22;  // bytes

}  // namespace

Result<std::vector<std::string>> read_class_names(const std::string& path) {
  const auto size = file_size(path);
  if (!size) return size.error();
  if (*size > kMaxNamesFile) {
    return fail(ErrorCode::kMalformed,
                fmt::format("{} bytes; the limit is {}", *size, kMaxNamesFile), path);
  }
  const auto bytes = read_bytes(path, 0, static_cast<std::size_t>(*size));
  if (!bytes) return bytes.error();
  std::vector<std::string> lines(1);
  for (const std::uint8_t byte : *bytes) {
    if (byte == '\n') {
      lines.emplace_back();
    } else {
      lines.back().push_back(static_cast<char>(byte));
    }
  }
  if (lines[0].starts_with("\xEF\xBB\xBF")) lines[0].erase(0, 3);  // a byte order mark
  for (std::string& line : lines) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) {
      line.pop_back();
    }
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) return fail(ErrorCode::kMalformed, "holds no class name", path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string place = fmt::format("{}:{}", path, i + 1);
    if (lines[i].empty()) return fail(ErrorCode::kMalformed, "a blank line among the names", place);
    for (const char c : lines[i]) {
      const auto code = static_cast<unsigned char>(c);
      if (code >= 0x20 && code != 0x7F) continue;
      return fail(ErrorCode::kMalformed, fmt::format("control character {} in a name", code),
                  place);
    }
  }
  return lines;
}

Status write_scores(const std::string& path, std::span<const float> values, std::size_t rows,
                    std::size_t columns) {
  ESP_CHECK(values.size() == rows * columns);
  // Magic, version and the header's length take 10 bytes; all together fills a multiple of 64.
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  header.append(63 - (10 + header.size()) % 64, ' ');
  header.push_back('\n');
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size() & 0xFF));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes += header;
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(bits >> (8 * i) & 0xFF));
  }
  return write_file(path, bytes);
}

}  // namespace espalier::images
