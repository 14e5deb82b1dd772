#pragma once
// Files that are read and written as a whole.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "support/result.hpp"

namespace espalier {

/// All bytes of a file. Errors: kIo.
inline Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(ErrorCode::kIo, "is a folder", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorCode::kIo, "cannot be opened", path);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

/// Writes over what is there: `path` may be a device or a pipe. Errors: kIo.
inline Status write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return fail(ErrorCode::kIo, "cannot be written", path);
  return {};
}

/// Writes a file that is there whole or not at all, whenever the process is stopped: writes
/// `path`.part, brings it to the disk, and renames it. What was there stays until then. Errors:
/// kIo.
inline Status write_whole(const std::string& path, std::string_view bytes) {
  const std::string part = path + ".part";
  std::FILE* const file = std::fopen(part.c_str(), "wb");
  bool good = file != nullptr;
  if (good) {
    good = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    good = std::fflush(file) == 0 && good;
    good = (fsync(fileno(file)) == 0 || errno == EINVAL) && good;  // EINVAL: no disk behind it
    good = std::fclose(file) == 0 && good;
    good = good && std::rename(part.c_str(), path.c_str()) == 0;
    if (!good) std::remove(part.c_str());
  }
  if (!good) return fail(ErrorCode::kIo, "cannot be written", path);
  return {};
}

}  // namespace espalier
