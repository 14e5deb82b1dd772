#pragma once
// What a program file holds.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "program/program.hpp"
#include "timing/timing.hpp"

namespace espalier::flows {

struct Inspection {
  /// The instructions of one layer, counted.
  struct Layer {
    std::uint64_t convs = 0, pools = 0, instructions = 0;
    std::uint64_t loaded = 0, stored = 0;  ///< bytes
  };
  program::Program program;
  std::uint64_t fingerprint = 0;
  std::vector<isa::Instruction> instructions;
  std::vector<Layer> layers;                 ///< as the program has them
  std::optional<timing::Estimate> estimate;  ///< where the configuration has a timing model
};

/// Errors: those of program::load and timing::estimate.
Result<Inspection> inspect(const std::string& program);

}  // namespace espalier::flows
