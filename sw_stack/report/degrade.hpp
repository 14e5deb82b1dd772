#pragma once
// What making pictures worse tells.

#include <string>

#include "flows/degrade.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

Json to_json(const flows::Degraded& made, const flows::DegradeOptions& options);
std::string text(const flows::Degraded& made, const flows::DegradeOptions& options);

}  // namespace espalier::report
