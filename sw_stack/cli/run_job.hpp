#pragma once
// What `espalier run` does once its options are read.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/device.hpp"
#include "base/result.hpp"

namespace espalier::cli {

struct RunOptions {
  std::string program, images, device, buffer, report, wave, output, classes, float_model, latency;
  std::string overlay;
  std::vector<std::string> masks, patches;
  std::uint64_t first = 0, count = 0, wave_cycles = 0, seed = 1;
  int top = 0, jobs = 0;
  double stall = 0;
  bool check = false, lockstep = false, layers = false, json = false;
  bool has_count = false, has_seed = false, has_wave_cycles = false;
};

/// Reads `R` or `R,W`, memory's latencies; an empty text leaves them. Errors: kUsage.
Status parse_latency(const std::string& text, runtime::DeviceOptions& device);

/// Runs the images and tells what came of it; returns the exit code.
/// Errors: what is wrong with a file or an option, or a fault of the device.
Result<int> run_job(const RunOptions& options);

}  // namespace espalier::cli
