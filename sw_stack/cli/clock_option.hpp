#pragma once
// `--mhz`: the clock at which reports give times.

#include <CLI/CLI.hpp>
#include <optional>

#include "cli/common.hpp"

namespace espalier::cli {

inline void add_clock(CLI::App& command, std::optional<double>& mhz) {
  command
      .add_option("--mhz", mhz,
                  "the clock at which times are given; without it the configuration's (`configs`)")
      ->type_name("F")
      ->check(between(0.001, 100'000));
}

}  // namespace espalier::cli
