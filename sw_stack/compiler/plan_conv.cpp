#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "compiler/cost.hpp"
#include "isa/instruction.hpp"
#include "compiler/plan.hpp"

namespace espalier::compiler {
namespace {

constexpr int kMaxKernel = 11, kMaxBlocks = 255, kMaxKBlocks = 4095, kMaxTile = 4095;
constexpr int kMaxSpan = 4096;  // input rows or columns of a tile: window positions take 14 bits
constexpr int kMaxSlots = 64;
constexpr std::int64_t kMaxRun = 65535;  // words of a LOAD's row
constexpr int kStepWords = 10;           // instruction words of a step: CONV, STORE, LOADs
constexpr int kOperandSlots = 12;
constexpr int kStepDecode = 25;       // cycles that an empty step takes
constexpr double kMaskWeight = 0.05;  // of the cost with fewer blocks
constexpr double kIndexed = 1.25;     // words loaded for a word of fine weights
constexpr double kSelected = 2.25;    // of selected ones, with their bits
constexpr double kMasked = 1.125;     // for a word of others that have bits
// Choices for the search over whole programs: how many, and how much more they may cost.
constexpr int kMostChoices = 16;
constexpr double kWorstChoice = 1.3, kSlack = 1000;

/// Sums over a layer's tiles along one axis.
struct AxisTiles {
  int count = 0;
  int largest = 0;          ///< input pixels of the largest tile
  std::int64_t pixels = 0;  ///< input pixels of all tiles
  int last = 0;             ///< outputs of the last tile
  bool fits = true;
};

AxisTiles tiles_along(const Axis& axis, int step, int taps) {
  AxisTiles out;
  for (int o = 0; o < axis.out; o += step) {
    const int size = std::min(step, axis.out - o);
    const Reach r = reach(axis, o, size, 0, taps);
    ++out.count;
    out.largest = std::max(out.largest, r.pixels.size());
    out.pixels += r.pixels.size();
    out.last = size;
  }
  // Chunks of later taps may reach further into the image than the first does.
  if (taps < axis.kernel) {
    out.largest = std::min(axis.in, (step - 1) * axis.stride + (taps - 1) * axis.dil + 1);
  }
  const std::int64_t span = std::int64_t{step - 1} * axis.stride + (axis.kernel - 1) * axis.dil + 1;
  out.fits = span + axis.pad <= 2 * kMaxSpan && out.largest <= 2 * kMaxSpan - 1 && step <= kMaxTile;
  return out;
}

class Search {
 public:
  Search(const ConvGeometry& g, const isa::Config& config, int budget, const Options& options)
      : g_(g),
        fine_(g.fine),
        config_(config),
        budget_(budget),
        maskable_(options.maskable),
        chooser_(options,
                 static_cast<std::uint64_t>(g.kb) * 131 + g.nb * 31 + g.y.out * 7 + g.taps()) {}

  /// Tries every tile with chunks of so many taps.
  void run(int tap_rows, int tap_cols) {
    tap_rows_ = tap_rows;
    tap_cols_ = tap_cols;
    g_.fine = fine_ && tap_rows == g_.y.kernel && tap_cols == g_.x.kernel;
    tap_chunks_ = ceil_div(g_.y.kernel, tap_rows) * ceil_div(g_.x.kernel, tap_cols);
    const std::vector<int> all_cols = shares(g_.x.out, config_.acc_words);
    std::vector<AxisTiles> along_x;
    for (const int cols : all_cols) along_x.push_back(tiles_along(g_.x, cols, tap_cols));
    for (const int rows : shares(g_.y.out, config_.acc_words)) {
      const AxisTiles ty = tiles_along(g_.y, rows, tap_rows);
      if (!ty.fits) continue;
      for (std::size_t i = 0; i < all_cols.size(); ++i) {
        if (!along_x[i].fits || std::int64_t{rows} * all_cols[i] > config_.acc_words) continue;
        pixels(rows, all_cols[i], ty, along_x[i]);
      }
    }
  }

