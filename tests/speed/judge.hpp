#pragma once
// What the measured speed says beside the one that was kept.

#include <string>
#include <vector>

namespace espalier::speed {

/// The simulation and the reference, one after the other.
struct Round {
  double cycles_per_second = 0;  ///< of the machine, by CPU time
  double steps_per_second = 0;   ///< of the reference
};

struct Verdict {
  double cycles_per_step = 0;  ///< the median of the rounds
  double share = 0;            ///< of the kept figure
  bool good = false;           ///< not more than `margin` below it
  std::string text;
};

/// Rounds: at least one; kept: cycles in the time of a reference step, above 0.
Verdict judge(const std::vector<Round>& rounds, double kept, double margin);

}  // namespace espalier::speed
