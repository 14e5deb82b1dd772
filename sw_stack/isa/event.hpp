#pragma once
// What a run did, as a list: the machine's trace port gives it, and the timing model.

#include <cstdint>

#include "isa/generated/isa.hpp"

namespace espalier::isa {

/// An instruction has retired. Lists are in the order of cycles, those of one cycle by engine.
struct Event {
  std::int64_t cycle = 0;  ///< since start, in which the trace port shows it
  Engine engine = Engine::kNone;
  std::uint64_t count = 0;  ///< of the engine's instructions since start, this one included
  bool operator==(const Event&) const = default;
};

}  // namespace espalier::isa