  [[nodiscard]] bool found() const { return chooser_.any(); }
  [[nodiscard]] const ConvPlan& best() const { return best_; }
  /// The best, and the cheapest of the other sizes that cost not much more: of every size of tile
  /// and of weights, and so many in all.
  [[nodiscard]] std::vector<ConvPlan> choices() const {
    struct Choice {
      double cost;
      const ConvPlan* plan;
      bool first;  // of its tile's size, or of its weights'
    };
    std::vector<Choice> list;
    for (const auto& [size, choice] : by_size_) {
      const ConvPlan& plan = choice.second;
      if (plan == best_ || plan.cycles > kWorstChoice * best_.cycles + kSlack) continue;
      bool tile = true, weights = true;
      for (const auto& [rival, other] : by_size_) {
        if (other.first >= choice.first) continue;
        tile = tile && rival.first != size.first;
        weights = weights && rival.second != size.second;
      }
      list.push_back({choice.first, &plan, tile || weights});
    }
    std::ranges::stable_sort(list, {}, [](const Choice& c) { return std::pair(!c.first, c.cost); });
    list.resize(std::min<std::size_t>(list.size(), kMostChoices - 1));
    std::ranges::stable_sort(list, {}, &Choice::cost);
    std::vector<ConvPlan> out{best_};
    for (const Choice& choice : list) out.push_back(*choice.plan);
    return out;
  }

 private:
  void pixels(int rows, int cols, const AxisTiles& ty, const AxisTiles& tx) {
    const std::int64_t area = tile_area(ty, tx);
    if (area > budget_) return;
    const int limit =
        std::min({config_.acc_words / (rows * cols), kMaxBlocks, config_.param_blocks / 2});
    const bool whole = ty.count == 1 && tx.count == 1;
    for (const int nb : shares(g_.nb, (g_.gap && !whole) || g_.by_block() ? 1 : limit)) {
      const std::int64_t fit = ring_words() /
                               (std::int64_t{nb} * config_.lanes * tap_rows_ * tap_cols_) *
                               (g_.fine ? 2 : 1);
      const int most = static_cast<int>(std::min<std::int64_t>({kMaxKBlocks, budget_ / area, fit}));
      if (most == 0) continue;
      const bool bound_by_weights = rows * cols <= config_.lanes;
      for (const int kc : chunk_depths(most, fit, bound_by_weights)) {
        ConvPlan plan;
        plan.rows = rows;
        plan.cols = cols;
        plan.nb = nb;
        plan.kc = kc;
        plan.tap_rows = tap_rows_;
        plan.tap_cols = tap_cols_;
        plan.fine = g_.fine;
        for (const bool by_group : {false, true}) {
          if (!by_group && g_.gap && !whole) continue;
          if (by_group && whole) continue;
          plan.by_group = by_group;
          for (const bool hold : {true, false}) {
            plan.hold = hold;
            for (const bool stay : {true, false}) {
              plan.weights_stay = stay;
              for (const bool tapwise : {false, true}) {
                plan.tapwise = tapwise;
                evaluate(plan, ty, tx, area);
              }
            }
          }
        }
      }
    }
  }

  /// Sizes of k chunks to try: the largest that fit, the largest that leave the weight ring room
  /// for the next, and where `small` those that are there soon. `fit`: of which the ring holds one.
  [[nodiscard]] std::vector<int> chunk_depths(int most, std::int64_t fit, bool small) const {
    constexpr std::size_t kTried = 6;
    std::vector<int> list;
    for (const std::int64_t part : {1, 2, 8}) {
      const int limit = static_cast<int>(std::min<std::int64_t>(most, fit / part));
      if (limit == 0 || (part > 2 && !small)) break;
      if (!list.empty() && limit >= list.back()) continue;
      std::vector<int> more = shares(g_.kb, limit);
      if (more.size() > kTried) more.resize(kTried);
      list.insert(list.end(), more.begin(), more.end());
    }
    if (g_.fine) {  // blocks two by two, but for the last
      for (int& depth : list) depth -= depth < g_.kb ? depth % 2 : 0;
      std::erase(list, 0);
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }
    return list;
  }

  /// Words of a k block of the largest tile in the activation buffer.
  [[nodiscard]] std::int64_t tile_area(const AxisTiles& ty, const AxisTiles& tx) const {
    const std::int64_t area = std::int64_t{ty.largest} * tx.largest;
    return g_.fine && g_.kb > 1 ? area | 1 : area;
  }
  /// Words of the weight ring that CONVs may count on.
  [[nodiscard]] std::int64_t ring_words() const {
    isa::Conv conv;
    conv.fine = g_.fine ? 1 : 0;
    return static_cast<std::int64_t>(isa::ring_limit(conv, config_));
  }
  /// Passes of a chunk of so many k blocks.
  [[nodiscard]] std::int64_t chunk_passes(int kc) const {
    return g_.fine ? g_.passes(kc) : std::int64_t{tap_rows_} * tap_cols_ * kc;
  }

