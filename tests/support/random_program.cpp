#include "random_program.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <random>

#include "isa/maps.hpp"

namespace espalier::tests {
namespace {

using isa::Conv;
using isa::Engine;
using isa::Load;
using isa::LoadTarget;
using isa::Pool;
using isa::Store;
using isa::StoreSource;

constexpr std::uint32_t kRegionBytes = 1U << 16;
constexpr std::uint32_t kLayers = 4096;  // that instructions can name
constexpr std::uint32_t kConstantBytes = 1U << 19;

struct Use {
  std::array<std::uint32_t, 7> read{}, written{};
};

class Generator {
 public:
  Generator(const isa::Config& config, std::uint64_t seed, bool masked)
      : config_(config),
        masked_(masked),
        lanes_(static_cast<std::uint32_t>(config.lanes)),
        random_(seed),
        act_(static_cast<std::size_t>(config.act_words)) {
    for (std::size_t r = 0; r < 4; ++r) {
      program_.regions[r].resize(r == 0 ? kConstantBytes : kRegionBytes);
      for (auto& byte : program_.regions[r]) byte = static_cast<std::uint8_t>(random_());
    }
  }

  RandomProgram generate(int jobs) {
    if (masked_) load_table();
    for (int job = 0; job < jobs; ++job) {
      layer_ = below(8) == 0 ? below(1U << 12) : static_cast<std::uint32_t>(job);
      if (below(4) == 0) add_nop();
      if (below(4) == 0 && config_.pool_lanes != 0) {
        pool_job();
      } else {
        conv_job();
      }
    }
    if (masked_) write_table();
    program_.instructions.emplace_back(isa::End{});
    program_.code_offset = program_.regions[0].size();
    std::vector<std::uint8_t> code;
    for (const auto& instruction : program_.instructions) isa::encode(instruction, code);
    program_.regions[0].insert(program_.regions[0].end(), code.begin(), code.end());
    return std::move(program_);
  }

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::uint32_t between(std::uint32_t lo, std::uint32_t hi) { return lo + below(hi - lo + 1); }
  std::int32_t signed8() { return static_cast<std::int32_t>(below(256)) - 128; }

  std::uint32_t scale_bits() {
    if (below(40) == 0) return static_cast<std::uint32_t>(random_());  // any bits at all
    return std::bit_cast<std::uint32_t>(static_cast<float>(between(1, 4000)) * 1e-6F);
  }

  // ------------------------------------------------------------------ dependencies

  using Needs = std::array<std::uint32_t, 7>;

  void need(Needs& needs, const Use& use, bool write, Engine own) const {
    for (std::size_t e = 1; e < 7; ++e) {
      if (e == static_cast<std::size_t>(own)) continue;
      needs[e] = std::max(needs[e], use.written[e]);
      if (write) needs[e] = std::max(needs[e], use.read[e]);
    }
  }

  Use& memory(std::uint32_t region, std::uint64_t byte) {
    return memory_[std::uint64_t{region} << 32U | byte / lanes_];
  }

  template <typename Transfer>
  void each_word(const Transfer& t, const auto& visit) {
    for (std::uint32_t z = 0; z < t.z_count; ++z) {
      for (std::uint32_t y = 0; y < t.y_count; ++y) {
        const std::uint64_t start =
            t.offset + std::uint64_t{z} * t.z_stride + std::uint64_t{y} * t.y_stride;
        for (std::uint64_t b = start; b < start + t.x_words * lanes_; b += lanes_) {
          visit(memory(t.region, b));
          visit(memory(t.region, b + lanes_ - 1));
        }
      }
    }
  }

  /// Adds the instruction with what it must wait for; returns its count in its engine.
  template <typename T>
  std::uint32_t add(T instruction, const Needs& needs) {
    instruction.layer = layer_;
    if (masked_) {
      if (below(8) == 0) add_dead(instruction);
      if (below(3) != 0) enlarge(instruction);
    }
    isa::Instruction any = instruction;
    const Engine queue = isa::queue_of(any);
    std::vector<isa::Dependency> waits;
    for (std::size_t e = 1; e < 7; ++e) {
      if (needs[e] != 0)
        waits.push_back({static_cast<Engine>(e), static_cast<std::uint16_t>(needs[e])});
    }
    while (waits.size() > 3) {
      isa::Nop nop;
      nop.layer = layer_;
      nop.engine = static_cast<std::uint32_t>(queue);
      isa::Instruction carrier = nop;
      isa::set_dependencies(carrier, {waits.back(), isa::Dependency{}, isa::Dependency{}});
      waits.pop_back();
      program_.instructions.push_back(carrier);
      ++count_[static_cast<std::size_t>(queue)];
    }
    waits.resize(3);
    std::shuffle(waits.begin(), waits.end(), random_);
    isa::set_dependencies(any, {waits[0], waits[1], waits[2]});
    program_.instructions.push_back(any);
    return ++count_[static_cast<std::size_t>(queue)];
  }

