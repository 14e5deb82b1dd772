#include "compiler/steps.hpp"

#include <algorithm>

#include "compiler/cost.hpp"

namespace espalier::compiler {
namespace {

bool overlap(const Span& a, const Span& b) { return a.low < b.high && b.low < a.high; }

struct Tile {
  Span rows, cols;
};

std::vector<Tile> tiles_of(const Axis& y, const Axis& x, int rows, int cols) {
  std::vector<Tile> list;
  for (int r = 0; r < y.out; r += rows) {
    for (int c = 0; c < x.out; c += cols) {
      list.push_back({{r, std::min(r + rows, y.out)}, {c, std::min(c + cols, x.out)}});
    }
  }
  return list;
}

class Builder {
 public:
  Builder(const std::vector<Layer>& layers, const Layout& layout, const isa::Config& config,
          const Span& some)
      : layers_(layers), layout_(layout), config_(config), some_(some) {}

  Schedule run() {
    schedule_.writes.resize(layout_.roots.size());
    schedule_.by_layer.resize(layers_.size());
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      layer_ = static_cast<int>(l);
      if (layer_ < some_.low || layer_ >= some_.high) continue;
      if (layers_[l].is_pool()) {
        pool(layers_[l]);
      } else {
        conv(layers_[l]);
      }
      record(layers_[l]);
    }
    return std::move(schedule_);
  }

 private:
  [[nodiscard]] const Spot& spot(int tensor) const { return at(layout_.spots, tensor); }
  [[nodiscard]] const Root& root_of(int tensor) const {
    return at(layout_.roots, spot(tensor).root);
  }

  int add(Piece piece) {
    piece.layer = layer_;
    if (piece.root >= 0) find_needs(piece);
    schedule_.pieces.push_back(std::move(piece));
    return static_cast<int>(schedule_.pieces.size()) - 1;
  }

  /// The last step of each layer that writes into what the piece reads.
  void find_needs(Piece& piece) const {
    for (const Write& write : at(schedule_.writes, piece.root)) {
      if (!overlap(write.rows, piece.rows) || !overlap(write.blocks, piece.blocks) ||
          !overlap(write.cols, piece.cols)) {
        continue;
      }
      if (piece.needs.empty() || piece.needs.back().layer != write.layer) {
        piece.needs.push_back({write.layer, write.step});
      } else {
        piece.needs.back().step = write.step;  // writes stand in the order of steps
      }
    }
  }

  /// The blocks that a piece depends on. Where a mask may shorten the segments of a concatenation,
  /// a block holds what comes from its own dense one or from a later one.
  [[nodiscard]] Span sources(const Spot& spot, Span blocks) const {
    if (layout_.maskable && spot.channels.starts.size() > 1) {
      blocks.high = spot.block + spot.channels.blocks;
    }
    return blocks;
  }
  [[nodiscard]] Transfer transfer(int x, int y, std::int64_t y_stride, int z,
                                  std::int64_t z_stride) const {
    return (layout_.maskable ? merge_rows : merge)(x, y, y_stride, z, z_stride);
  }

  /// The input of a tile; of a copy that of one group.
  Piece conv_tile(const Layer& layer, const Tile& tile, const Chunk& chunk, int group) const {
    const ConvGeometry& g = layer.conv;
    const Spot& source = spot(layer.nodes.input);
    const Root& root = root_of(layer.nodes.input);
    const Reach ry = reach(g.y, tile.rows.low, tile.rows.size(), chunk.ky.low, chunk.ky.size());
    const Span& kb = chunk.tile_kb;
    const Reach rx =
        reach(g.x, tile.cols.low, tile.cols.size(), chunk.tile_kx.low, chunk.tile_kx.size());
    Piece piece;
    piece.root = source.root;
    piece.in_rows = ry.pixels.size();
    piece.in_cols = rx.pixels.size();
    piece.iy0 = ry.origin;
    piece.ix0 = rx.origin;
    piece.pitch = piece.in_cols;
    piece.plane = piece.in_rows * piece.in_cols;
    // Blocks that are read together lie in different banks.
    piece.skip = chunk.second == Second::kBlock && piece.plane % 2 == 0;
    piece.plane += piece.skip ? 1 : 0;
    piece.words = piece.plane * kb.size();
    piece.k0 = kb.low;
    // Of a flat or packed input a mask leaves all: its k blocks are no channel blocks.
    piece.transfer =
        piece.skip ? merge_rows(piece.in_cols, piece.in_rows, g.row_words, kb.size(), g.block_words)
        : g.flat || g.relay.active()
            ? merge(piece.in_cols, piece.in_rows, g.row_words, kb.size(), g.block_words)
            : transfer(piece.in_cols, piece.in_rows, g.row_words, kb.size(), g.block_words);
    const std::int64_t image = std::int64_t{root.h} * root.w;  // unused where the input is relaid
    const Span blocks = g.diagonal ? Span{group, group + 1} : kb;
    piece.first_word = source.block * image + g.first_word +
                       std::int64_t{blocks.low} * g.block_words +
                       std::int64_t{ry.pixels.low} * g.row_words + rx.pixels.low;
    if (g.flat) {
      const int pixels = root.h * root.w;
      piece.rows = {0, root.h};
      piece.cols = {0, root.w};
      piece.blocks = {source.block + kb.low / pixels, source.block + (kb.high - 1) / pixels + 1};
    } else {
      piece.rows = {g.row_first + ry.pixels.low * g.row_step,
                    g.row_first + (ry.pixels.high - 1) * g.row_step + 1};
      piece.cols = rx.pixels;
      piece.blocks = sources(source, {source.block + blocks.low, source.block + blocks.high});
    }
    return piece;
  }

