#pragma once
// What a profile tells: the timing model's cycles by layer and cause, the roofline bound, and what
// a machine measured, where one ran.

#include <string>

#include "flows/profile.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

/// The keys of a run, and `estimate`, `bound`, `error`; by layer too. Estimates and bounds are of
/// one image; errors are relative, of what was measured.
Json to_json(const flows::Profile& profile);
/// A header and a line for each layer, the same numbers as in the JSON form.
std::string to_csv(const flows::Profile& profile);
std::string text(const flows::Profile& profile);

}  // namespace espalier::report