  /// One in any queue, with a dependency that holds already.
  void add_nop() {
    constexpr std::array<Engine, 5> kQueues = {Engine::kLoadA, Engine::kLoadW, Engine::kExec,
                                               Engine::kStore, Engine::kPool};
    isa::Nop nop;
    nop.layer = layer_;
    nop.engine = static_cast<std::uint32_t>(kQueues[below(config_.pool_lanes != 0 ? 5 : 4)]);
    const std::uint32_t other = between(1, 6);
    std::array<isa::Dependency, 3> waits;
    waits[below(3)] = {static_cast<Engine>(other), static_cast<std::uint16_t>(count_[other])};
    isa::Instruction any = nop;
    isa::set_dependencies(any, waits);
    program_.instructions.push_back(any);
    ++count_[nop.engine];
  }

  // ------------------------------------------------------------------ masks

  /// So many rows from that of `layer` on; layers before it need not wait.
  void load_rows(std::uint32_t layer, std::uint32_t rows) {
    Load load;
    load.layer = layer;
    load.target = static_cast<std::uint32_t>(LoadTarget::kLayerTable);
    load.region = static_cast<std::uint32_t>(isa::Region::kMask);
    load.offset = layer * 32;
    load.x_words = rows * 32 / lanes_;
    load.sram_address = isa::row_word(config_, layer);
    program_.instructions.emplace_back(load);
    ++count_[static_cast<std::size_t>(Engine::kLoadW)];
  }

  void load_table() {
    load_rows(0, static_cast<std::uint32_t>(config_.mask_layers));
    auto& region = program_.regions[4];
    region.resize(kConstantBytes);
    for (auto& byte : region) byte = static_cast<std::uint8_t>(random_());
  }

  void write_table() {
    std::vector<std::uint8_t> table;
    for (const auto& row : rows_) isa::encode(row, table);
    std::copy(table.begin(), table.end(), program_.regions[4].begin());
  }

  /// A row of its own for the next instruction; false where layers have no more numbers. Of a full
  /// table the earlier half goes.
  bool next_row() {
    const auto layer = static_cast<std::uint32_t>(rows_.size());
    const auto half = static_cast<std::uint32_t>(config_.mask_layers) / 2;
    if (layer >= kLayers) return false;
    if (layer >= 2 * half && layer % half == 0) load_rows(layer, half);
    isa::LayerRow row;
    row.k_live = below(30);
    row.n_live = below(30);
    row.dense = below(2);
    for (auto* piece : {&row.piece, &row.piece_k, &row.piece_n, &row.piece_nk}) {
      *piece = below(1U << 14);
    }
    for (auto* shift : {&row.in_shift, &row.operand_shift, &row.out_shift}) {
      *shift = static_cast<std::int32_t>(below(4001)) - 2000;
    }
    row.n_stride = below(1U << 11);
    row.block_words = below(1U << 16);
    rows_.push_back(row);
    return true;
  }

  /// Blocks before and behind `live` ones: sets where they start, how many there would be, and how
  /// many live in all: some behind them where `more`.
  void put(std::uint32_t live, std::uint32_t& from, std::uint32_t& full, std::uint32_t& end,
           bool more = true) {
    from = below(20);
    end = from + live;
    full = live + (below(2) != 0 ? below(4) : 0);
    if (more && full == live) end += below(4);
  }

  /// As `put` where the instruction takes or needs such blocks; otherwise any, often none.
  std::uint32_t put_if(bool needed, std::uint32_t live, std::uint32_t& from, std::uint32_t& full,
                       std::uint32_t& end) {
    if (needed) {
      put(live, from, full, end);
    } else {
      from = below(30);
      full = below(30);
    }
    return live;
  }

