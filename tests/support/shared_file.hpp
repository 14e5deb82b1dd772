#pragma once
// Models and images that the project does not hold: ESPALIER_SHARED names their folder.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "skip.hpp"

namespace espalier::tests {

inline std::string shared_file(const std::string& name) {
  const char* folder = std::getenv("ESPALIER_SHARED");
  const std::string root =
      folder != nullptr ? folder : std::string(ESPALIER_SOURCE_DIR) + "/../shared";
  return root + "/data/" + name;
}

/// Whether a file is not at hand; then says that the case is skipped.
inline bool absent(const std::string& name) {
  if (std::filesystem::exists(shared_file(name))) return false;
  skip(name + " is not at hand");
  return true;
}

}  // namespace espalier::tests
