#pragma once
// What `espalier personalise` does once its options are read.

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace espalier::cli {

struct PersonaliseOptions {
  std::string program, images, classes, output;
  std::string personal;              ///< the program to write
  std::string scores;                ///< the file to keep them in
  std::string svg, answers, patch;   ///< files to write; empty: none
  std::string labels = "predicted";  ///< given, predicted or a file
  std::string budget = "cycles=0.5", correct = "all", by = "taylor", scope = "internal";
  std::size_t count = 300;    ///< images to score
  std::size_t held = 300;     ///< images to measure accuracy on
  std::size_t every = 1;      ///< of the user's images one in so many is scored
  std::size_t serve = ~0ULL;  ///< images after the switch, at most
  std::uint64_t seed = 1;
  std::string device = "golden";  ///< that answers, and runs the passes of scored images
  std::string buffer;             ///< of a board
  int align = 0;                  ///< 0: the machine's lanes
  double least = 0;               ///< share of a group's channels that stays
  int jobs = 0;                   ///< 0: every core
  bool watch = false;
  bool json = false;
};

/// Errors: what is wrong with a file or an option, or a budget that cannot be met.
Result<int> personalise_job(const PersonaliseOptions& options);

}  // namespace espalier::cli
