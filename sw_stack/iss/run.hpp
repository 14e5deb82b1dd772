#pragma once
// A whole program on one image in the functional simulator.

#include <cstdint>
#include <span>
#include <vector>

#include "iss/iss.hpp"
#include "program/apply_mask.hpp"
#include "program/program.hpp"
#include "base/result.hpp"

namespace espalier::iss {

/// Tensors in the order of program.placements, each [C][H][W].
struct Outputs {
  std::vector<std::vector<std::int8_t>> stored;
  std::vector<std::int8_t> output;
};

/// Runs a verified program, with a mask if there is one: then tensors that the mask leaves unread
/// stay empty. Shapes: image [C][H][W]. Errors: kDevice, as Iss::run.
Result<Outputs> run(const program::Program& program, std::span<const std::int8_t> image,
                    const Options& options = {}, const program::Masked* masked = nullptr);

/// The regions of a program with an image in place; region 4 is that of no mask.
Regions make_regions(const program::Program& program, std::span<const std::int8_t> image);

/// Runs a mask's PACK program: region 4 is then its image. `regions[0]` has the constants.
/// Errors: kDevice, as Iss::run.
Status pack(const program::Program& program, const program::Masked& masked, Regions& regions,
            const Options& options = {});

}  // namespace espalier::iss
