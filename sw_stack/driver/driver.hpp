#pragma once
// A machine by its registers, whatever leads to them: identification, start, what a run did.
// docs/reference/registers.md describes the registers; the verilated machine and a board in an FPGA
// are driven by the same calls.

#include <array>
#include <cstdint>
#include <string>

#include "isa/generated/configs.hpp"
#include "isa/generated/isa.hpp"
#include "base/result.hpp"

namespace espalier::driver {

/// The registers of one machine. Offsets are multiples of 4; a read sees the writes before it.
class Registers {
 public:
  virtual ~Registers() = default;
  virtual void write_register(std::uint32_t offset, std::uint32_t value) = 0;
  virtual std::uint32_t read_register(std::uint32_t offset) = 0;
};

/// What the registers tell after a run.
struct Outcome {
  std::array<std::uint64_t, isa::kCounters> counters{};
  isa::Fault fault = isa::Fault::kNone;
  std::uint32_t fault_address = 0;  ///< byte address of the instruction
  std::uint32_t fault_engine = 0;   ///< 0: fetch
  [[nodiscard]] std::uint64_t counter(isa::Counter which) const {
    return counters[static_cast<std::size_t>(which)];
  }
};

/// Whether a machine of that configuration, with this build's instructions, answers at `place`.
/// Errors: kDevice (no machine answers), kMismatch (another configuration or version; both named).
Status identify(Registers& registers, const isa::Config& config, const std::string& place);

/// Stops and resets a machine that runs or has faulted, and drops a pending interrupt.
/// Errors: kDevice, where that takes longer than 5 seconds.
Status make_ready(Registers& registers, const std::string& place);

/// Starts the program that the registers describe; the machine is ready.
void start(Registers& registers);

/// The interrupts that are raised: bit 0 done, bit 1 fault.
std::uint32_t interrupts(Registers& registers);

Outcome outcome(Registers& registers);

}  // namespace espalier::driver