  template <typename T>
  void shift_away(T& t, isa::Clip& clip) {
    clip.shift = below(4);
    const isa::LayerRow& row = rows_.back();
    const std::array<std::int32_t, 4> shifts = {0, row.in_shift, row.operand_shift, row.out_shift};
    t.offset -= static_cast<std::uint32_t>(shifts[clip.shift]) *
                static_cast<std::uint32_t>(config_.bus_bytes);
  }

  void enlarge(Load& x) {
    const auto target = static_cast<LoadTarget>(x.target);
    if (target == LoadTarget::kPoolTable || x.form != 0 || !next_row()) return;
    x.layer = static_cast<std::uint32_t>(rows_.size() - 1);
    isa::LayerRow& row = rows_.back();
    isa::Clip clip;
    const bool words = below(3) == 0;
    cut(x, clip, row, words);
    if (isa::queue_of(x) == Engine::kLoadW) {
      clip.image = below(2);
      // Region 4 begins with the table, whose rows are no parameters.
      if (x.offset < kLayers * isa::kRowBytes) row.dense = 1;
    }
    if (!words && below(2) != 0) shorten_rows(x, clip, row);
    if (clip.words == 0) shift_away(x, clip);  // a row gives one of the two
    x.clip = clip;
  }

  /// Other rows and another distance between them, of which the table's row leaves what there was.
  void shorten_rows(Load& x, isa::Clip& clip, isa::LayerRow& row) {
    const std::uint32_t live = x.y_count == 1 ? x.x_words + below(20) : x.y_stride / lanes_;
    if ((clip.cut != 0 && clip.by_k != 0) || live >= 1U << 12 || x.y_stride % lanes_ != 0) return;
    clip.rows = 1;
    clip.k0 = below(live - x.x_words + 1);
    clip.kc = x.x_words + (clip.k0 + x.x_words == live ? below(4) : 0);
    row.k_live = live;
    x.x_words = between(1, 99);
    x.y_stride = lanes_ * below(99);
  }

  void enlarge(Store& x) {
    if (!next_row()) return;
    x.layer = static_cast<std::uint32_t>(rows_.size() - 1);
    isa::Clip clip;
    cut(x, clip, rows_.back(), below(3) == 0);
    if (clip.words == 0) shift_away(x, clip);
    x.clip = clip;
  }

  /// More blocks, and with `words` another x_words, of which the row leaves what there was.
  template <typename T>
  void cut(T& x, isa::Clip& clip, isa::LayerRow& row, bool words) {
    clip.cut = below(4) != 0 ? 1 : 0;
    clip.by_k = below(2);
    clip.need_k = below(2);
    clip.need_n = below(2);
    const bool by_k = clip.cut != 0 && clip.by_k != 0, by_n = clip.cut != 0 && clip.by_k == 0;
    put_if(clip.need_k != 0 || words || by_k, by_k ? x.z_count : between(1, 5), clip.k0, clip.kc,
           row.k_live);
    put_if(clip.need_n != 0 || by_n, by_n ? x.z_count : between(1, 5), clip.n0, clip.nb,
           row.n_live);
    if (clip.cut != 0) x.z_count = clip.by_k != 0 ? clip.kc : clip.nb;
    if (!words) return;
    clip.words = 1;
    row.block_words = x.x_words;
    x.x_words = between(1, 99);
  }

  void enlarge(Pool& x) {
    if (!next_row()) return;
    x.layer = static_cast<std::uint32_t>(rows_.size() - 1);
    isa::Clip clip;
    clip.need_k = below(2);
    clip.need_n = below(2);
    put_if(clip.need_k != 0, between(1, 5), clip.k0, clip.kc, rows_.back().k_live);
    put(x.blocks, clip.n0, clip.nb, rows_.back().n_live);
    x.blocks = clip.nb;
    x.clip = clip;
  }

  void set_piece(isa::LayerRow& row, const isa::Clip& clip, std::uint32_t words) {
    const bool n_full = row.n_live - clip.n0 >= clip.nb, k_full = row.k_live - clip.k0 >= clip.kc;
    (n_full ? (k_full ? row.piece : row.piece_k) : (k_full ? row.piece_n : row.piece_nk)) = words;
  }

