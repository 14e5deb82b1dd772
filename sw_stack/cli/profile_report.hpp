#pragma once
// What `espalier profile` tells: the timing model's cycles by layer and cause, the roofline bound,
// and what a machine measured, where one ran.

#include <optional>
#include <string>

#include "cli/report.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {

struct Profile {
  Report report;  ///< no images where nothing was measured
  timing::Estimate estimate;
  std::optional<std::int64_t> packing_estimate;  ///< cycles, of a mask
  double other_cpu_seconds = 0;  ///< CPU time of a measurement beside the simulation: the checking
  double wall_seconds = 0;       ///< of a measurement
};

/// The keys of `run`, and `estimate`, `bound`, `error`; by layer too. Estimates and bounds are of
/// one image; errors are relative, of what was measured.
Json to_json(const Profile& profile);
/// A header and a line for each layer, the same numbers as in the JSON form.
std::string to_csv(const Profile& profile);
void print(const Profile& profile);

}  // namespace espalier::cli
