#include <algorithm>
#include <numeric>

#include "compiler/cost.hpp"
#include "compiler/plan.hpp"

namespace espalier::compiler {
namespace {

/// The coarsest grid of packed pixels from which every output and every folded tap can start.
int grid_step(int kernel, int stride, int dil, int fold) {
  return ceil_div(kernel, fold) == 1 ? stride : std::gcd(stride, fold * dil);
}

}  // namespace

Relay choose_relay(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                   const isa::Config& config, int budget, const Options& options) {
  const ir::QuantNode& node = at(graph.nodes, layer.conv);
  const ir::Window& w = std::get<ir::QuantConv>(node.op).window;
  const ir::Shape& shape = at(graph.tensors, layer.input).shape;
  constexpr int kMaxPad = 2048, kMaxFold = 11, kMaxStep = 255;
  if (w.pad_top > kMaxPad || w.pad_left > kMaxPad || shape.c >= config.lanes * 2) return {};
  const auto plain = conv_geometry(graph, layout, layer, config.lanes, {});
  if (!plain || plain->flat) return {};

  Relay best;
  Chooser chooser(options, 77);
  const std::int64_t plain_words = std::int64_t{plain->kb} * shape.h * shape.w;
  for (int fy = 1; fy <= std::min(w.kh, kMaxFold); ++fy) {
    for (int fx = 1; fx <= std::min(w.kw, kMaxFold); ++fx) {
      Relay relay{fy, fx, grid_step(w.kh, w.stride_h, w.dilation_h, fy),
                  grid_step(w.kw, w.stride_w, w.dilation_w, fx)};
      if (!relay.active()) relay = {};
      if (relay.py > kMaxStep || relay.px > kMaxStep || fy * w.dilation_h > kMaxPad ||
          fx * w.dilation_w > kMaxPad) {
        continue;
      }
      const auto g = conv_geometry(graph, layout, layer, config.lanes, relay);
      if (!g) continue;
      // The host writes at most twice as much as it would anyway.
      const std::int64_t words = std::int64_t{g->kb} * g->y.in * g->x.in;
      if (relay.active() && words > 2 * plain_words + 64) continue;
      if (g->y.in > 65536 || g->x.in > 65536) continue;
      // Passes decide; only what could be the best is planned.
      const std::int64_t passes = std::int64_t{g->taps()} * g->kb;
      if (relay.active() && passes >= std::int64_t{plain->taps()} * plain->kb) continue;
      Options fastest = options;
      fastest.vary = 0;
      const auto plan = plan_conv(*g, config, budget, fastest, "");
      if (!plan) continue;
      if (chooser.offer(plan->cycles + 0.01 * static_cast<double>(words))) best = relay;
    }
  }
  return best;
}

}  // namespace espalier::compiler