  void enlarge(Conv& x) {
    if (x.fine != 0) return;
    if (x.w_piece >= 1U << 14 || x.w_n_stride >= 1U << 11) return;
    if (x.w_offset != 0 && x.w_offset != w_pos_) return;
    if (!next_row()) return;
    x.layer = static_cast<std::uint32_t>(rows_.size() - 1);
    isa::LayerRow& row = rows_.back();
    isa::Clip clip;
    put(x.n_blocks, clip.n0, clip.nb, row.n_live);
    clip.last_taps = x.last != 0 ? 1 : below(2);
    put(x.k_blocks, clip.k0, clip.kc, row.k_live, x.last == 0);
    // What is the last of its tile is so by the row: here it never is.
    if (x.last == 0 && row.k_live <= clip.k0 + clip.kc) clip.last_taps = 0;
    set_piece(row, clip, x.w_piece);
    clip.need_k = below(2);
    clip.need_n = below(2);
    // Weights that stay stand where those of the tile's CONVs before it end.
    clip.w_start = x.w_release != 0 ? below(2) : x.w_offset == 0 ? 1 : 0;
    w_pos_ = (clip.w_start != 0 ? 0 : w_pos_) + x.w_piece;
    if (x.gap == 0) x.n_blocks = clip.nb;
    if (x.w_release == 0) x.w_offset = below(20);
    x.last = below(2);  // counts for an empty CONV alone
    x.k_blocks = clip.kc;
    if (row.k_live - clip.k0 < clip.kc) {
      row.n_stride = x.w_n_stride;
      x.w_n_stride = between(1, 50);
    }
    x.w_tap_stride = below(50);
    x.w_piece = between(1, 50);
    x.clip = clip;
  }

  template <typename T>
  void enlarge(T&) {}

  /// A clip word and a row of which nothing is left: no block that it needs, or that it counts.
  template <typename T>
  void make_dead(T& x) {
    isa::LayerRow& row = rows_.back();
    isa::Clip& clip = x.clip.emplace();
    if constexpr (std::is_same_v<T, Conv>) x.fine = x.pair = x.pair_cols = 0;
    if constexpr (std::is_same_v<T, Load>) x.form = 0;
    clip.kc = between(1, 20);
    clip.nb = between(1, 20);
    if constexpr (std::is_same_v<T, Conv> || std::is_same_v<T, Pool>) {
      clip.need_k = below(2);
      clip.need_n = below(2);
      clip.n0 = row.n_live + below(4);
      clip.k0 = below(30);
      if ((clip.need_k != 0 || std::is_same_v<T, Conv>)&&below(3) == 0) {
        row.n_live += clip.n0 + 1;  // there are channels, but nothing to sum
        clip.k0 = row.k_live + below(4);
      }
    } else {
      clip.cut = below(2);
      clip.by_k = below(2);
      clip.need_k = below(2);
      clip.need_n = clip.need_k == 0 && clip.cut == 0 ? 1 : below(2);
      clip.k0 = row.k_live + below(4);
      clip.n0 = row.n_live + below(4);
      if (clip.cut != 0) x.z_count = clip.by_k != 0 ? clip.kc : clip.nb;
    }
    if constexpr (std::is_same_v<T, Conv>) {
      x.n_blocks = x.k_blocks = 1;
      x.w_n_stride = between(1, 50);
      clip.w_start = x.w_release;  // not between weights that stay
      if (clip.w_start != 0) w_pos_ = 0;
    }
  }

  /// An instruction of which nothing is left; post counts a CONV's.
  template <typename T>
  void add_dead(T x) {
    if constexpr (requires { x.clip; }) {
      if (!next_row()) return;
      x.layer = static_cast<std::uint32_t>(rows_.size() - 1);
      make_dead(x);
      if constexpr (std::is_same_v<T, Conv>) {
        x.add_base = below(1U << 16);
        const bool empty = rows_.back().n_live <= x.clip->n0;
        if (empty && x.last != 0) ++count_[static_cast<std::size_t>(Engine::kPost)];
      }
      const isa::Instruction any = x;
      program_.instructions.push_back(any);
      ++count_[static_cast<std::size_t>(isa::queue_of(any))];
    }
  }

  // ------------------------------------------------------------------ transfers

