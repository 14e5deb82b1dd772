#include "base/whole_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file_id.hpp"

namespace espalier {
namespace {

namespace fs = std::filesystem;

/// A descriptor that closes itself.
class Open {
 public:
  explicit Open(int descriptor) : descriptor_(descriptor) {}
  ~Open() { (void)close_now(); }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] explicit operator bool() const { return descriptor_ >= 0; }
  /// Some file systems tell only here that a write failed.
  bool close_now() {
    const int descriptor = std::exchange(descriptor_, -1);
    return descriptor < 0 || ::close(descriptor) == 0;
  }

 private:
  int descriptor_;
};

Diagnostic failed(const char* what, const std::string& path) {
  return fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno), path);
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(descriptor, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

bool bring_to_disk(int descriptor) {
  return fsync(descriptor) == 0 || errno == EINVAL;  // EINVAL: no disk behind it
}

/// A new file in the folder that nothing else has the name of, with its name.
std::pair<int, fs::path> make_beside(const fs::path& folder) {
  for (int n = 0;; ++n) {
    const fs::path name =
        folder / (".espalier-" + std::to_string(getpid()) + "-" + std::to_string(n) + ".part");
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0 || errno != EEXIST) return {descriptor, name};
  }
}

/// The new file gets the mode of the old one, and its owner where we may give it.
bool take_after(int descriptor, const struct stat& old) {
  if (fchown(descriptor, old.st_uid, old.st_gid) != 0 && errno != EPERM) return false;
  return fchmod(descriptor, old.st_mode & 07777) == 0;
}

bool replace(const fs::path& target, const struct stat* old, std::string_view bytes) {
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  auto [descriptor, part] = make_beside(folder);
  Open file(descriptor);
  if (!file) return false;
  const bool good = (old == nullptr || take_after(file.get(), *old)) &&
                    write_all(file.get(), bytes) && bring_to_disk(file.get()) && file.close_now() &&
                    std::rename(part.c_str(), target.c_str()) == 0;
  if (good) {
    const Open there(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (there) (void)fsync(there.get());  // the name is on the disk, too, where it can be
    return true;
  }
  const int error = errno;
  ::unlink(part.c_str());
  errno = error;
  return false;
}

bool write_device(const std::string& path, std::string_view bytes) {
  Open file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && write_all(file.get(), bytes) && file.close_now();
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const Open file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failed("cannot be opened", path);
  struct stat kind {};
  if (fstat(file.get(), &kind) == 0 && S_ISDIR(kind.st_mode))
    return fail(ErrorCode::kIo, "is a folder", path);
  std::string bytes;
  if (kind.st_size > 0) bytes.reserve(static_cast<std::size_t>(kind.st_size));
  std::array<char, 65536> part{};
  for (;;) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot be read", path);
    if (count == 0) return bytes;
    bytes.append(part.data(), static_cast<std::size_t>(count));
  }
}

Status write_file(const std::string& path, std::string_view bytes) {
  struct stat old {};
  const bool there = stat(path.c_str(), &old) == 0;
  if (there && S_ISDIR(old.st_mode)) return fail(ErrorCode::kIo, "is a folder", path);
  bool good = false;
  if (const int stream = standard_stream(path); stream >= 0) {
    std::fflush(nullptr);
    good = write_all(stream, bytes);
  } else if (there && !S_ISREG(old.st_mode)) {
    good = write_device(path, bytes);
  } else {
    good = (!there || access(path.c_str(), W_OK) == 0) &&
           replace(followed(path), there ? &old : nullptr, bytes);
  }
  if (!good) return failed("cannot be written", path);
  return {};
}

Status write_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  return write_file(path,
                    std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace espalier
