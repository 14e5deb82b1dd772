#pragma once
// Files of masks and overlays on the way into a device.

#include <string>
#include <vector>

#include "runtime/device.hpp"
#include "base/result.hpp"

namespace espalier::flows {

struct MaskFiles {
  std::vector<std::string> masks;
  std::vector<std::string> patches;  ///< none, or one for each mask
};
/// Reads masks and the users' own weights into `device`; with `packed` the machine's weights are
/// packed for them, once: the program must take masks. `model` is the fingerprint of its graph
/// (masks::fingerprint). Errors: those of masks::load_mask_for, masks::load_patch, masks::patched
/// and program::apply_mask, with the file; kUsage where there are not as many patches as masks.
Status load_masks(const program::Program& program, std::uint64_t model, const MaskFiles& files,
                  bool packed, runtime::DeviceOptions& device);

/// What an overlay's file does to a program.
struct OverlayUse {
  std::string file;
  std::uint64_t weights = 0, live = 0;  ///< of the layers that it names
};
/// Makes weights 0 that an overlay's file leaves out: in the graph, and with `packed` in the
/// machine's weights too. `model` is the fingerprint of the graph before.
/// Errors: those of masks::load_overlay, masks::from_overlay and program::apply_overlay, with the
/// file.
Result<OverlayUse> use_overlay(program::Program& program, std::uint64_t model,
                               const std::string& file, bool packed);

/// Multiply-accumulates of each layer over live channels, the mean over the masks; those of all
/// channels without one.
std::vector<std::uint64_t> live_macs(const program::Program& program,
                                     const std::vector<ir::ChannelMask>& masks);

}  // namespace espalier::flows
