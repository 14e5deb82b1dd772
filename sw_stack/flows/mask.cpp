#include "flows/mask.hpp"

#include <algorithm>

#include "compiler/compiler.hpp"
#include "flows/models.hpp"
#include "program/apply_mask.hpp"
#include "program/program.hpp"
#include "masks/prune.hpp"
#include "runtime/device.hpp"
#include "timing/timing.hpp"
#include "base/integers.hpp"
#include "base/whole_file.hpp"

namespace espalier::flows {
namespace {

bool is_overlay_file(const std::string& path) {
  const std::string head = head_of(path);
  return masks::is_overlay({reinterpret_cast<const std::uint8_t*>(head.data()), head.size()});
}

/// Weights of a layer that stay and are not 0.
std::uint64_t nonzero(const ir::QuantGraph& graph, const masks::Overlay::Layer& layer) {
  const auto node = std::ranges::find_if(graph.nodes, [&](const ir::QuantNode& n) {
    return n.name == layer.name && std::holds_alternative<ir::QuantConv>(n.op);
  });
  const auto& weights = std::get<ir::QuantConv>(node->op).weights;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    count += weights[i] != 0 && ir::get_bit(layer.bits, i) ? 1 : 0;
  return count;
}

Result<MaskShown> show_overlay(const std::string& path, const std::string& program_path) {
  auto overlay = masks::load_overlay(path);
  if (!overlay) return overlay.error();
  OverlayValue value{std::move(*overlay), {}};
  if (!program_path.empty()) {
    const auto program = program::load(program_path);
    if (!program) return program.error();
    const auto mask = masks::from_overlay(value.overlay, program->graph, path);
    if (!mask) return mask.error();
    for (const auto& layer : value.overlay.layers)
      value.nonzero.push_back(nonzero(program->graph, layer));
  }
  return MaskShown(std::move(value));
}

Result<MaskValue::Cost> cost_of(const program::Program& program) {
  const auto estimate = timing::estimate(program);
  if (!estimate) return estimate.error();
  return MaskValue::Cost{runtime::macs(program), program.constants.size(), estimate->cycles};
}

std::vector<MaskValue::Layer> layers(const ir::QuantGraph& graph, const ir::ChannelMask& mask) {
  std::vector<MaskValue::Layer> list;
  for (const ir::QuantNode& node : graph.nodes) {
    if (!std::holds_alternative<ir::QuantConv>(node.op) || masks::is_copy(graph, node)) continue;
    const auto& in = mask[static_cast<std::size_t>(node.inputs[0])];
    const auto& out = mask[static_cast<std::size_t>(node.output)];
    list.push_back({node.name, static_cast<std::int64_t>(in.size()), std::ranges::count(in, true),
                    static_cast<std::int64_t>(out.size()), std::ranges::count(out, true),
                    ir::macs(graph, node), ir::macs(graph, node, mask),
                    static_cast<std::int64_t>(std::get<ir::QuantConv>(node.op).weights.size())});
  }
  return list;
}

Result<MaskShown> value_of(const masks::MaskFile& file, const std::string& place,
                           const program::Program& program) {
  const ir::QuantGraph& graph = program.graph;
  const masks::Channels channels = masks::find_channels(graph);
  const auto mask = masks::from_file(file, graph, channels, place);
  if (!mask) return mask.error();
  const ir::ChannelMask tensors = masks::by_tensor(channels, *mask);
  MaskValue value;
  value.network = graph.name;
  value.config = program.config.name.view();
  value.layers = layers(graph, tensors);
  for (const MaskValue::Layer& layer : value.layers) value.live_macs += layer.live_macs;
  for (const auto& entry : file.entries) value.mask_bytes += (entry.live.size() + 7) / 8;
  const auto light = pruned(graph, channels, *mask, place);
  if (!light) return light.error();
  const auto compiled = compiler::compile(masks::without_copies(light->graph), program.machine());
  if (!compiled) return placed(compiled.error(), place);
  const auto dense = cost_of(program), small = cost_of(*compiled);
  if (!dense) return dense.error();
  if (!small) return placed(small.error(), place);
  value.dense = *dense;
  value.pruned = *small;
  if (program.maskable) {
    const auto masked = program::apply_mask(program, tensors);
    if (!masked) return placed(masked.error(), place);
    const auto estimate = timing::estimate(program, {}, masked->table);
    if (!estimate) return placed(estimate.error(), place);
    value.masked_cycles = estimate->cycles;
  }
  return MaskShown(std::move(value));
}

}  // namespace

Result<MaskMade> make_mask(const MaskOptions& options) {
  const auto program = program::load(options.program);
  if (!program) return program.error();
  const ir::QuantGraph& graph = program->graph;
  const masks::Channels channels = masks::find_channels(graph);
  if (channels.groups.empty())
    return fail(ErrorCode::kUnsupported, "has no channels that could go", options.program);
  const masks::Choice choice{options.keep, options.scope,
                             options.align > 0 ? options.align : program->machine().lanes};
  const masks::Mask mask =
      options.by == MaskBy::kRandom      ? masks::random_mask(channels, choice, options.seed)
      : options.by == MaskBy::kMagnitude ? masks::magnitude_mask(graph, channels, choice)
                                         : masks::zeroed_mask(graph, channels);
  const masks::MaskFile file = masks::to_file(graph, channels, mask);
  if (const Status status = masks::save_mask(file, options.output); !status) return status.error();
  MaskMade made{graph.name, 0, 0, channels.groups.size()};
  for (std::size_t c = 0; c < channels.classes(); ++c) {
    if (!channels.prunable[c]) continue;
    ++made.channels;
    made.live += mask.live[c] ? 1 : 0;
  }
  return made;
}

Result<OverlayMade> make_overlay(const OverlayOptions& options) {
  const auto program = program::load(options.program);
  if (!program) return program.error();
  const auto overlay = masks::choose_weights(program->graph, options.choice);
  if (!overlay) return overlay.error();
  const auto bytes = masks::serialise(*overlay);
  if (const Status status = write_file(options.output, bytes); !status) return status.error();
  return OverlayMade{program->graph.name, overlay->count(), overlay->live(), overlay->layers.size(),
                     bytes.size()};
}

double MaskValue::speedup() const { return ratio(dense.cycles, pruned.cycles); }
double MaskValue::realised() const { return speedup() * ratio(live_macs, dense.macs); }

Result<MaskShown> show_mask(const std::string& mask, const std::string& program_path) {
  if (is_overlay_file(mask)) return show_overlay(mask, program_path);
  auto file = masks::load_mask(mask);
  if (!file) return file.error();
  if (program_path.empty()) return MaskShown(std::move(*file));
  const auto program = program::load(program_path);
  if (!program) return program.error();
  return value_of(*file, mask, *program);
}

}  // namespace espalier::flows
