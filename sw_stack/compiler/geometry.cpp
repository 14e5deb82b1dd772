#include "compiler/geometry.hpp"

#include <fmt/format.h>

#include <numeric>

namespace espalier::compiler {
namespace {

constexpr int kMaxStride = 15, kMaxDilation = 31, kMaxPad = 4096, kMaxPoolKernel = 255;
constexpr int kMaxExtent = 1 << 15;  // a tile may be a whole row
constexpr int kTableEntries = 128;
constexpr int kMaxPackTaps = 255, kMaxMaskBlocks = 4095;

std::string place_of(const ir::QuantGraph& graph, int node) {
  const ir::QuantNode& n = at(graph.nodes, node);
  return ir::op_name(n.op) + " '" + n.name + "'";
}

Axis make_axis(int in, int out, int kernel, int stride, int dil, int pad) {
  // Where there is one output, or one tap, the step from one to the next says nothing.
  return {in, out, kernel, out == 1 ? 1 : stride, kernel == 1 ? 1 : dil, pad};
}

Status check_axis(const Axis& axis, const char* name, const std::string& place) {
  const auto refuse = [&](const char* what, int value, int limit) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} along the {} is {}; the machine's limit is {}", what, name, value, limit),
        place);
  };
  if (axis.stride > kMaxStride) return refuse("stride", axis.stride, kMaxStride);
  if (axis.dil > kMaxDilation) return refuse("dilation", axis.dil, kMaxDilation);
  if (axis.pad > kMaxPad) return refuse("padding", axis.pad, kMaxPad);
  if (axis.in > kMaxExtent) return refuse("extent", axis.in, kMaxExtent);
  if (axis.out > kMaxExtent) return refuse("output extent", axis.out, kMaxExtent);
  return {};
}

/// What clip words and PACK have room for.
Status check_maskable(int taps, int blocks, const std::string& place) {
  if (taps > kMaxPackTaps) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("a window of {} taps; a program that takes masks has {}", taps, kMaxPackTaps),
        place);
  }
  if (blocks > kMaxMaskBlocks) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} blocks of channels; a program that takes masks has {}", blocks,
                            kMaxMaskBlocks),
                place);
  }
  return {};
}

/// The relayed axis: taps in steps of `fold`, pixels in steps of `step`.
Axis relay_axis(const Axis& axis, int fold, int step) {
  Axis out;
  out.kernel = ceil_div(axis.kernel, fold);
  out.out = axis.out;
  out.stride = axis.out == 1 ? 1 : axis.stride / step;
  out.dil = out.kernel == 1 ? 1 : fold * axis.dil / step;
  out.pad = 0;
  out.in = (out.out - 1) * out.stride + (out.kernel - 1) * out.dil + 1;
  return out;
}