  void evaluate(ConvPlan plan, const AxisTiles& ty, const AxisTiles& tx, std::int64_t area) {
    const int L = config_.lanes;
    const int tiles = ty.count * tx.count;
    const int groups = ceil_div(g_.nb, plan.nb);
    const int k_chunks = ceil_div(g_.kb, plan.kc);
    const int n_chunks = k_chunks * tap_chunks_;
    if (maskable_) {  // docs/pack.md, section 7
      const std::int64_t block_words = std::int64_t{L} * g_.taps() * g_.kb;
      if (plan.tapwise ? plan.weights_stay : tap_chunks_ > 1 || block_words > kMaxRun) return;
    }
    // With one group there is nothing to hold, and copies read nothing twice.
    if (plan.hold && (groups == 1 || g_.diagonal)) return;
    // Activation buffer.
    plan.budget = budget_;
    plan.slot_words = static_cast<int>(area) * plan.kc;
    plan.operand_words = g_.add ? plan.nb * plan.rows * plan.cols : 0;
    const int need = plan.hold ? (plan.by_group ? tiles * n_chunks : n_chunks) : 1;
    const int enough = plan.by_group && plan.hold ? need : 2 * need;
    share_buffer(plan, 2 * enough, 2);
    if (plan.slots < 2 * enough) share_buffer(plan, enough, 1);
    if (plan.slots < need || (g_.add && plan.operand_slots < 1)) return;
    plan.slots = std::min(plan.slots, std::max(kMaxSlots, need));
    // Weight ring.
    const std::int64_t layer_words = std::int64_t{g_.nb} * L * g_.passes(g_.kb);
    const std::int64_t group_words = std::int64_t{plan.nb} * L * g_.passes(g_.kb);
    const std::int64_t unit_words = std::int64_t{plan.nb} * L * chunk_passes(plan.kc);
    const std::int64_t kept = !plan.weights_stay ? unit_words
                              : plan.by_group    ? group_words
                                                 : layer_words;
    if (kept > ring_words()) return;
    if (g_.switched && g_.fine) {  // without an environment all weights go through the ring
      const std::int64_t row = std::int64_t{g_.taps()} * g_.kb;
      const std::int64_t all = !plan.weights_stay
                                   ? std::int64_t{plan.nb} * L * tap_rows_ * tap_cols_ * plan.kc
                               : plan.by_group ? std::int64_t{plan.nb} * L * row
                                               : std::int64_t{g_.nb} * L * row;
      if (all > config_.weight_words) return;
    }
    plan.kept_words = kept + config_.weight_words - ring_words();  // words of indices come and go
    plan.params_stay = plan.by_group || g_.nb <= config_.param_blocks / 2;

    plan.cycles = cycles(plan, ty, tx, g_.kb, g_.nb, enough);
    plan.masked = 0;
    double cost = plan.cycles + 0.02 * reads_;
    if (maskable_) {
      // What the same tile costs with fewer blocks: a little of it decides between equals.
      const bool whole_input = g_.flat || g_.relay.active();
      for (const int part : {2, 3}) {
        const int kb = whole_input ? g_.kb : ceil_div(g_.kb, part);
        plan.masked += cycles(plan, ty, tx, kb, ceil_div(g_.nb, part), enough);
      }
      cost += kMaskWeight * plan.masked;
    }
    if (chooser_.offer(cost)) best_ = plan;
    note(plan, cost);
  }

  /// Keeps the cheapest of each size: words of accumulators and of the weight ring, to a power
  /// of 2.
  void note(const ConvPlan& plan, double cost) {
    const Size size{std::bit_width(static_cast<unsigned>(plan.tile_words() - 1)),
                    std::bit_width(static_cast<std::uint64_t>(plan.kept_words - 1))};
    const auto [it, added] = by_size_.try_emplace(size, cost, plan);
    if (!added && cost < it->second.first) it->second = {cost, plan};
  }

