#pragma once
// Images through the verilated machine with the functional simulator beside it.

#include "runtime/batch.hpp"
#include "runtime/lockstep.hpp"

namespace espalier::flows {

struct LockstepRun {
  std::size_t image = 0;           ///< where it differs, counted from the first
  runtime::LockstepResult result;  ///< sums over the images, and the first difference
};

/// Where a wave goes that nobody named: PROGRAM.lockstep.fst, in the current folder.
std::string wave_name(const std::string& program);

/// As run_batch, one image after the other, up to the first difference. Errors: as run_lockstep.
Result<runtime::BatchResult> run_in_lockstep(const program::Program& program,
                                             const runtime::BatchOptions& options,
                                             std::size_t count, const runtime::LoadImage& load,
                                             const runtime::Progress& progress, LockstepRun& run);

}  // namespace espalier::flows