  Piece operand(const Layer& layer, const Tile& tile, const Span& blocks) const {
    const Spot& source = spot(layer.nodes.operand);
    const Root& root = root_of(layer.nodes.operand);
    Piece piece;
    piece.kind = PieceKind::kOperand;
    piece.root = source.root;
    piece.rows = tile.rows;
    piece.cols = tile.cols;
    piece.n0 = blocks.low;
    piece.blocks = sources(source, {source.block + blocks.low, source.block + blocks.high});
    piece.words = tile.rows.size() * tile.cols.size() * blocks.size();
    piece.transfer = transfer(tile.cols.size(), tile.rows.size(), root.w, blocks.size(),
                              std::int64_t{root.h} * root.w);
    piece.first_word =
        (std::int64_t{piece.blocks.low} * root.h + tile.rows.low) * root.w + tile.cols.low;
    return piece;
  }

  void conv(const Layer& layer) {
    const ConvGeometry& g = layer.conv;
    const ConvPlan& plan = layer.conv_plan;
    const std::vector<Tile> tiles = tiles_of(g.y, g.x, plan.rows, plan.cols);
    const int groups = ceil_div(g.nb, plan.nb);
    const int n_tiles = static_cast<int>(tiles.size());
    const int n_chunks = static_cast<int>(layer.chunks.size());
    std::vector<int> held(plan.hold ? static_cast<std::size_t>(n_tiles) * n_chunks : 0, -1);
    auto& steps = at(schedule_.by_layer, layer_);
    for (int outer = 0; outer < (plan.by_group ? groups : n_tiles); ++outer) {
      for (int inner = 0; inner < (plan.by_group ? n_tiles : groups); ++inner) {
        const int t = plan.by_group ? inner : outer;
        const int group = plan.by_group ? outer : inner;
        int operand_piece = -1;
        for (int k = 0; k < n_chunks; ++k) {
          const Tile& tile = at(tiles, t);
          const Chunk& chunk = at(layer.chunks, k);
          Step step;
          step.layer = layer_;
          step.tile = t;
          step.group = group;
          step.chunk = k;
          step.rows = tile.rows;
          step.cols = tile.cols;
          step.blocks = {group * plan.nb, std::min((group + 1) * plan.nb, g.nb)};
          if (chunk.shares) {
            step.piece = steps.back().piece;
          } else if (plan.hold) {
            int& piece = at(held, t * n_chunks + k);
            if (piece < 0) piece = add(conv_tile(layer, tile, chunk, group));
            step.piece = piece;
          } else {
            Piece piece = conv_tile(layer, tile, chunk, group);
            piece.n0 = step.blocks.low;
            step.piece = add(std::move(piece));
          }
          step.first = k == 0;
          step.last = k + 1 == n_chunks;
          // A mask may end the sum with any chunk: each then has what comes after it.
          const bool ends = step.last || layout_.maskable;
          if (g.add && ends) {
            if (operand_piece < 0) operand_piece = add(operand(layer, tile, step.blocks));
            step.operand = operand_piece;
          }
          const bool first_tile = t == 0, last_tile = t + 1 == n_tiles;
          step.load_weights = !plan.weights_stay || first_tile;
          step.release_weights = !plan.weights_stay || last_tile;
          step.load_params =
              (layout_.maskable ? step.first : step.last) && (!plan.params_stay || first_tile);
          step.release_params = ends && (!plan.params_stay || last_tile);
          step.gap_first = first_tile;
          step.gap_last = last_tile;
          step.stores = step.last && (!g.gap || last_tile);
          const int pixels = tile.rows.size() * tile.cols.size();
          const double compute =
              double{1.0} * chunk.passes() * step.blocks.size() * pass_cycles(config_, pixels) +
              kTiming.conv_overhead;
          const double post =
              step.last ? double{1.0} * pixels * step.blocks.size() * post_cycles(config_) : 0;
          step.cycles = std::max(compute, post);
          steps.push_back(step);
        }
      }
    }
  }