  /// Cycles of a plan's tiles where so many blocks are live; sets reads_.
  double cycles(const ConvPlan& plan, const AxisTiles& ty, const AxisTiles& tx, int kb, int nb,
                int enough) {
    const int L = config_.lanes;
    const std::int64_t area = tile_area(ty, tx);
    const int tiles = ty.count * tx.count;
    const int groups = ceil_div(nb, plan.nb);
    const int n_chunks = ceil_div(kb, plan.kc) * tap_chunks_;
    const int first_nb = std::min(nb, plan.nb), first_kc = std::min(kb, plan.kc);
    const std::int64_t layer_words = std::int64_t{nb} * L * g_.passes(kb);
    const std::int64_t unit_words = std::int64_t{first_nb} * L * chunk_passes(first_kc);
    const std::int64_t kept = !plan.weights_stay ? unit_words
                              : plan.by_group    ? std::int64_t{first_nb} * L * g_.passes(kb)
                                                 : layer_words;
    const int p = plan.rows * plan.cols;
    const auto passes = [&](int rows, int cols) { return pass_cycles(config_, rows * cols); };
    const std::int64_t tile_cycles =
        std::int64_t{ty.count - 1} * (tx.count - 1) * passes(plan.rows, plan.cols) +
        std::int64_t{ty.count - 1} * passes(plan.rows, tx.last) +
        std::int64_t{tx.count - 1} * passes(ty.last, plan.cols) + passes(ty.last, tx.last);
    const double steps = static_cast<double>(tiles) * groups * n_chunks;
    const double compute =
        static_cast<double>(tile_cycles) * g_.passes(kb) * nb + steps * kTiming.conv_overhead;
    const double words_out = static_cast<double>(nb) * g_.pixels();
    const double post = words_out * post_cycles(config_);
    const double act =
        load_cycles(plan, ty, tx, kb) * (plan.hold || groups == 1 ? 1 : groups) * tap_chunks_;
    const double unit_rate = weight_cycles(plan);
    const double weights = unit_rate * static_cast<double>(layer_words) *
                           (plan.weights_stay || tiles == 1 ? 1 : tiles);
    const double params = run_cycles(config_, kParamWords * first_nb, groups) *
                          (plan.params_stay || tiles == 1 ? 1 : tiles);
    const bool full_width = plan.cols == g_.x.out;
    const double out_runs = full_width ? double{words_out} / p : words_out / plan.cols;
    const double operand = g_.add ? run_cycles(config_, full_width ? p : plan.cols, out_runs) : 0;
    const double writes = g_.gap       ? nb
                          : g_.strided ? run_cycles(config_, 1, words_out)
                                       : run_cycles(config_, full_width ? p : plan.cols, out_runs);
    const double dense_steps = static_cast<double>(tiles) * ceil_div(g_.nb, plan.nb) *
                               ceil_div(g_.kb, plan.kc) * tap_chunks_;
    const double fetch = dense_steps * kStepWords * 16 / config_.bus_bytes;
    const double reads = act + weights + params + operand + fetch;
    // A CONV waits until post has left the half of the one before the last.
    const double outs = static_cast<double>(tiles) * groups;
    const double halves = (compute + post + outs * kTiming.pass_latency) / 2;

    // What does not overlap.
    double serial = 0;
    if (plan.slots < enough) serial += act * (enough - plan.slots) / enough;
    const std::int64_t given_back =
        plan.tapwise ? unit_words / (plan.tap_rows * plan.tap_cols) : unit_words;
    if (!plan.weights_stay || tiles == 1) {
      serial += ring_stalls(given_back, unit_rate, weights, compute);
    } else {
      // The next layer's or group's weights find room for their first part only.
      const auto late =
          static_cast<double>(std::max<std::int64_t>(0, 2 * kept - config_.weight_words));
      serial += 0.5 * late * unit_rate * (plan.by_group ? groups : 1);
    }
    if (g_.add && plan.operand_slots < 2) serial += operand;
    const double first = run_cycles(config_, area * first_kc, 1);
    const double turn = p * first_nb * post_cycles(config_) + first + 2 * kTiming.latency +
                        kTiming.pass_latency + kTiming.write_latency;
    // The next layer's first tile waits for this one's last where that holds its rows.
    const bool late_rows = ty.count <= 2 || (plan.by_group && groups > 1);
    const double bubble = turn * (late_rows ? 1.0 : 0.1);
    // Steps that a mask empties pass through decode, by groups all at the end.
    const double decode = maskable_ ? dense_steps * kStepDecode : 0;
    if (plan.by_group) serial += (dense_steps - steps) * kStepDecode;
    serial += stalls(plan, tiles, groups, n_chunks, first, p * first_nb);
    reads_ = reads;
    return std::max({compute, halves, reads * 1.03, post, writes, decode}) + serial + bubble;
  }

