#pragma once
// What comparing a quantised network with its float model tells.

#include "flows/float_comparison.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

/// `layers`: name, op and sqnr_db of each (null where there is no noise).
Json to_json(const flows::FloatNoise& noise);
std::string text(const flows::FloatNoise& noise);

}  // namespace espalier::report