  /// A random strided shape of x * y * z words inside a region.
  template <typename Transfer>
  void place(Transfer& t, std::uint32_t region, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
    const auto bus = static_cast<std::uint32_t>(config_.bus_bytes);
    t.region = region;
    t.x_words = x;
    t.y_count = y;
    t.z_count = z;
    const std::uint32_t unit = below(4) != 0 ? lanes_ : bus;  // mostly whole words
    t.y_stride = x * lanes_ + (below(2) != 0 ? unit * below(3) : 0);
    t.z_stride = t.y_stride * y + (below(2) != 0 ? unit * below(5) : 0);
    const std::uint32_t size = region == 0 ? kConstantBytes : kRegionBytes;
    const std::uint32_t extent = (z - 1) * t.z_stride + (y - 1) * t.y_stride + x * lanes_;
    // Often near a 4 KiB line.
    std::uint32_t offset = extent < size ? below(size - extent) : 0;
    if (below(3) == 0 && extent + 4096 < size)
      offset = offset / 4096 * 4096 + 4096 - lanes_ * between(1, 4);
    t.offset = offset + extent <= size ? offset / unit * unit : 0;
  }

  /// `skip`: a word is left out behind each plane.
  std::uint32_t load_activations(std::uint32_t address, std::uint32_t x, std::uint32_t y,
                                 std::uint32_t z, bool skip = false) {
    Load load;
    load.skip = skip ? 1 : 0;
    load.target = static_cast<std::uint32_t>(LoadTarget::kActivations);
    place(load, between(0, 3), x, y, z);
    load.sram_address = address;
    Needs needs{};
    each_word(load, [&](Use& use) { need(needs, use, false, Engine::kLoadA); });
    const std::uint32_t words = x * y * z;
    for (std::uint32_t w = 0; w < words; ++w)
      need(needs, act_[isa::act_address(load, w) % act_.size()], true, Engine::kLoadA);
    const std::uint32_t count = add(load, needs);
    each_word(load, [&](Use& use) { use.read[1] = count; });
    for (std::uint32_t w = 0; w < words; ++w)
      act_[isa::act_address(load, w) % act_.size()].written[1] = count;
    return count;
  }

  void load_ring(LoadTarget target, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
    Load load;
    load.target = static_cast<std::uint32_t>(target);
    if (target == LoadTarget::kWeights && form_ != isa::LoadForm::kPlain) {
      load_form(x * y * z);
      return;
    }
    place(load, 0, x, y, z);
    if (target == LoadTarget::kParameters) write_parameters(load);
    add(load, Needs{});
  }

  /// Fills so many words of the weight ring by LOADs of the form that is drawn.
  void load_form(std::uint32_t words) {
    Load load;
    load.target = static_cast<std::uint32_t>(LoadTarget::kWeights);
    const auto put = [&](isa::LoadForm form, std::uint32_t x, std::uint32_t y) {
      load.form = static_cast<std::uint32_t>(form);
      if (below(2) != 0) std::swap(x, y);
      const bool bits = form == isa::LoadForm::kBits && below(2) != 0;
      place(load, bits && masked_ ? 4 : 0, x, y, 1);
      add(load, Needs{});
    };
    if (form_ == isa::LoadForm::kIndexed) {  // one word more for each four
      put(form_, isa::kIndexedGroup, words / (isa::kIndexedGroup - 1));
      return;
    }
    // Bits for as many words as they are kept for, or more; of the words all at once, or in parts.
    const std::uint32_t of_one = form_ == isa::LoadForm::kSelected ? 2 : 1;
    const std::uint32_t most = isa::kBitWords * isa::kWordsOfBits / of_one;
    while (words > 0) {
      std::uint32_t some = std::min(words, below(2) != 0 ? most : between(1, most));
      words -= some;
      const std::uint32_t bits = (some * of_one + isa::kWordsOfBits - 1) / isa::kWordsOfBits;
      put(isa::LoadForm::kBits, std::min(isa::kBitWords, bits + below(3)), 1);
      if (some > 1 && below(2) != 0) {
        const std::uint32_t first = between(1, some - 1);
        put(form_, of_one, first);
        some -= first;
      }
      put(form_, of_one, some);
    }
  }

  void write_parameters(const Load& load) {
    write_parameters(load, program_.regions[0]);
    if (masked_) write_parameters(load, program_.regions[4]);
  }
  void write_parameters(const Load& load, std::vector<std::uint8_t>& constants) {
    for (std::uint64_t at = load.offset / 8 * 8;
         at + 8 <= load.offset + std::uint64_t{load.x_words} * lanes_; at += 8) {
      const auto bias =
          static_cast<std::uint32_t>(static_cast<std::int32_t>(below(200001)) - 100000);
      const std::uint32_t scale = scale_bits();
      for (unsigned b = 0; b < 4; ++b) {
        constants[at + b] = static_cast<std::uint8_t>(bias >> (8 * b));
        constants[at + 4 + b] = static_cast<std::uint8_t>(scale >> (8 * b));
      }
    }
  }

