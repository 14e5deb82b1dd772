#pragma once
// Costs of single transfers and passes that the tile search adds up. Units: cycles.

#include <cstdint>

#include "isa/generated/configs.hpp"

namespace espalier::compiler {

/// Times of the machine and of a memory of the kind that it is made for.
struct Timing {
  int burst_beats = 16;   ///< longest burst
  int outstanding = 8;    ///< bursts under way
  int latency = 60;       ///< from a burst's request to its first beat
  int conv_overhead = 6;  ///< cycles that a CONV costs beside its passes
  int pool_overhead = 12;
  int pass_latency = 40;   ///< from the last activation fed to the first accumulator read
  int write_latency = 30;  ///< from the last beat written to its response
};
inline constexpr Timing kTiming;

/// Cycles on the bus for `runs` runs of `words` words each: short bursts cost their latency's
/// share.
double run_cycles(const isa::Config& config, std::int64_t words, double runs);

/// Cycles of one pass over `pixels`: the next weights take L cycles to get in, and where CONVs may
/// be fine pixels go two by two.
constexpr int pass_cycles(const isa::Config& config, int pixels) {
  if (config.fine != 0) pixels += pixels % 2;
  return pixels > config.lanes ? pixels : config.lanes;
}
/// Cycles that post takes for a word, and beats of a word.
constexpr int post_cycles(const isa::Config& config) { return config.lanes / config.post_lanes; }
constexpr int word_beats(const isa::Config& config) { return config.lanes / config.bus_bytes; }
/// Words of one block of parameters: 8 bytes a channel.
inline constexpr int kParamWords = 8;

}  // namespace espalier::compiler