  void pool(const Layer& layer) {
    const PoolGeometry& g = layer.pool;
    const PoolPlan& plan = layer.pool_plan;
    const Spot& source = spot(layer.nodes.input);
    const Root& root = root_of(layer.nodes.input);
    int table = -1;
    if (g.use_table) {
      Piece piece;
      piece.kind = PieceKind::kPoolTable;
      table = add(piece);
    }
    auto& steps = at(schedule_.by_layer, layer_);
    for (const Tile& tile : tiles_of(g.y, g.x, plan.rows, plan.cols)) {
      for (int block = 0; block < g.blocks; block += plan.blocks) {
        Step step;
        step.layer = layer_;
        step.rows = tile.rows;
        step.cols = tile.cols;
        step.blocks = {block, std::min(block + plan.blocks, g.blocks)};
        step.table = table;
        const Reach ry = reach(g.y, tile.rows.low, tile.rows.size(), 0, g.y.kernel);
        const Reach rx = reach(g.x, tile.cols.low, tile.cols.size(), 0, g.x.kernel);
        Piece piece;
        piece.kind = PieceKind::kPoolTile;
        piece.root = source.root;
        piece.rows = ry.pixels;
        piece.cols = rx.pixels;
        piece.n0 = step.blocks.low;
        piece.blocks =
            sources(source, {source.block + step.blocks.low, source.block + step.blocks.high});
        piece.in_rows = ry.pixels.size();
        piece.in_cols = rx.pixels.size();
        piece.iy0 = ry.origin;
        piece.ix0 = rx.origin;
        piece.pitch = piece.in_cols;
        piece.plane = piece.in_rows * piece.in_cols;
        piece.words = piece.plane * step.blocks.size();
        piece.transfer = transfer(piece.in_cols, piece.in_rows, root.w, step.blocks.size(),
                                  std::int64_t{root.h} * root.w);
        piece.first_word =
            (std::int64_t{piece.blocks.low} * root.h + piece.rows.low) * root.w + piece.cols.low;
        step.piece = add(piece);
        step.cycles = double{1.0} * tile.rows.size() * tile.cols.size() * step.blocks.size() *
                          std::max(g.y.kernel * g.x.kernel, config_.lanes / config_.pool_lanes) +
                      kTiming.pool_overhead;
        steps.push_back(step);
      }
    }
  }

  /// Notes what the layer's steps write.
  void record(const Layer& layer) {
    const Spot& target = spot(layer.nodes.output);
    const auto& steps = at(schedule_.by_layer, layer_);
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const Step& step = steps[s];
      if (!step.stores) continue;
      Write write{layer_, static_cast<int>(s), {}, target.rows(step.rows), target.cols(step.cols)};
      write.blocks = {target.block + step.blocks.low, target.block + step.blocks.high};
      if (!layer.is_pool() && layer.conv.gap) {  // all of it
        write.rows = {0, root_of(layer.nodes.output).h};
        write.cols = {0, root_of(layer.nodes.output).w};
      }
      at(schedule_.writes, target.root).push_back(write);
    }
  }

  const std::vector<Layer>& layers_;
  const Layout& layout_;
  const isa::Config& config_;
  Span some_;
  Schedule schedule_;
  int layer_ = 0;
};

}  // namespace

Schedule make_steps(const std::vector<Layer>& layers, const Layout& layout,
                    const isa::Config& config, const Span& some) {
  return Builder(layers, layout, config, some).run();
}

}  // namespace espalier::compiler