  void store(StoreSource source, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
    Store store;
    store.source = static_cast<std::uint32_t>(source);
    place(store, below(2) != 0 ? 1 : 3, x, y, z);
    Needs needs{};
    each_word(store, [&](Use& use) { need(needs, use, true, Engine::kStore); });
    const std::uint32_t count = add(store, needs);
    each_word(store, [&](Use& use) { use.written[6] = count; });
  }

  // ------------------------------------------------------------------ jobs

  template <typename T>
  void input_tile(T& x, std::uint32_t blocks) {
    const auto room = static_cast<std::uint32_t>(config_.act_words) / 4 / blocks;
    x.in_rows = between(1, 6);
    x.in_cols = between(1, below(8) == 0 ? std::min(room / 2, 60U) : 6);
    x.row_pitch = x.in_cols + (below(4) == 0 ? below(4) : 0);
    std::uint32_t rows = x.in_rows + (below(4) == 0 ? below(3) : 0);  // of a plane
    rows = std::max(1U, std::min(rows, room / x.row_pitch));
    x.in_rows = std::min(x.in_rows, rows);
    x.plane = rows * x.row_pitch;
    x.act_base = below(static_cast<std::uint32_t>(config_.act_words));
    x.iy0 = corner();
    x.ix0 = corner();
    x.zx = signed8();
    x.stride_y = between(1, below(8) == 0 ? 15 : 3);
    x.stride_x = between(1, below(8) == 0 ? 15 : 3);
    x.y_step = x.stride_y * x.row_pitch;
  }

  /// Where a tile's first window begins: at times far outside.
  std::int32_t corner() {
    if (below(40) == 0) return static_cast<std::int32_t>(below(1U << 14)) - (1 << 13);
    return static_cast<std::int32_t>(below(5)) - 3;
  }

  void clamps(std::int32_t& lo, std::int32_t& hi) {
    lo = below(2) != 0 ? -128 : signed8();
    hi = below(2) != 0 ? 127 : signed8();
    if (lo > hi && below(8) != 0) std::swap(lo, hi);
  }

  void conv_job() {
    const auto acc_words = static_cast<std::uint32_t>(config_.acc_words);
    const auto ring = static_cast<std::uint32_t>(config_.weight_words);
    const std::uint32_t chunks = below(3) == 0 ? between(2, 3) : 1;
    const bool gap = below(5) == 0;
    const std::uint32_t tiles = gap ? between(1, 3) : 1;
    Conv base;
    base.n_blocks = gap && tiles > 1 ? 1 : between(1, 3);
    base.rows = between(1, 5);
    base.cols = between(1, 7);
    while (base.n_blocks * base.rows * base.cols > acc_words) --base.cols;
    const std::uint32_t words = base.n_blocks * base.rows * base.cols;
    base.zy = signed8();
    clamps(base.lo, base.hi);
    if (below(3) == 0) {
      base.add = 1;
      base.add_ma = below(1U << 22);
      base.add_mb = below(1U << 22);
      base.add_shift = between(13, 31);
      base.add_zb = signed8();
      base.add_zy = signed8();
      clamps(base.add_lo, base.add_hi);
      base.product = config_.mask_layers != 0 && below(2) != 0 ? 1 : 0;
      base.add_base = below(static_cast<std::uint32_t>(config_.act_words));
    }
    if (gap) {
      base.gap = 1;
      base.gap_scale = scale_bits();
      base.gap_zy = signed8();
    }
    load_ring(LoadTarget::kParameters, base.n_blocks * 8, 1, 1);
    for (std::uint32_t tile = 0; tile < tiles; ++tile) {
      std::uint32_t operand = 0;
      if (base.add != 0)
        operand = load_activations(base.add_base, base.cols, base.rows, base.n_blocks);
      for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
        Conv c = base;
        c.first = chunk == 0;
        c.last = chunk + 1 == chunks;
        c.gap_first = gap && tile == 0;
        c.gap_last = gap && tile + 1 == tiles;
        c.p_release = c.last != 0 && tile + 1 == tiles;
        c.k_blocks = between(1, 3);
        c.kh = between(1, below(8) == 0 ? 11 : 3);
        c.kw = between(1, below(8) == 0 ? 11 : 3);
        c.dil_y = between(1, below(8) == 0 ? 31 : 3);
        c.dil_x = between(1, below(8) == 0 ? 31 : 2);
        while (c.n_blocks * lanes_ * c.k_blocks > ring / 4 && c.k_blocks > 1) --c.k_blocks;
        const std::uint32_t two = config_.fine != 0 ? below(3) : 0;  // blocks, or columns
        input_tile(c, (two == 1 ? 2 : 1) * c.k_blocks);
        c.tap_step = c.dil_y * c.row_pitch;
        const std::uint32_t rows = c.plane / c.row_pitch;
        const bool skip = two == 1 && c.plane % 2 == 0;
        if (two != 0) take_two(c, two == 1);
        weights(c, ring);
        const std::uint32_t tile_count =
            load_activations(c.act_base, c.row_pitch, rows, (two == 1 ? 2 : 1) * c.k_blocks, skip);
        // The tile may have overwritten the operand: then the operand is loaded again behind it.
        if (c.last != 0 && base.add != 0 && overlaps(c, words)) {
          c.add = c.product = 0;
        }
        emit_conv(c, std::max(tile_count, operand), words);
        if (c.last != 0 && (c.gap == 0 || c.gap_last != 0)) {
          if (c.gap != 0) {
            store(StoreSource::kPost, c.product != 0 ? 4 : 1, 1, c.n_blocks);
          } else {
            store(StoreSource::kPost, c.cols, c.rows, c.n_blocks);
          }
        }
      }
    }
  }

