#pragma once
// The processor that this build is for.

#include "base/result.hpp"

namespace espalier {

/// Errors: kUnsupported where golden, the simulator and the verilated machines were compiled for
/// instructions that this processor lacks (ESPALIER_ARCH).
Status check_processor();

}  // namespace espalier
