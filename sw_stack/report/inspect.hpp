#pragma once
// What inspecting a program tells.

#include "flows/inspect.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

/// With `disassemble` every instruction too.
Json to_json(const flows::Inspection& inspection, bool disassemble);
std::string text(const flows::Inspection& inspection, bool disassemble);

}  // namespace espalier::report
