#pragma once
// What stands behind the public types.

#include <memory>
#include <optional>
#include <vector>

#include "espalier/espalier.hpp"
#include "masks/mask.hpp"
#include "program/program.hpp"
#include "runtime/device.hpp"

namespace espalier {

struct Program::Impl {
  program::Program program;
  std::uint64_t model;       ///< fingerprint of its graph, which masks name
  masks::Channels channels;  ///< of its graph
  explicit Impl(program::Program made);
};

struct Mask::Impl {
  masks::MaskFile file;
  ir::ChannelMask live;  ///< by tensor of the program that it was made for
  std::size_t channels = 0, stay = 0;
  std::uint64_t model = 0;  ///< fingerprint of that program's graph
};

namespace api {

/// The options of a device with these masks resident. Errors: kMismatch for a mask of another
/// network; those of program::apply_mask.
Result<runtime::DeviceOptions> resident(const Program& program, std::span<const Mask> masks,
                                        bool packed);

}  // namespace api
}  // namespace espalier
