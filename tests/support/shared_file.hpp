#pragma once
// Models and images that the project does not hold: ESPALIER_SHARED names their folder.

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

namespace espalier::tests {

inline std::string shared_file(const std::string& name) {
  const char* folder = std::getenv("ESPALIER_SHARED");
  const std::string root =
      folder != nullptr ? folder : std::string(ESPALIER_SOURCE_DIR) + "/../shared";
  return root + "/data/" + name;
}

/// Whether a file is not at hand; then says that a test is skipped.
inline bool absent(const std::string& name) {
  if (std::filesystem::exists(shared_file(name))) return false;
  std::cout << "skipped: " << name << " is not at hand\n";
  return true;
}

}  // namespace espalier::tests
