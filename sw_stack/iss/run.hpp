#pragma once
// A whole program on one image in the functional simulator.

#include <cstdint>
#include <span>
#include <vector>

#include "iss/iss.hpp"
#include "program/program.hpp"
#include "support/result.hpp"

namespace espalier::iss {

/// Tensors in the order of program.placements, each [C][H][W].
struct Outputs {
  std::vector<std::vector<std::int8_t>> stored;
  std::vector<std::int8_t> output;
};

/// Runs a verified program. Shapes: image [C][H][W]. Errors: kDevice, as Iss::run.
Result<Outputs> run(const program::Program& program, std::span<const std::int8_t> image,
                    const Options& options = {});

/// The four regions of a program with an image in place.
Regions make_regions(const program::Program& program, std::span<const std::int8_t> image);

}  // namespace espalier::iss
