#include "automask/files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "base/file_id.hpp"

namespace espalier::automask {
namespace {

Status check_place(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(ErrorCode::kIo, "is a folder", path);
  const auto folder = followed(path).parent_path();
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
  return fail(ErrorCode::kIo,
              fmt::format("cannot be written: there is no folder {}", folder.string()), path);
}

Status check_pair(const NamedFile& written, const NamedFile& other, const char* does) {
  const auto id = file_id(written.path);
  if (other.path.empty() || !id || id != file_id(other.path)) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("{} is the file that {} {}; give it a name of its own", written.path,
                          other.option, does),
              written.option);
}

}  // namespace

Status check_files(const std::vector<NamedFile>& read, const std::vector<NamedFile>& written) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i].path.empty()) continue;
    for (const NamedFile& other : read) {
      if (const Status s = check_pair(written[i], other, "reads"); !s) return s;
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (const Status s = check_pair(written[i], written[j], "writes too"); !s) return s;
    }
    if (const Status s = check_place(written[i].path); !s) return s;
  }
  return {};
}

}  // namespace espalier::automask
