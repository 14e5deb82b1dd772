#include "compiler/cost.hpp"

#include <algorithm>

namespace espalier::compiler {

double run_cycles(const isa::Config& config, std::int64_t words, double runs) {
  const std::int64_t beats = words * word_beats(config);
  const std::int64_t full = beats / kTiming.burst_beats;
  const std::int64_t rest = beats % kTiming.burst_beats;
  // With so many bursts under way each takes at least its share of the latency.
  const std::int64_t share = (kTiming.latency + kTiming.outstanding - 1) / kTiming.outstanding;
  const std::int64_t cycles = full * kTiming.burst_beats + (rest == 0 ? 0 : std::max(rest, share));
  return static_cast<double>(cycles) * runs;
}

}  // namespace espalier::compiler
