#pragma once
// Layers as lists of instructions to be: which tile, which weights, which pieces of the activation
// buffer; and one order of all of them.

#include <array>
#include <cstdint>
#include <vector>

#include "compiler/plan.hpp"

namespace espalier::compiler {

/// A layer with everything that was decided about it.
struct Layer {
  LayerNodes nodes;
  ConvGeometry conv;
  ConvPlan conv_plan;
  std::vector<Chunk> chunks;
  PoolGeometry pool;
  PoolPlan pool_plan;
  std::string name;
  [[nodiscard]] bool is_pool() const { return nodes.is_pool(); }
  [[nodiscard]] double cycles() const { return is_pool() ? pool_plan.cycles : conv_plan.cycles; }
};

inline constexpr Span kAllLayers{0, 1 << 30};

/// A step of another layer that must come first.
struct Need {
  int layer = 0, step = 0;
};

enum class PieceKind { kTile, kOperand, kPoolTile, kPoolTable };

/// What one LOAD brings into the activation buffer (or the pool table).
struct Piece {
  PieceKind kind = PieceKind::kTile;
  int layer = 0;
  int root = -1;
  Span blocks, rows, cols;  ///< of the root, for what it depends on
  Transfer transfer;
  std::int64_t first_word = 0;  ///< in the root
  int words = 0;
  int k0 = 0, n0 = 0;        ///< first k block, first n block that it serves, of the layer's own
  int plane = 0, pitch = 0;  ///< words from block to block and row to row in the buffer
  bool skip = false;         ///< of the plane the last word is left out
  int in_rows = 1, in_cols = 1, iy0 = 0, ix0 = 0;
  int first_step = -1, last_step = -1;  ///< of all layers' steps in order
  std::vector<Need> needs;
  int ready_step = -1;  ///< the last step that writes what it reads
};

/// One CONV or POOL, and its STORE.
struct Step {
  int layer = 0;
  int tile = 0, group = 0, chunk = 0;
  Span rows, cols, blocks;  ///< of the output; blocks of the layer's own
  int piece = -1, operand = -1, table = -1;
  bool first = true, last = true;  ///< chunks
  bool load_weights = false, release_weights = false;
  bool load_params = false, release_params = false;
  bool gap_first = true, gap_last = true;
  bool stores = true;
  double cycles = 0;  ///< on its engine
};

/// What a step writes, for those who wait for it.
struct Write {
  int layer = 0, step = 0;
  Span blocks, rows, cols;
};

struct Schedule {
  std::vector<Piece> pieces;
  std::vector<std::vector<Step>> by_layer;
  std::vector<std::vector<Write>> writes;  ///< by root, in the order of layers
  std::vector<Need> order;                 ///< all steps
  std::vector<std::vector<int>> global;    ///< [layer][step] to position in order
  std::vector<std::vector<int>> loads;     ///< pieces first used by each step of the order
};

/// Which convolutions may run while pools do: positions among the convolutions, inclusive.
struct PoolWindow {
  int layer = 0, from = 0, to = 0;
};
std::vector<PoolWindow> pool_windows(const std::vector<LayerNodes>& layers, const Layout& layout);

/// Lists every layer's steps and pieces, or those of some layers only: the others then have no
/// steps, and what they would store is there.
Schedule make_steps(const std::vector<Layer>& layers, const Layout& layout,
                    const isa::Config& config, const Span& some = kAllLayers);

/// How pools take their turn among the convolutions that they run beside.
struct Order {
  bool settle = false;  ///< a whole tile after the step that they need: the LOAD of a pool that
                        ///< waits for a STORE keeps all behind it
  bool spread = false;  ///< in even steps over the convolutions beside them
  bool operator==(const Order&) const = default;
};

/// Puts the steps of all layers in one order, pools among the convolutions that they run beside.
void merge_order(const std::vector<Layer>& layers, const std::vector<PoolWindow>& windows,
                 const Order& how, Schedule& schedule);

/// Gives every root of region 1 its offset. Returns the region's size. Errors: kCapacity.
Result<std::uint32_t> allocate(const Schedule& schedule, int lanes, Layout& layout);

/// For every root those whose memory it takes over, after allocate().
std::vector<std::vector<int>> predecessors(const Schedule& schedule, int lanes,
                                           const Layout& layout);

}  // namespace espalier::compiler
