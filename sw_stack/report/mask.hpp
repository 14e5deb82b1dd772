#pragma once
// What making and showing masks and overlays tells.

#include <string>

#include "flows/mask.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

std::string text(const flows::MaskMade& made, const flows::MaskOptions& options);
std::string text(const flows::OverlayMade& made, const flows::OverlayOptions& options);

Json to_json(const flows::MaskShown& shown);
/// `file` names the mask.
std::string text(const flows::MaskShown& shown, const std::string& file);

}  // namespace espalier::report