  /// Makes a CONV fine: its second words are those of every second block, or of another column.
  void take_two(Conv& c, bool blocks) {
    c.fine = 1;
    if (blocks) {
      c.pair = c.plane | 1U;
      c.plane = 2 * c.pair;
    } else {
      c.pair = c.pair_cols = 2 * below(below(4) == 0 ? 16 : 2) + 1;
    }
  }

  bool overlaps(const Conv& c, std::uint32_t words) const {
    const auto size = static_cast<std::uint32_t>(act_.size());
    const std::uint32_t distance = (c.add_base + size - c.act_base) % size;
    return distance < c.plane * c.k_blocks || distance + words > size;
  }

  /// Chooses how the weights lie in the ring and loads what fits before the instruction.
  void weights(Conv& c, std::uint32_t ring) {
    const std::uint32_t taps = c.kh * c.kw, rows = c.n_blocks * lanes_;
    constexpr std::array kForms = {isa::LoadForm::kPlain, isa::LoadForm::kIndexed,
                                   isa::LoadForm::kMasked, isa::LoadForm::kSelected};
    form_ = config_.fine != 0 ? kForms[below(kForms.size())] : isa::LoadForm::kPlain;
    if (config_.fine != 0) ring -= isa::kLeftOut;
    const bool fits = rows * taps * c.k_blocks <= ring;
    c.w_tapwise = !fits || below(2) != 0;
    if (c.w_tapwise != 0) {
      c.w_n_stride = c.k_blocks;
      c.w_tap_stride = c.w_piece = rows * c.k_blocks;
    } else {
      c.w_tap_stride = c.k_blocks;
      c.w_n_stride = taps * c.k_blocks;
      c.w_piece = rows * c.w_n_stride;
    }
    const std::uint32_t pieces = c.w_tapwise != 0 ? taps : 1;
    const std::uint32_t before = below(2) != 0 ? std::min(pieces, ring / c.w_piece) : 1;
    for (std::uint32_t i = 0; i < before; ++i) load_piece(c);
    pieces_behind_ = pieces - before;
    resident_ =
        fits && pieces_behind_ == 0 && below(3) == 0 && c.first != 0 && c.last != 0 && c.gap == 0;
    w_second_ = 0;
    c.w_release = 1;
    if (!resident_ || 2 * pieces * c.w_piece > ring || below(2) == 0) return;
    w_second_ = pieces * c.w_piece;  // the same again, with other values
    for (std::uint32_t i = 0; i < pieces; ++i) load_piece(c);
    load_ring(LoadTarget::kParameters, c.n_blocks * 8, 1, 1);
  }

