#pragma once
// Files of masks and overlays on the way into a device.

#include <string>
#include <vector>

#include "program/mask.hpp"
#include "support/result.hpp"

namespace espalier::cli {

/// The channels that mask files leave of a program's tensors. With `packed` the machine's weights
/// are packed for them: the program must take masks. Errors: those of prune::load_mask_for and of
/// program::apply_mask, with the file.
Result<std::vector<ir::ChannelMask>> load_masks(const program::Program& program,
                                                const std::vector<std::string>& files, bool packed);

/// The program's graph with the weights of each patch file, which goes with the mask file of the
/// same place. Errors: kUsage where there are not as many; those of prune::load_patch and
/// prune::patched, with the file.
Result<std::vector<ir::QuantGraph>> load_patches(const program::Program& program,
                                                 const std::vector<std::string>& masks,
                                                 const std::vector<std::string>& files);

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

/// Multiply-accumulates of each layer over live channels, the mean over the masks; those of all
/// channels without one.
std::vector<std::uint64_t> live_macs(const program::Program& program,
                                     const std::vector<ir::ChannelMask>& masks);

}  // namespace espalier::cli