/// True where a window axis has the same count of counted pixels for every output.
bool uniform_counts(const Axis& axis, bool include_pad, int pad_after) {
  const int low = include_pad ? -axis.pad : 0;
  const int high = axis.in + (include_pad ? pad_after : 0);
  for (int o = 0; o < axis.out; ++o) {
    if (ir::taps_inside(o * axis.stride - axis.pad, axis.kernel, 1, low, high) !=
        ir::taps_inside(-axis.pad, axis.kernel, 1, low, high)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Reach reach(const Axis& axis, int out, int count, int tap, int taps) {
  const int first = out * axis.stride - axis.pad + tap * axis.dil;
  const int last = first + (count - 1) * axis.stride + (taps - 1) * axis.dil;
  // A tile that lies in the padding altogether keeps the nearest pixel, which it never reads.
  const int low = std::clamp(first, 0, axis.in - 1);
  const int high = std::clamp(last, low, axis.in - 1);
  return {{low, high + 1}, first - low};
}

Result<ConvGeometry> conv_geometry(const ir::QuantGraph& graph, const Layout& layout,
                                   const LayerNodes& layer, int lanes, const Relay& relay) {
  const ir::QuantNode& node = at(graph.nodes, layer.conv);
  const auto& conv = std::get<ir::QuantConv>(node.op);
  const ir::Window& w = conv.window;
  const ir::Shape& x = at(graph.tensors, layer.input).shape;
  const ir::Shape& y = at(graph.tensors, node.output).shape;
  const std::string place = place_of(graph, layer.conv);
  ConvGeometry g;
  g.kb = at(layout.spots, layer.input).channels.blocks;
  g.nb = made(graph, layout, layer).blocks;
  g.add = layer.operand >= 0;
  g.gap = layer.gap >= 0;
  g.strided = at(layout.spots, layer.output).strided();
  g.y = make_axis(x.h, y.h, w.kh, w.stride_h, w.dilation_h, w.pad_top);
  g.x = make_axis(x.w, y.w, w.kw, w.stride_w, w.dilation_w, w.pad_left);
  g.block_words = x.h * x.w;
  g.row_words = x.w;
  const bool whole = y.h == 1 && y.w == 1 && w.kh == x.h && w.kw == x.w && g.y.dil == 1 &&
                     g.x.dil == 1 && w.pad_top == 0 && w.pad_left == 0;
  // Where a mask may shorten the input, its pixels are taps: lanes of k blocks must be channels.
  const bool pixels_are_taps = layout.maskable && x.h * x.w <= kMaxPackTaps;
  if (relay.active()) {
    g.relay = relay;
    g.y = relay_axis(g.y, relay.fy, relay.py);
    g.x = relay_axis(g.x, relay.fx, relay.px);
    g.kb = ceil_div(x.c * relay.fy * relay.fx, lanes);
    g.block_words = g.y.in * g.x.in;
    g.row_words = g.x.in;
  } else if (whole && x.h * x.w > 1 && !pixels_are_taps) {
    g.flat = true;
    g.kb *= x.h * x.w;
    g.block_words = g.row_words = 1;
    g.y = g.x = Axis{};
  }
  if (!g.flat && !relay.active() && !layout.maskable && g.kb > 1 &&
      is_diagonal(conv, at(layout.spots, layer.input).channels, made(graph, layout, layer),
                  lanes)) {
    g.diagonal = true;
    g.kb = 1;
  }
  if (g.y.kernel == 1 && g.y.stride > 1) {
    // Only every stride-th row is loaded: a window without a stride over those.
    const int first_out = ceil_div(g.y.pad, g.y.stride);
    const int first_row = first_out * g.y.stride - g.y.pad;
    if (first_row < g.y.in) {
      g.row_step = g.y.stride;
      g.row_first = first_row;
      g.first_word = first_row * g.row_words;
      g.row_words *= g.row_step;
      g.y.in = (g.y.in - 1 - first_row) / g.row_step + 1;
      g.y.pad = first_out;
      g.y.stride = 1;
    }
  }
  if (const Status s = check_axis(g.y, "height", place); !s) return s.error();
  if (const Status s = check_axis(g.x, "width", place); !s) return s.error();
  if (layout.maskable) {
    if (const Status s = check_maskable(g.taps(), std::max(g.kb, g.nb), place); !s)
      return s.error();
  }
  return g;
}

Result<PoolGeometry> pool_geometry(const ir::QuantGraph& graph, const Layout& layout,
                                   const LayerNodes& layer) {
  const ir::QuantNode& node = at(graph.nodes, layer.pool);
  const auto& pool = std::get<ir::QuantPool>(node.op);
  const ir::Window& w = pool.window;
  const ir::Shape& x = at(graph.tensors, layer.input).shape;
  const ir::Shape& y = at(graph.tensors, layer.output).shape;
  const std::string place = place_of(graph, layer.pool);
  PoolGeometry g;
  g.blocks = at(layout.spots, layer.input).channels.blocks;
  g.y = make_axis(x.h, y.h, w.kh, w.stride_h, w.dilation_h, w.pad_top);
  g.x = make_axis(x.w, y.w, w.kw, w.stride_w, w.dilation_w, w.pad_left);
  for (const auto& [axis, name] : {std::pair{g.y, "height"}, std::pair{g.x, "width"}}) {
    if (const Status s = check_axis(axis, name, place); !s) return s.error();
    if (axis.kernel > kMaxPoolKernel) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("window {} is {}; the machine's limit is {}", name, axis.kernel,
                              kMaxPoolKernel),
                  place);
    }
    if (axis.dil != 1) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("a pool with dilation {}; the machine has none", axis.dil), place);
    }
  }
  if (layout.maskable) {
    if (const Status s = check_maskable(1, g.blocks, place); !s) return s.error();
  }
  if (pool.kind == ir::PoolKind::kAverage) {
    g.uniform = uniform_counts(g.y, pool.count_include_pad, w.pad_bottom) &&
                uniform_counts(g.x, pool.count_include_pad, w.pad_right);
    g.use_table = !g.uniform && w.kh * w.kw <= kTableEntries;
  }
  return g;
}

