#include "base/file_id.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace espalier {

namespace fs = std::filesystem;

fs::path followed(fs::path path) {
  std::error_code error;
  if (fs::path whole = fs::canonical(path, error); !error) return whole;
  constexpr int kMaxLinks = 40;  // as Linux has it
  for (int i = 0; i < kMaxLinks; ++i) {
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;
  }
  return path;
}

int standard_stream(const std::string& path) {
  if (!path.starts_with("/dev/") && !path.starts_with("/proc/")) return -1;
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return -1;
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat stream {};
    if (fstat(descriptor, &stream) == 0 && stream.st_dev == file.st_dev &&
        stream.st_ino == file.st_ino)
      return descriptor;
  }
  return -1;
}

std::optional<FileId> file_id(const std::string& path) {
  if (standard_stream(path) >= 0) return {};
  struct stat file {};
  if (stat(path.c_str(), &file) == 0) {
    if (!S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode)) return {};
    return FileId{file.st_dev, file.st_ino, {}};
  }
  const fs::path whole = followed(path);
  const fs::path folder = whole.has_parent_path() ? whole.parent_path() : fs::path(".");
  if (stat(folder.c_str(), &file) == 0)
    return FileId{file.st_dev, file.st_ino, whole.filename().string()};
  return FileId{0, 0, whole.lexically_normal().string()};
}

}  // namespace espalier
