#pragma once
// Results with diagnostics, and what makes and checks them.

#include <cstdio>
#include <cstdlib>

#include "espalier/result.hpp"

namespace espalier {

/// Builds a diagnostic in one expression.
inline Diagnostic fail(ErrorCode code, std::string message, std::string place = {}) {
  return Diagnostic{code, std::move(message), std::move(place)};
}

/// The same complaint with a file or an option in front of its place.
inline Diagnostic placed(Diagnostic error, const std::string& place) {
  error.place = place + (error.place.empty() ? "" : ": " + error.place);
  return error;
}

}  // namespace espalier

/// Stops the program with the broken expression: for invariants of ours, never for bad input.
#define ESP_CHECK(expression)                                                                 \
  do {                                                                                        \
    if (!(expression)) {                                                                      \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #expression); \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
