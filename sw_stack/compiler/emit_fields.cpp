#include <algorithm>
#include <bit>

#include "compiler/emit.hpp"
#include "ir/numerics.hpp"

namespace espalier::compiler {
namespace {

std::uint32_t u(std::int64_t value) { return static_cast<std::uint32_t>(value); }
/// Steps through the buffer are added modulo 2^16.
std::uint32_t low16(std::int64_t value) { return static_cast<std::uint32_t>(value & 0xFFFF); }

isa::Region region_of(const Root& root) {
  if (root.is_input) return isa::Region::kInput;
  return root.is_output ? isa::Region::kOutput : isa::Region::kActivations;
}

template <typename Instruction>
void set_transfer(Instruction& out, const Root& root, std::int64_t first_word, const Transfer& t,
                  int lanes) {
  out.region = static_cast<std::uint32_t>(region_of(root));
  out.offset = u(root.offset + first_word * lanes);
  out.x_words = u(t.x);
  out.y_count = u(t.y);
  out.z_count = u(t.z);
  out.y_stride = u(t.y == 1 ? 0 : t.y_stride * lanes);
  out.z_stride = u(t.z == 1 ? 0 : t.z_stride * lanes);
}

/// The clip word of a transfer of activations that serves n blocks from `n0` on.
isa::Clip transfer_clip(const Transfer& t, isa::ClipShift shift, int n0) {
  isa::Clip clip;
  clip.cut = t.blocks ? 1 : 0;
  clip.need_n = 1;
  clip.shift = static_cast<std::uint32_t>(shift);
  clip.n0 = u(n0);
  clip.nb = t.blocks ? u(t.z) : 1;
  return clip;
}

/// The fields of a gate or a score; programs with them take no masks.
void set_product(const ir::QuantGraph& graph, const Layer& layer, const Step& step,
                 int operand_address, isa::Conv& conv) {
  conv.add = conv.product = 1;
  conv.add_base = u(operand_address);
  conv.add_shift = 13;  // unused, but 13 is the least
  if (layer.nodes.add >= 0) {
    const auto& gate = std::get<ir::QuantGate>(at(graph.nodes, layer.nodes.add).op);
    conv.add_zb = gate.low;
    conv.add_hi = gate.high;
    return;
  }
  const int zero = at(graph.tensors, layer.nodes.operand).quant.zero;
  conv.add_zb = conv.zy;
  conv.add_mb = u(-128 - zero) & ((1U << 22U) - 1);
  conv.gap = 1;
  conv.gap_first = step.gap_first ? 1 : 0;
  conv.gap_last = step.gap_last ? 1 : 0;
  conv.gap_scale = std::bit_cast<std::uint32_t>(1.0F);
}

}  // namespace

isa::Conv conv_fields(const ir::QuantGraph& graph, const Layer& layer, const Step& step,
                      const Piece& piece, int address, int operand_address, bool maskable) {
  const ConvGeometry& g = layer.conv;
  const Chunk& chunk = at(layer.chunks, step.chunk);
  const ir::QuantNode& node = at(graph.nodes, layer.nodes.conv);
  const auto& op = std::get<ir::QuantConv>(node.op);
  isa::Conv conv;
  conv.layer = u(step.layer);
  conv.first = step.first ? 1 : 0;
  conv.last = step.last ? 1 : 0;
  conv.zx = at(graph.tensors, layer.nodes.input).quant.zero;
  conv.act_base = u(address + (chunk.kb.low - chunk.tile_kb.low) * piece.plane);
  conv.plane = low16(std::int64_t{piece.plane} * (chunk.second == Second::kBlock ? 2 : 1));
  conv.row_pitch = low16(piece.pitch);
  conv.y_step = low16(std::int64_t{g.y.stride} * piece.pitch);
  conv.tap_step = low16(std::int64_t{g.y.dil} * piece.pitch);
  conv.iy0 = piece.iy0;
  conv.ix0 = piece.ix0 + (chunk.kx.low - chunk.tile_kx.low) * g.x.dil;
  conv.in_rows = u(piece.in_rows);
  conv.in_cols = u(piece.in_cols);
  conv.stride_y = u(g.y.stride);
  conv.stride_x = u(g.x.stride);
  conv.dil_y = u(g.y.dil);
  conv.dil_x = u(g.x.dil);
  conv.kh = u(chunk.ky.size());
  conv.kw = u(chunk.columns());
  conv.k_blocks = u(chunk.depth());
  if (chunk.second == Second::kBlock) {
    conv.fine = 1;
    conv.pair = low16(piece.plane);
  } else if (chunk.second == Second::kTap) {
    conv.fine = 1;
    conv.pair = conv.pair_cols = u(g.x.dil);
    conv.dil_x = u(chunk.columns() == 1 ? 1 : 2 * g.x.dil);
  }
  conv.n_blocks = u(step.blocks.size());
  conv.rows = u(step.rows.size());
  conv.cols = u(step.cols.size());
  const int zy = at(graph.tensors, node.output).quant.zero;
  conv.zy = zy;
  conv.lo = op.lo;
  conv.hi = op.hi;
  int sum_zero = zy;
  // A mask may end the sum with any chunk.
  const bool ends = step.last || maskable;
  if (layer.nodes.product(graph) && ends) {
    set_product(graph, layer, step, operand_address, conv);
    return conv;
  }
  if (layer.nodes.add >= 0 && ends) {
    const ir::QuantNode& add = at(graph.nodes, layer.nodes.add);
    const auto& residual = std::get<ir::QuantAdd>(add.op);
    sum_zero = at(graph.tensors, add.output).quant.zero;
    conv.add = 1;
    // Without an operand add_mb is 0: any word will do, and nothing waits for it.
    conv.add_base = u(g.add ? operand_address : address);
    conv.add_ma = layer.nodes.operand_first ? residual.mb : residual.ma;
    conv.add_mb = layer.nodes.operand_first ? residual.ma : residual.mb;
    conv.add_shift = u(residual.shift);
    conv.add_zb = g.add ? at(graph.tensors, layer.nodes.operand).quant.zero : 0;
    conv.add_zy = sum_zero;
    conv.add_lo = residual.lo;
    conv.add_hi = residual.hi;
  }
  if (g.gap && ends) {
    const ir::QuantNode& pool = at(graph.nodes, layer.nodes.gap);
    const ir::QuantTensor& x = at(graph.tensors, pool.inputs[0]);
    const ir::QuantTensor& y = at(graph.tensors, pool.output);
    conv.gap = 1;
    conv.gap_first = step.gap_first ? 1 : 0;
    conv.gap_last = step.gap_last ? 1 : 0;
    conv.gap_scale = std::bit_cast<std::uint32_t>(
        ir::pool_multiplier(x.quant.scale, y.quant.scale, x.shape.h * x.shape.w));
    conv.gap_zy = y.quant.zero;
  }
  if (maskable) {
    conv.clip = unit_clip(layer, step);
    conv.clip->need_k = conv.clip->need_n = 1;
    conv.clip->last_taps = chunk.ky.high == g.y.kernel && chunk.kx.high == g.x.kernel ? 1 : 0;
    const bool first_unit = step.chunk == 0 && (layer.conv_plan.by_group || step.group == 0);
    conv.clip->w_start = layer.conv_plan.weights_stay && first_unit ? 1 : 0;
  }
  return conv;
}

isa::Pool pool_fields(const ir::QuantGraph& graph, const Layer& layer, const Step& step,
                      const Piece& piece, int address, bool maskable) {
  const PoolGeometry& g = layer.pool;
  const ir::QuantNode& node = at(graph.nodes, layer.nodes.pool);
  const auto& op = std::get<ir::QuantPool>(node.op);
  const ir::QuantTensor& x = at(graph.tensors, layer.nodes.input);
  const ir::QuantTensor& y = at(graph.tensors, layer.nodes.output);
  isa::Pool pool;
  pool.layer = u(step.layer);
  pool.zx = x.quant.zero;
  pool.zy = y.quant.zero;
  pool.lo = op.lo;
  pool.hi = op.hi;
  pool.act_base = u(address);
  pool.plane = low16(piece.plane);
  pool.row_pitch = low16(piece.pitch);
  pool.y_step = low16(std::int64_t{g.y.stride} * piece.pitch);
  pool.iy0 = piece.iy0;
  pool.ix0 = piece.ix0;
  pool.in_rows = u(piece.in_rows);
  pool.in_cols = u(piece.in_cols);
  pool.stride_y = u(g.y.stride);
  pool.stride_x = u(g.x.stride);
  pool.kh = u(g.y.kernel);
  pool.kw = u(g.x.kernel);
  pool.blocks = u(step.blocks.size());
  pool.rows = u(step.rows.size());
  pool.cols = u(step.cols.size());
  float scale = 1.0F;
  if (op.kind == ir::PoolKind::kAverage) {
    pool.average = 1;
    pool.use_table = g.use_table ? 1 : 0;
    const ir::Window& w = op.window;
    const bool padded = op.count_include_pad;
    const auto field = [](int value) { return std::clamp(value, -8192, 8191); };
    pool.cy_lo = field((padded ? -w.pad_top : 0) - piece.rows.low);
    pool.cy_hi = field(x.shape.h + (padded ? w.pad_bottom : 0) - piece.rows.low);
    pool.cx_lo = field((padded ? -w.pad_left : 0) - piece.cols.low);
    pool.cx_hi = field(x.shape.w + (padded ? w.pad_right : 0) - piece.cols.low);
    // Without a table all windows of this instruction divide by the same count.
    scale = ir::pool_multiplier(x.quant.scale, y.quant.scale,
                                ir::pool_count(w, padded, x.shape, step.rows.low, step.cols.low));
  }
  if (maskable) {
    pool.clip.emplace();
    pool.clip->n0 = u(step.blocks.low);
    pool.clip->nb = pool.blocks;
    pool.clip->need_n = 1;
  }
  pool.scale = g.use_table ? 0 : std::bit_cast<std::uint32_t>(scale);
  return pool;
}

isa::Store store_fields(const Layer& layer, const Layout& layout, const Step& step, int lanes) {
  const Spot& target = at(layout.spots, layer.nodes.output);
  const Root& root = at(layout.roots, target.root);
  isa::Store store;
  store.layer = u(step.layer);
  store.source = static_cast<std::uint32_t>(layer.is_pool() ? isa::StoreSource::kPool
                                                            : isa::StoreSource::kPost);
  const bool summed = !layer.is_pool() && layer.conv.gap;
  const Span rows = summed ? Span{0, root.h} : target.rows(step.rows);
  const Span cols = summed ? Span{0, root.w} : target.cols(step.cols);
  const std::int64_t image = std::int64_t{root.h} * root.w;
  const std::int64_t first =
      (target.block + step.blocks.low) * image + std::int64_t{rows.low} * root.w + cols.low;
  Transfer t = (layout.maskable ? merge_rows : merge)(cols.size(), rows.size(), root.w,
                                                      step.blocks.size(), image);
  if (target.strided()) {
    ESP_CHECK(step.blocks.size() == 1);
    const std::int64_t row = std::int64_t{target.pitch_y} * root.w;
    t = target.pitch_x == 1
            ? Transfer{step.cols.size(), step.rows.size(), 1, row, 0, false}
            : Transfer{1, step.cols.size(), step.rows.size(), target.pitch_x, row, false};
  }
  set_transfer(store, root, first, t, lanes);
  if (layout.maskable) {
    store.clip = transfer_clip(t, isa::ClipShift::kOut, step.blocks.low);
  }
  return store;
}

isa::Load load_fields(const Layout& layout, const ConstantPlaces& places, const Piece& piece,
                      int address, int lanes) {
  isa::Load load;
  load.layer = u(piece.layer);
  load.sram_address = u(address);
  if (piece.kind == PieceKind::kPoolTable) {
    load.target = static_cast<std::uint32_t>(isa::LoadTarget::kPoolTable);
    load.offset = places.table;
    load.x_words = u(places.table_words);
    return load;
  }
  set_transfer(load, at(layout.roots, piece.root), piece.first_word, piece.transfer, lanes);
  load.skip = piece.skip ? 1 : 0;
  if (layout.maskable) {
    const bool operand = piece.kind == PieceKind::kOperand;
    load.clip = transfer_clip(piece.transfer,
                              operand ? isa::ClipShift::kOperand : isa::ClipShift::kIn, piece.n0);
    if (piece.kind == PieceKind::kTile && piece.transfer.blocks) {
      load.clip->by_k = load.clip->need_k = 1;
      load.clip->k0 = u(piece.k0);
      load.clip->kc = u(piece.transfer.z);
      load.clip->nb = 1;  // a nop where the first of its group is not live
    }
  }
  return load;
}

}  // namespace espalier::compiler
