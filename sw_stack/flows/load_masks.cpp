#include "flows/load_masks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "program/apply_overlay.hpp"
#include "masks/overlay.hpp"
#include "masks/patch.hpp"

namespace espalier::flows {

Status load_masks(const program::Program& program, std::uint64_t model, const MaskFiles& files,
                  bool packed, runtime::DeviceOptions& device) {
  const std::vector<std::string>&masks = files.masks, &patches = files.patches;
  if (!patches.empty() && patches.size() != masks.size()) {
    return fail(ErrorCode::kUsage,
                fmt::format("{} patches for {} masks; each mask needs its own", patches.size(),
                            masks.size()),
                "--patch");
  }
  const masks::Channels channels = masks::find_channels(program.graph);
  std::vector<program::Masked> applied;
  for (std::size_t m = 0; m < masks.size(); ++m) {
    const auto mask = masks::load_mask_for(program.graph, channels, masks[m], model);
    if (!mask) return mask.error();
    device.masks.push_back(masks::by_tensor(channels, *mask));
    if (!patches.empty()) {
      const auto patch = masks::load_patch(patches[m]);
      if (!patch) return patch.error();
      auto graph = masks::patched(*patch, program.graph, channels, *mask, patches[m], model);
      if (!graph) return graph.error();
      device.graphs.push_back(std::move(*graph));
    }
    if (!packed) continue;
    auto made = runtime::masked(program, device, m);
    if (!made) return placed(made.error(), masks[m]);
    applied.push_back(std::move(*made));
  }
  if (packed) {
    device.applied = std::make_shared<const std::vector<program::Masked>>(std::move(applied));
  }
  return {};
}

Result<OverlayUse> use_overlay(program::Program& program, std::uint64_t model,
                               const std::string& file, bool packed) {
  const auto overlay = masks::load_overlay(file);
  if (!overlay) return overlay.error();
  const auto mask = masks::from_overlay(*overlay, program.graph, file, model);
  if (!mask) return mask.error();
  if (!packed) {
    ir::zero_weights(program.graph, *mask);
  } else if (const Status status = program::apply_overlay(program, *mask); !status) {
    return placed(status.error(), file);
  }
  return OverlayUse{file, overlay->count(), overlay->live()};
}

std::vector<std::uint64_t> live_macs(const program::Program& program,
                                     const std::vector<ir::ChannelMask>& masks) {
  const auto images = static_cast<std::int64_t>(std::max<std::size_t>(masks.size(), 1));
  std::vector<std::uint64_t> list;
  for (const program::Layer& layer : program.layers) {
    std::int64_t sum = masks.empty() ? program::macs(program.graph, layer) : 0;
    for (const ir::ChannelMask& mask : masks) sum += program::macs(program.graph, layer, mask);
    list.push_back(static_cast<std::uint64_t>(sum / images));
  }
  return list;
}

}  // namespace espalier::flows