bool is_diagonal(const ir::QuantConv& conv, const Channels& in, const Channels& out, int lanes) {
  if (in.blocks != out.blocks) return false;
  const std::size_t depth = in.lane.size();
  const auto taps = static_cast<std::size_t>(conv.window.kh) * conv.window.kw;
  const std::int8_t* weight = conv.weights.data();
  for (const int n : out.lane) {
    for (std::size_t i = 0; i < taps * depth; ++i, ++weight) {
      if (*weight != 0 && in.lane[i % depth] / lanes != n / lanes) return false;
    }
  }
  return true;
}

const Channels& made(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer) {
  const int tensor = layer.gap >= 0 ? at(graph.nodes, layer.gap).inputs[0] : layer.output;
  return at(layout.spots, tensor).channels;
}

std::vector<int> weight_places(const ir::QuantGraph& graph, const Layout& layout,
                               const LayerNodes& layer, const ConvGeometry& g, int lanes) {
  const ir::Window& window = std::get<ir::QuantConv>(at(graph.nodes, layer.conv).op).window;
  const int depth = at(graph.tensors, layer.input).shape.c;
  std::vector<int> places;
  for (int ky = 0; ky < window.kh; ++ky) {
    for (int kx = 0; kx < window.kw; ++kx) {
      for (int c = 0; c < depth; ++c) {
        const KPlace p = place_weight(graph, layout, layer, g, lanes, c, ky, kx);
        places.push_back((p.tap_y * g.x.kernel + p.tap_x) * g.kb * lanes + p.lane);
      }
    }
  }
  return places;
}

bool fours_stay(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                const ConvGeometry& g, int lanes) {
  constexpr int kFour = 4;
  const int depth = at(graph.tensors, layer.input).shape.c;
  std::vector<int> group(static_cast<std::size_t>(g.taps()) * g.kb * lanes / kFour, -1);
  int weight = 0;
  for (const int place : weight_places(graph, layout, layer, g, lanes)) {
    const int own = weight / depth * ceil_div(depth, kFour) + weight % depth / kFour;
    ++weight;
    int& seen = at(group, place / kFour);
    if (seen >= 0 && seen != own) return false;
    seen = own;
  }
  return true;
}

bool two_of_four(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                 const ConvGeometry& g, int lanes) {
  constexpr int kFour = 4, kTwo = 2;
  const auto& conv = std::get<ir::QuantConv>(at(graph.nodes, layer.conv).op);
  const std::vector<int> places = weight_places(graph, layout, layer, g, lanes);
  std::vector<std::uint8_t> count(static_cast<std::size_t>(g.taps()) * g.kb * lanes / kFour);
  const std::int8_t* weight = conv.weights.data();
  for (int n = 0; n < conv.out_channels; ++n) {
    std::ranges::fill(count, 0);
    for (const int place : places) {
      if (*weight++ != 0 && ++at(count, place / kFour) > kTwo) return false;
    }
  }
  return true;
}

