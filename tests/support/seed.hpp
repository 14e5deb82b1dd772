#pragma once
// The seed of a random test: ESPALIER_SEED where set, a fixed one otherwise; print it with INFO.

#include <cstdint>
#include <cstdlib>

namespace espalier::tests {

inline std::uint64_t seed(std::uint64_t otherwise = 1) {
  const char* text = std::getenv("ESPALIER_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

}  // namespace espalier::tests
