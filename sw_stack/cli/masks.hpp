#pragma once
// Mask files on the way into a device.

#include <string>
#include <vector>

#include "program/program.hpp"
#include "support/result.hpp"

namespace espalier::cli {

/// The channels that mask files leave of a program's tensors. With `packed` the machine's weights
/// are packed for them: the program must take masks. Errors: those of prune::load_mask_for and of
/// program::apply_mask, with the file.
Result<std::vector<ir::ChannelMask>> load_masks(const program::Program& program,
                                                const std::vector<std::string>& files, bool packed);

/// Layers then have the multiply-accumulates of live channels, the mean over the masks.
void count_live(program::Program& program, const std::vector<ir::ChannelMask>& masks);

}  // namespace espalier::cli