  /// Cycles lost where a mask empties steps: a LOAD waits for the reader before it in its place,
  /// and if that one is empty, for the last that is not. `groups`, `n_chunks`: live ones; `load`:
  /// cycles of a tile's LOAD; `words`: of an operand's.
  [[nodiscard]] double stalls(const ConvPlan& plan, int tiles, int groups, int n_chunks,
                              double load, int words) const {
    const int all_groups = ceil_div(g_.nb, plan.nb);
    const int all_chunks = ceil_div(g_.kb, plan.kc) * tap_chunks_;
    const double tile = load + kTiming.latency;
    double sum = 0;
    if (n_chunks < all_chunks && plan.slots < 2 * all_chunks) sum += tile * tiles * groups;
    if (groups == all_groups || plan.by_group) return sum;
    if (!plan.hold && plan.slots < (all_groups + 1) * all_chunks) sum += tile * tiles;
    if (g_.add && plan.operand_slots <= all_groups) {
      const double operand = run_cycles(config_, words, 1) + words * post_cycles(config_) +
                             kTiming.latency + kTiming.pass_latency;
      sum += operand * tiles;
    }
    return sum;
  }

  /// Cycles lost where the ring gives weights back in pieces of so many words: what comes after the
  /// next piece waits for room. `rate`: cycles to load a word; `loads`: to load all.
  [[nodiscard]] double ring_stalls(std::int64_t piece, double rate, double loads,
                                   double compute) const {
    const std::int64_t room = config_.weight_words - 2 * piece;
    if (room < 0) return loads * 0.8;
    const double load = static_cast<double>(piece) * rate;
    const double pieces = loads / load;
    const double late = std::max(0.0, kTiming.latency - static_cast<double>(room) * rate);
    double sum = pieces * std::max(0.0, load + late - std::max(load, compute / pieces));
    // Where weights bound the layer, none are there before it starts.
    if (loads > 0.9 * compute) sum += 0.5 * load;
    return sum;
  }

  /// Divides the buffer: most slots for operands that leave `enough` for tiles.
  void share_buffer(ConvPlan& plan, int enough, int least) const {
    for (plan.operand_slots = g_.add ? kOperandSlots : 0;; --plan.operand_slots) {
      plan.slots = (budget_ - plan.operand_slots * plan.operand_words) / plan.slot_words;
      if (plan.slots >= enough || plan.operand_slots <= (g_.add ? least : 0)) return;
    }
  }
  /// Cycles to load every tile once.
  [[nodiscard]] double load_cycles(const ConvPlan& plan, const AxisTiles& ty, const AxisTiles& tx,
                                   int kb) const {
    const double blocks = kb;
    const bool apart = g_.fine && plan.kc > 1 && ty.pixels * tx.pixels % 2 == 0;
    if (ty.count == 1 && tx.count == 1 && ty.pixels * tx.pixels == g_.block_words && !apart) {
      return run_cycles(config_, plan.kc * ty.pixels * tx.pixels, blocks / plan.kc);
    }
    if (tx.count == 1 && tx.pixels == g_.x.in && g_.row_step == 1) {
      return run_cycles(config_, ty.pixels / ty.count * g_.x.in, blocks * ty.count);
    }
    return run_cycles(config_, tx.pixels / tx.count,
                      blocks * static_cast<double>(ty.pixels) * tx.count);
  }
  /// Cycles to load one word of weights: a unit is a run, or where masks may shorten it each row
  /// of an n block, or an n block.
  [[nodiscard]] double weight_cycles(const ConvPlan& plan) const {
    std::int64_t run = plan.kc;
    if (!maskable_) {
      run *= std::int64_t{plan.tap_rows} * plan.tap_cols * config_.lanes * plan.nb;
    } else if (plan.kc == g_.kb) {
      run *= std::int64_t{config_.lanes} * (plan.tapwise ? 1 : g_.taps());
    }
    const double words = g_.switched ? (g_.fine ? kSelected : kMasked) : g_.fine ? kIndexed : 1;
    return run_cycles(config_, run, 1) / static_cast<double>(run) * words;
  }

