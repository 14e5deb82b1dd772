#pragma once
// Files that are there whole or not at all, whenever the process is stopped.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

#include "support/result.hpp"

namespace espalier {

/// Writes `path`.part, brings it to the disk, and renames it. What was there stays until then.
/// Errors: kIo.
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
