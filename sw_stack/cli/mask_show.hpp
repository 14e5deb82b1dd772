#pragma once
// `espalier mask show`.

#include "cli/commands.hpp"

namespace espalier::cli {

void add_mask_show(CLI::App& mask, Action& chosen);

}  // namespace espalier::cli
