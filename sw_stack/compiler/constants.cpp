#include "compiler/constants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "compiler/cost.hpp"
#include "program/apply_mask.hpp"
#include "ir/numerics.hpp"

namespace espalier::compiler {
namespace {

/// Rows of the weight image: the output's blocks.
std::int64_t rows_of(const Layer& layer, int lanes) { return std::int64_t{layer.conv.nb} * lanes; }

std::int64_t weight_bytes(const Layer& layer, int lanes) {
  return rows_of(layer, lanes) * layer.conv.taps() * layer.conv.kb * lanes;
}

/// Bytes that lie one after the other.
struct Run {
  std::int64_t offset, size;
};

/// Weights in the order [n][tap][k], or where `by_tap` [tap][n][k].
void put_weights(const ir::QuantGraph& graph, const Layout& layout, const Layer& layer, int lanes,
                 bool by_tap, std::uint8_t* out) {
  const auto& conv = std::get<ir::QuantConv>(at(graph.nodes, layer.nodes.conv).op);
  const Channels& channels = made(graph, layout, layer.nodes);
  const int depth = at(graph.tensors, layer.nodes.input).shape.c;
  const std::int64_t k_lanes = std::int64_t{layer.conv.kb} * lanes;
  const std::int64_t row = by_tap ? k_lanes : layer.conv.taps() * k_lanes;
  const std::int64_t tap = by_tap ? rows_of(layer, lanes) * k_lanes : k_lanes;
  // Where one output channel's weights go, in their order in the graph.
  std::vector<Run> runs;
  for (int ky = 0; ky < conv.window.kh; ++ky) {
    for (int kx = 0; kx < conv.window.kw; ++kx) {
      for (int c = 0; c < depth; ++c) {
        KPlace p = place_weight(graph, layout, layer.nodes, layer.conv, lanes, c, ky, kx);
        if (layer.conv.diagonal) p.lane %= lanes;  // all others are 0
        const std::int64_t offset =
            (std::int64_t{p.tap_y} * layer.conv.x.kernel + p.tap_x) * tap + p.lane;
        if (runs.empty() || runs.back().offset + runs.back().size != offset)
          runs.push_back({offset, 0});
        ++runs.back().size;
      }
    }
  }
  const std::int8_t* weight = conv.weights.data();
  for (int n = 0; n < conv.out_channels; ++n) {
    std::uint8_t* target = out + at(channels.lane, n) * row;
    for (const Run& run : runs) {
      if (!layer.conv.diagonal) {
        std::memcpy(target + run.offset, weight, static_cast<std::size_t>(run.size));
      } else {
        for (std::int64_t i = 0; i < run.size; ++i)
          if (weight[i] != 0) target[run.offset + i] = static_cast<std::uint8_t>(weight[i]);
      }
      weight += run.size;
    }
  }
}

void put_params(const ir::QuantGraph& graph, const Layout& layout, const Layer& layer,
                std::uint8_t* out) {
  const auto& conv = std::get<ir::QuantConv>(at(graph.nodes, layer.nodes.conv).op);
  const Channels& channels = made(graph, layout, layer.nodes);
  for (int n = 0; n < conv.out_channels; ++n) {
    std::uint8_t* target = out + std::size_t{8} * static_cast<std::size_t>(at(channels.lane, n));
    std::memcpy(target, &at(conv.bias, n), 4);
    std::memcpy(target + 4, &at(conv.scale, n), 4);
  }
}

/// A row of the layer table that leaves everything.
isa::LayerRow dense_row(const Layer& layer, const ConstantPlaces& places, int lanes) {
  isa::LayerRow row;
  row.dense = 1;
  if (layer.is_pool()) {
    row.n_live = static_cast<std::uint32_t>(layer.pool.blocks);
  } else {
    program::set_counts(mask_weights(layer, places), layer.conv.kb, layer.conv.nb, lanes, row);
  }
  return row;
}

/// Puts a layer's weights, [N][taps][K], in the order in which they are loaded; as streams where
/// that is worth it.
void by_unit(const Layer& layer, const isa::Config& config, const Options& options,
             std::vector<std::uint8_t>& weights, ConstantPlaces& places) {
  std::optional<UnitWeights> made;
  if (!options.dense_tiles && config.mask_layers > 0 && !layer.conv_plan.fine &&
      !layer.conv.switched)
    made = sparse_weights(layer, weights, config, options.vary % 2 == 1);
  places.sparse = made.has_value();
  if (!made) made = unit_weights(layer, weights, config.lanes);
  weights = std::move(made->bytes);
  places.units = std::move(made->units);
}

}  // namespace

program::Maskable::Weights mask_weights(const Layer& layer, const ConstantPlaces& places) {
  program::Maskable::Weights w;
  w.weights = places.weights;
  w.params = places.params;
  w.taps = layer.conv.taps();
  w.k_blocks = layer.conv.kb;
  w.n_blocks = layer.conv.nb;
  w.kc = layer.conv_plan.kc;
  w.nb = layer.conv_plan.nb;
  w.tapwise = layer.conv_plan.tapwise;
  return w;
}

isa::Clip unit_clip(const Layer& layer, const Step& step) {
  isa::Clip clip;
  clip.k0 = static_cast<std::uint32_t>(at(layer.chunks, step.chunk).kb.low);
  clip.n0 = static_cast<std::uint32_t>(step.blocks.low);
  clip.kc = static_cast<std::uint32_t>(layer.conv_plan.kc);
  clip.nb = static_cast<std::uint32_t>(layer.conv_plan.nb);
  return clip;
}

Result<Constants> make_constants(const ir::QuantGraph& graph, const std::vector<Layer>& layers,
                                 const Layout& layout, const isa::Config& config,
                                 const Options& options) {
  Constants out;
  out.places.resize(layers.size());
  // Whole bursts from the start on cross no line of 4 KiB.
  const std::int64_t start_at = std::max(64, kTiming.burst_beats * config.bus_bytes);
  std::int64_t size = 0, environment = 0;
  const auto take_of = [&](std::int64_t& end, std::int64_t bytes) {
    const std::int64_t start = end;
    end = round_up(end + bytes, start_at);
    return static_cast<std::uint32_t>(start);
  };
  const auto take = [&](std::int64_t bytes) { return take_of(size, bytes); };
  out.switchable = options.switched.has_value();
  if (layout.maskable) {
    if (config.mask_layers == 0) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("configuration {} takes no masks", config.name.view()), graph.name);
    }
    take(static_cast<std::int64_t>(layers.size() * isa::kRowBytes));
  }
  std::vector<std::vector<std::uint8_t>> weights(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Layer& layer = layers[l];
    std::int64_t bytes = 1024;
    if (!layer.is_pool()) {
      bytes = weight_bytes(layer, config.lanes);
      if (bytes <= program::kRegionLimit) {
        weights[l].assign(static_cast<std::size_t>(bytes), 0);
        const bool by_tap = layout.maskable && layer.conv_plan.tapwise;
        put_weights(graph, layout, layer, config.lanes, by_tap, weights[l].data());
        if (!layout.maskable) by_unit(layer, config, options, weights[l], out.places[l]);
        bytes = static_cast<std::int64_t>(weights[l].size());
      }
      bytes += rows_of(layer, config.lanes) * 8;
    }
    if (size + bytes > program::kRegionLimit) {
      return fail(ErrorCode::kCapacity,
                  fmt::format("weights take {} bytes; a region has {}", size + bytes,
                              program::kRegionLimit),
                  layer.name);
    }
    if (!layer.is_pool()) {
      out.places[l].weights = take(static_cast<std::int64_t>(weights[l].size()));
      const std::int64_t params = rows_of(layer, config.lanes) * 8;
      out.places[l].clean = take(params);
      out.places[l].params = out.switchable ? take_of(environment, params) : out.places[l].clean;
      if (layer.conv.switched) {
        const Unit& last = out.places[l].units.back();
        out.places[l].bits =
            take_of(environment, std::int64_t{last.bits + bit_words(last.words)} * config.lanes);
      }
    } else if (layer.pool.use_table) {
      const int entries = layer.pool.y.kernel * layer.pool.x.kernel;
      out.places[l].table_words = ceil_div(entries * 4, config.lanes);
      out.places[l].table = take(std::int64_t{out.places[l].table_words} * config.lanes);
    }
  }
  out.environment_bytes = static_cast<std::uint32_t>(environment);
  out.bytes.assign(static_cast<std::size_t>(size), 0);
  if (layout.maskable) {
    std::vector<std::uint8_t> table;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      isa::encode(dense_row(layers[l], out.places[l], config.lanes), table);
    }
    std::copy(table.begin(), table.end(), out.bytes.begin());
  }
  for (std::size_t l = 0; l < layers.size(); ++l)
    std::ranges::copy(weights[l], out.bytes.begin() + out.places[l].weights);
  put_scales(graph, layers, layout, out.places, out.bytes);
  return out;
}

void put_scales(const ir::QuantGraph& graph, const std::vector<Layer>& layers, const Layout& layout,
                const std::vector<ConstantPlaces>& places, std::vector<std::uint8_t>& bytes) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Layer& layer = layers[l];
    if (!layer.is_pool()) {
      put_params(graph, layout, layer, bytes.data() + places[l].clean);
    } else if (layer.pool.use_table) {
      const float sx = at(graph.tensors, layer.nodes.input).quant.scale;
      const float sy = at(graph.tensors, layer.nodes.output).quant.scale;
      std::uint8_t* target = bytes.data() + places[l].table;
      for (int rows = 1; rows <= layer.pool.y.kernel; ++rows) {
        for (int cols = 1; cols <= layer.pool.x.kernel; ++cols) {
          const float multiplier = ir::pool_multiplier(sx, sy, rows * cols);
          std::memcpy(target + 4 * ((rows - 1) * layer.pool.x.kernel + cols - 1), &multiplier, 4);
        }
      }
    }
  }
}

}  // namespace espalier::compiler
