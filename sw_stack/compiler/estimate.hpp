#pragma once
// How long a program takes, by a model of the machine's queues, rings, halves and bus that walks
// the instructions once. No data move.

#include <vector>

#include "program/program.hpp"

namespace espalier::compiler {

struct Estimate {
  double cycles = 0;           ///< from start to the last write's response
  std::vector<double> layers;  ///< cycles that each layer adds to the time of those before it
  double exec_busy = 0;        ///< cycles of passes
  double read_beats = 0, write_beats = 0;
  [[nodiscard]] double utilisation(
      const program::Program& program) const;  ///< MACs done of MACs possible
};

/// `program` is verified.
Estimate estimate(const program::Program& program);

}  // namespace espalier::compiler
