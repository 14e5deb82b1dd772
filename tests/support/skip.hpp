#pragma once
// Cases that cannot compare anything where they run.

#include <iostream>
#include <string>

namespace espalier::tests {

/// Says why a case compares nothing here, so that ctest counts it as skipped and not as passed
/// (SKIP_REGULAR_EXPRESSION of espalier_test). The case returns at once, with nothing checked.
inline void skip(const std::string& why) {
  std::cout << "case skipped: " << why << '\n' << std::flush;
}

}  // namespace espalier::tests
