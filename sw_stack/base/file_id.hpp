#pragma once
// What file a path means, however it is spelled.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace espalier {

/// The path that links lead to, also where no file is there yet.
std::filesystem::path followed(std::filesystem::path path);

/// The descriptor of stdout or stderr where `path` is its name in /dev or /proc, or -1.
int standard_stream(const std::string& path);

/// A file by its place on a device; one that is not there yet by its folder's, and its name.
struct FileId {
  std::uint64_t device = 0, inode = 0;
  std::string name;
  bool operator==(const FileId&) const = default;
};

/// Nothing for devices, pipes and sockets: several that write there replace no file.
std::optional<FileId> file_id(const std::string& path);

}  // namespace espalier
