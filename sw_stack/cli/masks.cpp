#include "cli/masks.hpp"

#include "program/mask.hpp"
#include "prune/prune.hpp"

namespace espalier::cli {

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
    const auto masked = program::apply_mask(program, list.back());
    if (!masked) {
      Diagnostic error = masked.error();
      error.place = file + ": " + error.place;
      return error;
    }
  }
  return list;
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
