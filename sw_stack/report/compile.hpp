#pragma once
// What compiling a model tells.

#include "flows/compile.hpp"
#include "report/json_fwd.hpp"

namespace espalier::report {

Json to_json(const flows::Compiled& made, const flows::CompileOptions& options);
std::string text(const flows::Compiled& made, const flows::CompileOptions& options);

}  // namespace espalier::report
