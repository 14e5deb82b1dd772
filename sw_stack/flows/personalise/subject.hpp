#pragma once
// The network that is personalised.

#include <cstdint>
#include <vector>

#include "flows/personalise.hpp"
#include "masks/channels.hpp"
#include "program/program.hpp"

namespace espalier::flows {

struct Subject {
  program::Program program;
  ir::QuantGraph graph;  ///< the program's without copies
  masks::Channels channels;
  std::uint64_t model = 0;   ///< the graph's fingerprint
  std::size_t outputs = 0;   ///< of the network
  std::vector<int> classes;  ///< the user's, ascending

  /// Whether the configuration has a timing model.
  [[nodiscard]] bool timed() const { return program.machine().timing_model; }
};

/// Errors: those of program::load; kUnsupported for a network that cannot be personalised as the
/// options say; kUsage for classes that it lacks.
Result<Subject> load_subject(const PersonaliseOptions& options);

/// Cycles of one image by the timing model. Errors: those of timing::estimate.
Result<std::int64_t> cycles_of(const program::Program& program);

}  // namespace espalier::flows
