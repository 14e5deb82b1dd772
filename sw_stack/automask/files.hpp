#pragma once
// Files that a command names, looked at before any work.

#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::automask {

struct NamedFile {
  std::string option, path;
};

/// Whether what is written replaces nothing that is read or written too, and has a folder to go to.
/// Empty paths are none. Errors: kUsage for one file of two options, kIo, with the file.
Status check_files(const std::vector<NamedFile>& read, const std::vector<NamedFile>& written);

}  // namespace espalier::automask
