#pragma once
// `espalier mask overlay`, and what `espalier mask show` tells of an overlay.

#include <string>

#include "cli/commands.hpp"
#include "base/result.hpp"

namespace espalier::cli {

void add_mask_overlay(CLI::App& mask, Action& chosen);

/// Whether a file that can be read begins as an overlay does.
bool is_overlay_file(const std::string& path);
/// Tells what an overlay leaves; with a program, what of it is not zero already.
/// Errors: those of prune::load_overlay, and of prune::from_overlay for that program.
Result<int> show_overlay(const std::string& path, const std::string& program, bool json);

}  // namespace espalier::cli
