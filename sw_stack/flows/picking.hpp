#pragma once
// Images through a program with several environments, each with the one that its pictures are for.

#include <string>
#include <vector>

#include "environment/recognise.hpp"
#include "runtime/batch.hpp"

namespace espalier::flows {

struct Picking {
  std::vector<std::string> names;  ///< of the environments: files without folder and ending
  std::vector<environment::Recogniser::Pick> images;  ///< by image that was finished
  std::size_t switches = 0;
  /// Of the first convolution alone, which tells them apart, summed; where the device has a clock.
  std::optional<std::uint64_t> probe_cycles;
};

/// As run_batch on one device of a kind, image by image: the device runs the model's first
/// convolution, what it makes of the picture says which environment of `folder` (its .env files)
/// serves, and the device runs that. A program that takes environments (compile --switchable) has
/// all of them resident, others are compiled anew with each.
/// Errors: kUsage (no environment there); kMismatch (one of another model, or of a file that does
/// not say what its pictures look like); those of environment::load, the compiler and the devices.
Result<runtime::BatchResult> run_picking(const program::Program& program, const std::string& folder,
                                         const runtime::BatchOptions& options, std::size_t count,
                                         const runtime::LoadImage& load,
                                         const runtime::Progress& progress, Picking& picking);

}  // namespace espalier::flows
