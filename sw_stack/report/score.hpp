#pragma once
// What scoring channels tells.

#include <string>

#include "flows/score.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

/// With `checked` what comparing with golden came to.
Json to_json(const flows::Scored& scored, bool checked);
/// `device` is its name.
std::string text(const flows::Scored& scored, bool checked, std::string_view device);
/// A header, and a line for each channel.
std::string to_csv(const flows::Scored& scored);

}  // namespace espalier::report
