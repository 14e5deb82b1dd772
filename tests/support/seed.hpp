#pragma once
// The seed of a random test: ESPALIER_SEED where set, a fixed one otherwise; print it with INFO.
// ESPALIER_LONG makes random tests try many more cases.

#include <cstdint>
#include <cstdlib>

namespace espalier::tests {

inline std::uint64_t seed(std::uint64_t otherwise = 1) {
  const char* text = std::getenv("ESPALIER_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

inline bool long_run() { return std::getenv("ESPALIER_LONG") != nullptr; }

/// How many random cases to try.
inline int rounds(int usual) { return long_run() ? 20 * usual : usual; }
/// The same where a case compiles a program, whose search for tiles takes most of a second.
inline int compiled_rounds(int usual) { return long_run() ? 4 * usual : usual; }

}  // namespace espalier::tests
