#include <algorithm>
#include <numeric>

#include "compiler/cost.hpp"
#include "compiler/plan.hpp"
#include "isa/maps.hpp"

namespace espalier::compiler {
namespace {

constexpr int kMaxReach = 4096, kMaxStep = 255;  // of the input's layout
constexpr int kMaxFold = 11;                     // beside a whole kernel
/// What a word that the host writes costs beside what the machine takes for it. Units: cycles.
constexpr double kHostWord = 0.5;

/// The folds to try along an axis: a few taps, or all.
std::vector<int> folds(int kernel) {
  std::vector<int> list;
  for (int fold = 1; fold <= std::min(kernel, kMaxFold); ++fold) list.push_back(fold);
  if (kernel > kMaxFold) list.push_back(kernel);
  return list;
}

/// The coarsest grid of packed pixels from which every output and every folded tap can start.
int grid_step(int kernel, int stride, int dil, int fold) {
  return ceil_div(kernel, fold) == 1 ? stride : std::gcd(stride, fold * dil);
}

}  // namespace

Result<Relay> choose_relay(const ir::QuantGraph& graph, const Layout& layout,
                           const LayerNodes& layer, const isa::Config& config, int budget,
                           const Options& options) {
  const ir::QuantNode& node = at(graph.nodes, layer.conv);
  const auto& conv = std::get<ir::QuantConv>(node.op);
  const ir::Window& w = conv.window;
  const ir::Shape& shape = at(graph.tensors, layer.input).shape;
  const bool bordered = !conv.border.empty();
  const auto plain = conv_geometry(graph, layout, layer, config.lanes, {});
  if (!plain) return plain.error();
  const bool gains = options.relay_input && shape.c % config.lanes != 0 &&
                     (shape.c < config.lanes * 2 || plain->flat);
  if (!gains && !bordered) return Relay{};
  const std::int64_t plain_passes = std::int64_t{plain->taps()} * plain->kb;

  Relay best;
  Chooser chooser(options, 77);
  for (const int fy : gains ? folds(w.kh) : std::vector<int>{1}) {
    for (const int fx : gains ? folds(w.kw) : std::vector<int>{1}) {
      Relay relay{fy, fx, grid_step(w.kh, w.stride_h, w.dilation_h, fy),
                  grid_step(w.kw, w.stride_w, w.dilation_w, fx)};
      relay.bordered = bordered;
      if (!relay.active()) relay = {};
      if (relay.py > kMaxStep || relay.px > kMaxStep || fy * w.dilation_h + w.pad_top > kMaxReach ||
          fx * w.dilation_w + w.pad_left > kMaxReach) {
        continue;
      }
      const auto g = conv_geometry(graph, layout, layer, config.lanes, relay);
      if (!g || g->y.in > 65536 || g->x.in > 65536) continue;
      if (layout.maskable && g->kb > static_cast<int>(isa::kMaps)) continue;
      // Only what makes fewer passes is planned.
      const std::int64_t passes = std::int64_t{g->taps()} * g->kb;
      if (relay.active() && passes >= plain_passes && !(bordered && fy * fx == 1)) continue;
      Options fastest = options;
      fastest.vary = 0;
      const auto plan = plan_conv(*g, config, budget, fastest, "");
      if (!plan) continue;
      const double words = static_cast<double>(std::int64_t{g->kb} * g->y.in * g->x.in);
      if (chooser.offer(plan->cycles + kHostWord * words)) best = relay;
    }
  }
  if (bordered && !best.active()) {
    return fail(ErrorCode::kCapacity, "no tile fits for an input whose padding has values",
                "conv '" + node.name + "'");
  }
  return best;
}

}  // namespace espalier::compiler