double live_tiles(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                  const ConvGeometry& g, int lanes) {
  const auto& conv = std::get<ir::QuantConv>(at(graph.nodes, layer.conv).op);
  const std::vector<int> places = weight_places(graph, layout, layer, g, lanes);
  const std::vector<int>& lane = made(graph, layout, layer).lane;
  const int row = g.taps() * g.kb;
  std::vector<bool> live(static_cast<std::size_t>(row) * g.nb, false);
  const std::int8_t* weight = conv.weights.data();
  for (int n = 0; n < conv.out_channels; ++n) {
    for (const int place : places) {
      if (*weight++ != 0)
        live[static_cast<std::size_t>(at(lane, n) / lanes) * row + place / lanes] = true;
    }
  }
  return static_cast<double>(std::ranges::count(live, true)) / static_cast<double>(live.size());
}

KPlace place_weight(const ir::QuantGraph& graph, const Layout& layout, const LayerNodes& layer,
                    const ConvGeometry& g, int lanes, int c, int ky, int kx) {
  const int lane = at(at(layout.spots, layer.input).channels.lane, c);
  if (g.flat) {
    const ir::Shape& x = at(graph.tensors, layer.input).shape;
    return {0, 0, ((lane / lanes * x.h + ky) * x.w + kx) * lanes + lane % lanes};
  }
  if (g.relay.active()) {
    const int channels = at(graph.tensors, layer.input).shape.c;
    return {ky / g.relay.fy, kx / g.relay.fx,
            (ky % g.relay.fy * g.relay.fx + kx % g.relay.fx) * channels + c};
  }
  return {ky, kx, lane};
}

program::InputLayout input_layout(const ir::QuantGraph& graph, const LayerNodes* layer,
                                  const Relay& relay, int lanes) {
  const ir::Shape& shape = at(graph.tensors, graph.input).shape;
  program::InputLayout out;
  if (layer == nullptr || !relay.active()) {
    out.blocks = ceil_div(shape.c, lanes);
    out.h = shape.h;
    out.w = shape.w;
    out.lanes.resize(static_cast<std::size_t>(out.blocks) * lanes);
    for (int c = 0; c < shape.c; ++c) at(out.lanes, c).c = c;
    return out;
  }
  const ir::QuantNode& node = at(graph.nodes, layer->conv);
  const ir::Window& w = std::get<ir::QuantConv>(node.op).window;
  const ir::Shape& y = at(graph.tensors, node.output).shape;
  const Axis ay =
      relay_axis(make_axis(shape.h, y.h, w.kh, w.stride_h, w.dilation_h, 0), relay.fy, relay.py);
  const Axis ax =
      relay_axis(make_axis(shape.w, y.w, w.kw, w.stride_w, w.dilation_w, 0), relay.fx, relay.px);
  out.blocks = ceil_div(shape.c * relay.fy * relay.fx, lanes);
  out.h = ay.in;
  out.w = ax.in;
  out.stride_y = relay.py;
  out.stride_x = relay.px;
  out.lanes.resize(static_cast<std::size_t>(out.blocks) * lanes);
  for (int dy = 0; dy < relay.fy; ++dy) {
    for (int dx = 0; dx < relay.fx; ++dx) {
      for (int c = 0; c < shape.c; ++c) {
        at(out.lanes, (dy * relay.fx + dx) * shape.c + c) = {c, dy * w.dilation_h - w.pad_top,
                                                             dx * w.dilation_w - w.pad_left};
      }
    }
  }
  return out;
}

Transfer merge(int x, int y, std::int64_t y_stride, int z, std::int64_t z_stride) {
  if (y == 1 || y_stride == x) {  // rows lie end to end
    x *= y;
    y = z;
    y_stride = z_stride;
    z = 1;
    z_stride = 0;
    if (y == 1 || y_stride == x) {
      x *= y;
      y = 1;
      y_stride = 0;
    }
  } else if (z == 1) {
    z_stride = 0;
  }
  return {x, y, z, y_stride, z_stride, false};
}

Transfer merge_rows(int x, int y, std::int64_t y_stride, int z, std::int64_t z_stride) {
  if (y == 1 || y_stride == x) return {x * y, 1, z, 0, z_stride, true};
  return {x, y, z, y_stride, z_stride, true};
}

}  // namespace espalier::compiler
