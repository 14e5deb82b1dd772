#pragma once
// What running in lockstep tells.

#include "flows/lockstep.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

Json to_json(const flows::LockstepRun& run);
std::string text(const flows::LockstepRun& run);

}  // namespace espalier::report
