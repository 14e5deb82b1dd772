#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "images/source.hpp"

namespace espalier::images {

Result<std::uint64_t> file_size(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::kIo, error ? error.message() : "not a file", path);
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::kIo, error.message(), path);
  return std::uint64_t{size};
}

Result<std::vector<std::uint8_t>> read_bytes(const std::string& path, std::uint64_t offset,
                                             std::size_t count) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kIo, "cannot be opened", path);
  std::vector<std::uint8_t> bytes(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
  if (!file) {
    return fail(ErrorCode::kIo, fmt::format("cannot read {} bytes from byte {}", count, offset),
                path);
  }
  return bytes;
}

std::string extension(const std::string& path) {
  std::string text = std::filesystem::path(path).extension().string();
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string shape_text(const ir::Shape& s) { return fmt::format("{}x{}x{}", s.c, s.h, s.w); }

}  // namespace espalier::images
