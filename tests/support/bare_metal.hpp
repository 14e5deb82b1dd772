#pragma once
// Runs instructions on the verilated machine without the runtime: registers and memory by hand.

#include <algorithm>
#include <array>
#include <cstdint>

#include "isa/generated/registers.hpp"
#include "iss/iss.hpp"
#include "tb/simulation.hpp"

namespace espalier::tests {

struct BareRun {
  tb::RunResult result;
  iss::Regions regions;  ///< contents afterwards
};

/// Places the regions 4 KiB aligned one behind the other, the code being at `code_offset` of
/// region 0; windows are region 0..4 for reads, 1..4 for writes. Words: of 128 bits.
inline BareRun run_bare(tb::Simulation& machine, const isa::Config& config,
                        const iss::Regions& regions, std::size_t code_offset,
                        const tb::RetireHook& hook = {}) {
  namespace reg = isa::reg;
  std::array<std::uint32_t, 5> base{};
  std::uint32_t next = 0x10000;
  for (std::size_t r = 0; r < 5; ++r) {
    base[r] = next;
    next += static_cast<std::uint32_t>((regions[r].size() + 4095) / 4096 * 4096 + 4096);
  }
  auto& memory = machine.memory();
  memory.assign(next, 0xA5);
  for (std::size_t r = 0; r < 5; ++r)
    std::copy(regions[r].begin(), regions[r].end(), memory.begin() + base[r]);
  machine.reset();
  for (std::uint32_t r = 0; r < 4; ++r) machine.write_register(reg::kBase0 + 4 * r, base[r]);
  machine.write_register(reg::kBase4, base[4]);
  machine.write_register(reg::kProgramHash, config.hash);
  machine.write_register(reg::kProgramAddress, base[0] + static_cast<std::uint32_t>(code_offset));
  machine.write_register(reg::kProgramWords,
                         static_cast<std::uint32_t>((regions[0].size() - code_offset) / 16));
  machine.write_register(reg::kReadLow, base[0]);
  machine.write_register(reg::kReadHigh, next);
  machine.write_register(reg::kWriteLow, base[1]);
  machine.write_register(reg::kWriteHigh, next);
  machine.write_register(reg::kWatchdog, 20000);
  machine.write_register(reg::kIrqEnable, 3);
  BareRun run;
  run.result = machine.run(hook);
  for (std::size_t r = 0; r < 5; ++r) {
    run.regions[r].assign(
        memory.begin() + base[r],
        memory.begin() + base[r] + static_cast<std::ptrdiff_t>(regions[r].size()));
  }
  return run;
}

}  // namespace espalier::tests
