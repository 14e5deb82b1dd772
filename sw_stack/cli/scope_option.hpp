#pragma once
// `--scope`: which channels may go.

#include <CLI/CLI.hpp>
#include <string>

#include "cli/named.hpp"
#include "masks/choose.hpp"

namespace espalier::cli {

inline void add_scope(CLI::App& command, std::string& scope,
                      const std::string& what = "as `mask random` has it") {
  command.add_option("--scope", scope, what)
      ->type_name("SCOPE")
      ->check(CLI::IsMember({"internal", "all"}))
      ->capture_default_str();
}

/// Of a text that is not refused.
inline masks::Scope scope_of(const std::string& text) {
  return named(text, {masks::Scope::kInternal, masks::Scope::kAll});
}

}  // namespace espalier::cli