  ConvGeometry g_;
  bool fine_;
  const isa::Config& config_;
  int budget_;
  int tap_rows_ = 1, tap_cols_ = 1, tap_chunks_ = 1;
  bool maskable_;
  double reads_ = 0;  // of the last plan costed
  Chooser chooser_;
  ConvPlan best_;
  using Size = std::pair<int, int>;
  std::map<Size, std::pair<double, ConvPlan>> by_size_;
};

}  // namespace

namespace {

/// A chunk of all taps as fine ones: blocks two by two, of one that is left taps two by two, and
/// the taps that are left.
void split(const ConvGeometry& g, Chunk chunk, std::vector<Chunk>& list) {
  const Span all = chunk.kb;
  const auto put = [&](Second second, const Span& kb, const Span& kx) {
    chunk.second = second;
    chunk.kb = kb;
    chunk.kx = kx;
    list.push_back(chunk);
    chunk.shares = true;
  };
  const int paired = all.low + all.size() / 2 * 2;
  if (paired > all.low) put(Second::kBlock, {all.low, paired}, chunk.tile_kx);
  if (paired == all.high) return;
  const int taps = g.pairs_taps() ? g.x.kernel / 2 * 2 : 0;
  if (taps > 0) put(Second::kTap, {paired, all.high}, {0, taps});
  if (taps < g.x.kernel) put(Second::kNone, {paired, all.high}, {taps, g.x.kernel});
}

}  // namespace

std::vector<Chunk> chunks(const ConvGeometry& g, const ConvPlan& plan) {
  std::vector<Chunk> list;
  for (int kb = 0; kb < g.kb; kb += plan.kc) {
    for (int ky = 0; ky < g.y.kernel; ky += plan.tap_rows) {
      for (int kx = 0; kx < g.x.kernel; kx += plan.tap_cols) {
        Chunk chunk;
        chunk.ky = {ky, std::min(ky + plan.tap_rows, g.y.kernel)};
        chunk.kx = chunk.tile_kx = {kx, std::min(kx + plan.tap_cols, g.x.kernel)};
        chunk.kb = chunk.tile_kb = {kb, std::min(kb + plan.kc, g.kb)};
        if (plan.fine) {
          split(g, chunk, list);
        } else {
          list.push_back(chunk);
        }
      }
    }
  }
  return list;
}

Result<std::vector<ConvPlan>> plan_choices(const ConvGeometry& g, const isa::Config& config,
                                           int budget, const Options& options,
                                           const std::string& place) {
  Search search(g, config, budget, options);
  if (g.y.kernel <= kMaxKernel && g.x.kernel <= kMaxKernel) {
    search.run(g.y.kernel, g.x.kernel);
    if (options.vary % 4 == 3 && g.y.kernel > 1) search.run(1, g.x.kernel);
  }
  if (!search.found() && g.x.kernel <= kMaxKernel) search.run(1, g.x.kernel);
  if (!search.found()) search.run(1, std::min(kMaxKernel, g.x.kernel));
  if (!search.found()) search.run(1, 1);
  if (search.found()) return search.choices();
  return fail(
      ErrorCode::kCapacity,
      fmt::format("no tile fits: a window spans {}x{} pixels, {} words of the activation buffer "
                  "and {} of weights are there",
                  (g.y.kernel - 1) * g.y.dil + 1, (g.x.kernel - 1) * g.x.dil + 1, budget,
                  config.weight_words),
      place);
}

Result<ConvPlan> plan_conv(const ConvGeometry& g, const isa::Config& config, int budget,
                           const Options& options, const std::string& place) {
  const auto choices = plan_choices(g, config, budget, options, place);
  if (!choices) return choices.error();
  return choices->front();
}

bool Chooser::offer(double cost) {
  ++count_;
  if (state_ == 0) {
    if (count_ > 1 && cost >= best_) return false;
    best_ = cost;
    return true;
  }
  // Each of the candidates so far is kept with the same probability.
  state_ ^= state_ << 13U;
  state_ ^= state_ >> 7U;
  state_ ^= state_ << 17U;
  return state_ % count_ == 0;
}

std::vector<int> shares(int n, int limit) {
  std::vector<int> list;
  for (int parts = std::max(1, ceil_div(n, std::max(1, limit))); parts <= n;) {
    const int share = ceil_div(n, parts);
    list.push_back(share);
    if (share == 1) break;
    parts = ceil_div(n, share - 1);  // the fewest parts that make the share smaller
  }
  return list;
}

}  // namespace espalier::compiler
