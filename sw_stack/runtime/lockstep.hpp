#pragma once
// The functional simulator beside the verilated machine: the effect of every instruction is
// compared as the machine has it, up to the first difference.
//
// A LOAD's effect is the data that it reads, beat by beat; a STORE's is the memory that it wrote,
// when it retires. What a CONV or a POOL computes shows at its STORE, so a difference there names
// the chain of instructions that made the data. The simulator runs the program in its own order,
// one instruction after another: what a program lacks in dependencies shows as a difference. With
// a mask the simulator packs the weights itself, and both run clipped instructions.

#include <optional>
#include <string>
#include <vector>

#include "golden/golden.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

struct LockstepOptions {
  DeviceOptions device;  ///< memory; `wave` and `wave_cycles`: of the last cycles before a
                         ///< difference, and how many
  bool check = false;    ///< compare what every STORE wrote with golden too
  /// What the simulator runs; nullptr: the program itself. Another program of the same layout
  /// stands for what the machine was meant to run.
  const program::Program* reference = nullptr;
};

struct LockstepDifference {
  std::size_t instruction = 0;  ///< as `inspect --disassemble` numbers them
  std::string disassembly, layer;
  std::uint64_t cycle = 0;         ///< since start
  std::string what;                ///< the word, and both values
  std::vector<std::string> chain;  ///< instructions that made the data, the last first
  std::string hazard;              ///< a dependency that the program lacks; empty: none
  std::string wave;                ///< the file; empty: none
};

struct LockstepResult {
  std::uint64_t instructions = 0, bytes = 0;  ///< compared with the simulator
  std::uint64_t values = 0;                   ///< compared with golden
  std::optional<LockstepDifference> difference;
  Execution execution;  ///< of the machine; incomplete where it was stopped
};

/// Runs one image, with the first of `device.masks` where there is one. With a mask the wave may
/// also hold the end of packing. Errors: kDevice, where the machine raises a fault or the simulator
/// finds that the program would hang; kUsage, without a verilated machine; those of
/// program::apply_mask.
Result<LockstepResult> run_lockstep(const program::Program& program,
                                    std::span<const std::int8_t> image,
                                    const LockstepOptions& options);

/// The instructions that data of `instruction` come from: for a STORE its CONVs or its POOL, and
/// the LOADs of what these read. Shorter for the others. Nearest first.
std::vector<std::size_t> chain_of(const isa::Config& config, std::span<const isa::Instruction> list,
                                  std::size_t instruction);

}  // namespace espalier::runtime
