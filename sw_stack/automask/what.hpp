#pragma once
// What of a network is trained.

#include <string>

#include "environment/environment.hpp"
#include "base/result.hpp"

namespace espalier::automask {

struct What {
  environment::Kind mask = environment::Kind::kTwoOfFour;
  bool bias = true, scale = true;
  bool one_shot = false;  ///< the mask stays as magnitudes choose it

  /// `2:4+bias+scale`.
  [[nodiscard]] std::string text() const;
  /// Whether anything is trained.
  [[nodiscard]] bool trains() const;
};

/// Parts joined by `+`: 2:4 or weights, bias, scale, one-shot. Errors: kUsage.
Result<What> parse_what(const std::string& text);

}  // namespace espalier::automask
