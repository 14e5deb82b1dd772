#pragma once
// A fixed piece of work to measure a simulation's speed by, on whatever processor it runs.

#include <cstdint>

namespace espalier::speed {

/// One step is some 27,000 instructions without a loop, over 32 KiB of state: as a verilated
/// machine it lives from a wide front end and the second-level cache. Gives a sum, so that nothing
/// is dropped.
std::uint32_t reference_steps(int steps);

}  // namespace espalier::speed
