#include "cli/masks.hpp"

#include "cli/models.hpp"
#include "program/overlay.hpp"
#include "prune/overlay.hpp"
#include "prune/prune.hpp"

namespace espalier::cli {

Result<program::Masked> packed_mask(const program::Program& program, const ir::ChannelMask& mask,
                                    const std::string& file) {
  auto masked = program::apply_mask(program, mask);
  if (masked) return masked;
  return placed(masked.error(), file);
}

Result<std::vector<ir::ChannelMask>> load_masks(const program::Program& program,
                                                const std::vector<std::string>& files,
                                                bool packed) {
  std::vector<ir::ChannelMask> list;
  const prune::Channels channels = prune::find_channels(program.graph);
  for (const std::string& file : files) {
    const auto mask = prune::load_mask_for(program.graph, channels, file);
    if (!mask) return mask.error();
    list.push_back(prune::by_tensor(channels, *mask));
    if (!packed) continue;
    if (const auto masked = packed_mask(program, list.back(), file); !masked) return masked.error();
  }
  return list;
}

Result<OverlayUse> use_overlay(program::Program& program, const std::string& file, bool packed) {
  const auto overlay = prune::load_overlay(file);
  if (!overlay) return overlay.error();
  const auto mask = prune::from_overlay(*overlay, program.graph, file);
  if (!mask) return mask.error();
  if (!packed) {
    ir::zero_weights(program.graph, *mask);
  } else if (const Status status = program::apply_overlay(program, *mask); !status) {
    return placed(status.error(), file);
  }
  OverlayUse use{file};
  for (const prune::Overlay::Layer& layer : overlay->layers) {
    use.weights += layer.count();
    use.live += layer.live();
  }
  return use;
}

void count_live(program::Program& program, const std::vector<ir::ChannelMask>& masks) {
  if (masks.empty()) return;
  for (program::Layer& layer : program.layers) {
    if (layer.macs <= 0) continue;
    std::int64_t sum = 0;
    for (const ir::ChannelMask& mask : masks) {
      for (const int n : layer.nodes) {
        sum +=
            prune::live_macs(program.graph, program.graph.nodes[static_cast<std::size_t>(n)], mask);
      }
    }
    layer.macs = sum / static_cast<std::int64_t>(masks.size());
  }
}

}  // namespace espalier::cli