  void load_piece(const Conv& c) {
    const std::uint32_t x = c.w_piece / (c.n_blocks * lanes_);
    if (masked_ && below(2) != 0) {
      load_ring(LoadTarget::kWeights, c.w_piece, 1, 1);
    } else {
      load_ring(LoadTarget::kWeights, x, c.n_blocks * lanes_, 1);
    }
  }

  void emit_conv(Conv c, std::uint32_t load_count, std::uint32_t words) {
    Needs needs{};
    needs[1] = load_count;
    if (resident_) {
      // A first use that leaves the weights where they are, and its output.
      Conv keep = c;
      keep.w_release = 0;
      keep.p_release = 0;
      emit_stored(keep, needs, words);
      if (w_second_ != 0) {
        keep.w_offset = w_second_;
        keep.p_offset = c.n_blocks;
        emit_stored(keep, needs, words);
        emit_stored(c, needs, words);
      }
    }
    emit_one(c, needs, words);
    for (; pieces_behind_ > 0; --pieces_behind_) load_piece(c);
  }

  void emit_stored(const Conv& c, const Needs& needs, std::uint32_t words) {
    emit_one(c, needs, words);
    store(StoreSource::kPost, c.cols, c.rows, c.n_blocks);
  }

  void emit_one(const Conv& c, const Needs& needs, std::uint32_t words) {
    const std::uint32_t count = add(c, needs);
    for (std::uint32_t w = 0; w < c.plane * c.k_blocks; ++w)
      act_[(c.act_base + w) % act_.size()].read[3] = count;
    if (c.last == 0) return;
    ++count_[4];
    for (std::uint32_t w = 0; c.add != 0 && w < words; ++w) {
      act_[(c.add_base + w) % act_.size()].read[4] = count_[4];
    }
  }

  void pool_job() {
    Pool p;
    p.blocks = between(1, 3);
    input_tile(p, p.blocks);
    p.average = below(2);
    p.kh = between(1, below(4) == 0 ? 9 : 3);
    p.kw = between(1, below(4) == 0 ? 9 : 3);
    p.rows = between(1, 4);
    p.cols = between(1, 4);
    p.zy = signed8();
    clamps(p.lo, p.hi);
    p.scale = scale_bits();
    p.cy_lo = static_cast<std::int32_t>(below(4)) - 2;
    p.cy_hi = static_cast<std::int32_t>(p.in_rows + below(3));
    p.cx_lo = static_cast<std::int32_t>(below(4)) - 2;
    p.cx_hi = static_cast<std::int32_t>(p.in_cols + below(3));
    p.use_table = p.kh * p.kw <= 81 && below(2) != 0;
    Needs needs{};
    if (p.use_table != 0) {
      Load load;
      load.target = static_cast<std::uint32_t>(LoadTarget::kPoolTable);
      place(load, 0, (p.kh * p.kw * 4 + lanes_ - 1) / lanes_, 1, 1);
      Needs table_needs{};
      need(table_needs, pool_table_, true, Engine::kLoadA);
      pool_table_.written[1] = add(load, table_needs);
    }
    needs[1] = load_activations(p.act_base, p.row_pitch, p.plane / p.row_pitch, p.blocks);
    const std::uint32_t count = add(p, needs);
    for (std::uint32_t w = 0; w < p.plane * p.blocks; ++w)
      act_[(p.act_base + w) % act_.size()].read[5] = count;
    if (p.use_table != 0) pool_table_.read[5] = count;
    store(StoreSource::kPool, p.cols, p.rows, p.blocks);
  }

  isa::Config config_;
  bool masked_;
  std::vector<isa::LayerRow> rows_;
  std::uint32_t lanes_;
  std::mt19937_64 random_;
  std::vector<Use> act_;
  Use pool_table_;
  std::map<std::uint64_t, Use> memory_;
  std::array<std::uint32_t, 7> count_{};
  std::uint32_t layer_ = 0;
  std::uint32_t pieces_behind_ = 0;
  bool resident_ = false;
  isa::LoadForm form_ = isa::LoadForm::kPlain;  ///< that weights come in
  std::uint32_t w_second_ = 0;  ///< words of weights in front of a second set; 0: there is none
  std::uint32_t w_pos_ = 0;     ///< what the clip stage keeps
  RandomProgram program_;
};

}  // namespace

RandomProgram random_program(const isa::Config& config, std::uint64_t seed, int jobs, bool masked) {
  return Generator(config, seed, masked).generate(jobs);
}

}  // namespace espalier::tests
