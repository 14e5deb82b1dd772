#pragma once
// Files of masks and overlays on the way into a device.

#include <string>
#include <vector>

#include "program/mask.hpp"
#include "support/result.hpp"

namespace espalier::cli {

/// What a mask's file makes of a program that takes masks. Errors: those of program::apply_mask,
/// with the file.
Result<program::Masked> packed_mask(const program::Program& program, const ir::ChannelMask& mask,
                                    const std::string& file);

/// The channels that mask files leave of a program's tensors. With `packed` the machine's weights
/// are packed for them: the program must take masks. Errors: those of prune::load_mask_for and of
/// program::apply_mask, with the file.
Result<std::vector<ir::ChannelMask>> load_masks(const program::Program& program,
                                                const std::vector<std::string>& files, bool packed);

/// What an overlay's file does to a program.
struct OverlayUse {
  std::string file;
  std::uint64_t weights = 0, live = 0;  ///< of the layers that it names
};
/// Makes weights 0 that an overlay's file leaves out: in the graph, and with `packed` in the
/// machine's weights too. Call it after load_masks: both know the model by its weights.
/// Errors: those of prune::load_overlay, prune::from_overlay and program::apply_overlay, with the
/// file.
Result<OverlayUse> use_overlay(program::Program& program, const std::string& file, bool packed);

/// Layers then have the multiply-accumulates of live channels, the mean over the masks.
void count_live(program::Program& program, const std::vector<ir::ChannelMask>& masks);

}  // namespace espalier::cli
