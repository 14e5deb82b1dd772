#pragma once
// Where a program's cycles go: the timing model's account, and what a machine measured.

#include <cstdint>
#include <optional>
#include <string>

#include "flows/listener.hpp"
#include "flows/run.hpp"
#include "timing/timing.hpp"

namespace espalier::flows {

struct ProfileOptions {
  std::string program;  ///< file
  MaskFiles masks;      ///< one at most
  std::string overlay;  ///< file; empty: none
  MemoryOptions memory;
  bool measure = false;  ///< run one image through the verilated machine
  std::string images;    ///< where that image is
  std::uint64_t first = 0;
  bool check = false;         ///< compare its tensors with golden
  std::optional<double> mhz;  ///< the clock of times; none: the configuration's
};

struct Profile {
  Run run;  ///< no images where nothing was measured
  timing::Estimate estimate;
  std::optional<std::int64_t> packing_estimate;  ///< cycles, of a mask
  double other_cpu_seconds = 0;  ///< CPU time of a measurement beside the simulation: the checking
  double wall_seconds = 0;       ///< of a measurement
};

/// Errors: those of the files, of timing::estimate and of the device; kUsage for options that
/// contradict each other.
Result<Profile> profile(const ProfileOptions& options, const Listener& listener = {});

}  // namespace espalier::flows
