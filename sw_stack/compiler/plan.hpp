#pragma once
// Tiles of layers: what the search chooses, and the search.

#include <cstdint>
#include <vector>

#include "compiler/compiler.hpp"
#include "compiler/geometry.hpp"

namespace espalier::compiler {

/// A part of a convolution's sum: taps and k blocks of one CONV.
struct Chunk {
  Span ky, kx, kb;
  Second second = Second::kNone;
  Span tile_kx, tile_kb;  ///< taps and blocks that its tile in the activation buffer serves
  bool shares = false;    ///< which is that of the chunk before
  /// Passes: columns of taps, taps, blocks or pairs of them, all.
  [[nodiscard]] int columns() const { return kx.size() / (second == Second::kTap ? 2 : 1); }
  [[nodiscard]] int taps() const { return ky.size() * columns(); }
  [[nodiscard]] int depth() const { return kb.size() / (second == Second::kBlock ? 2 : 1); }
  [[nodiscard]] int passes() const { return taps() * depth(); }
};

struct ConvPlan {
  int rows = 1, cols = 1;          ///< output pixels of a tile
  int nb = 1;                      ///< n blocks of a group
  int kc = 1;                      ///< k blocks of a chunk
  int tap_rows = 1, tap_cols = 1;  ///< taps of a chunk
  bool fine = false;               ///< chunks of all taps are fine
  bool by_group = false;           ///< for group: for tile; otherwise for tile: for group
  bool hold = false;               ///< a tile's pieces stay until the last group has read them
  bool weights_stay = false;  ///< loaded once (by group: once a group); otherwise for every CONV
  bool tapwise = false;       ///< weights are given back tap by tap
  bool params_stay = false;   ///< parameters are loaded once; otherwise for every CONV with `last`
  int budget = 0;             ///< words of the activation buffer that the layer may use
  int slot_words = 0, slots = 0;             ///< tiles in the activation buffer, from word 0
  int operand_words = 0, operand_slots = 0;  ///< residual operands, at the budget's end
  std::int64_t kept_words = 0;               ///< of the weight ring at once
  double cycles = 0;                         ///< what the search's costs add up to
  double masked = 0;  ///< the same with a half and with a third of the blocks; 0 without masks
  [[nodiscard]] int tile_words() const { return rows * cols * nb; }
  bool operator==(const ConvPlan&) const = default;
};

struct PoolPlan {
  int rows = 1, cols = 1, blocks = 1;
  int base = 0;  ///< first word of the pool's part of the activation buffer
  int slot_words = 0, slots = 0;
  double cycles = 0;
  bool operator==(const PoolPlan&) const = default;
};

/// All chunks of a convolution, in order.
std::vector<Chunk> chunks(const ConvGeometry& geometry, const ConvPlan& plan);

/// Words of the activation buffer that a pool needs for two outputs at once.
int pool_least_words(const PoolGeometry& geometry);

/// Chooses tiles. `budget` words of the activation buffer are the layer's; `place` names the layer.
/// Errors: kCapacity where nothing fits.
Result<ConvPlan> plan_conv(const ConvGeometry& geometry, const isa::Config& config, int budget,
                           const Options& options, const std::string& place);
/// The cheapest tiles of every size, cheapest first: the first is plan_conv's.
Result<std::vector<ConvPlan>> plan_choices(const ConvGeometry& geometry, const isa::Config& config,
                                           int budget, const Options& options,
                                           const std::string& place);
/// The same for a pool, whose part of the buffer begins at `base`.
Result<std::vector<PoolPlan>> plan_pool(const PoolGeometry& geometry, const isa::Config& config,
                                        int base, const Options& options, const std::string& place);

/// The best lanes for the input of a first convolution. Errors: those of conv_geometry; kCapacity
/// where nothing fits and the host must write the padding.
Result<Relay> choose_relay(const ir::QuantGraph& graph, const Layout& layout,
                           const LayerNodes& layer, const isa::Config& config, int budget,
                           const Options& options);

/// Chooses the candidate of least cost, or a random one: call `offer` for each that fits.
class Chooser {
 public:
  Chooser(const Options& options, std::uint64_t salt)
      : state_(options.vary == 0 ? 0 : options.vary ^ (salt * 0x9E3779B97F4A7C15ULL) ^ 1U) {}
  /// True where this candidate is to be kept.
  bool offer(double cost);
  [[nodiscard]] bool any() const { return count_ > 0; }

 private:
  std::uint64_t state_;
  std::uint64_t count_ = 0;
  double best_ = 0;
};

/// Distinct values of ceil(n / i), largest first, none above `limit`.
std::vector<int> shares(int n, int limit);

}  // namespace espalier::compiler
