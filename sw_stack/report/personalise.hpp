#pragma once
// What personalising a network tells.

#include <string>

#include "flows/personalise.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

Json to_json(const flows::Personalised& result, const flows::PersonaliseOptions& options);
std::string text(const flows::Personalised& result, const flows::PersonaliseOptions& options);

/// Live channels by layer as a picture.
std::string to_svg(const flows::Personalised& result);
/// A header, and a line for each answer.
std::string answers_csv(const flows::Personalised& result);

}  // namespace espalier::report
