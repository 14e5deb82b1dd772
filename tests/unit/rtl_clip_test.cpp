// esp_decode with its clip stage against isa::clip: random instructions, rows and stalls.

#include <array>
#include <deque>
#include <span>

#include "Vrtl_clip_16.h"
#include "Vrtl_clip_32.h"
#include "Vrtl_clip_4.h"
#include "catch.hpp"
#include "isa/clip.hpp"
#include "seed.hpp"
#include "verilated_bench.hpp"

using namespace espalier;
using tests::Draw;

namespace {

constexpr std::uint32_t kRows = 64;
constexpr std::uint32_t kWeightWords = 1024, kParamBlocks = 64;  // the module's own
constexpr std::size_t kWordBytes = 16;

/// What decode handed to a queue.
struct Sent {
  unsigned push = 0, dispatch = 0;
  bool weights = false;  ///< to the weight sequencer too
  std::uint64_t cycle = 0;
  std::array<std::uint32_t, 20> bits{};
};

/// esp_decode between a fetch and queues that stall, with a layer table.
template <typename Model, int L>
class ClipTester {
 public:
  static constexpr int kWidth = L < 8 ? 64 : 8 * L;
  explicit ClipTester(std::uint64_t seed) : draw_(seed) {
    for (isa::LayerRow& row : rows) {
      row.k_live = draw_.word() % 40;
      row.n_live = draw_.word() % 40;
      row.dense = draw_.word() % 2;
      row.n_stride = draw_.word() % 2048;
      row.block_words = 1 + draw_.word() % 65535;
      for (auto* piece : {&row.piece, &row.piece_k, &row.piece_n, &row.piece_nk}) {
        *piece = 1 + draw_.word() % 40;
      }
      for (auto* shift : {&row.in_shift, &row.operand_shift, &row.out_shift}) {
        *shift = static_cast<std::int32_t>(draw_.word()) >> 4;
      }
    }
    auto& m = *bench_;
    m.halt_i = m.start_i = m.word_valid_i = m.table_done_i = m.exhausted_i = m.idle_i = 0;
    m.program_address_i = m.three_i = 0;
    m.ready_i = 0;
    m.wconv_ready_i = 0;
  }

  std::array<isa::LayerRow, kRows> rows;
  double stall = 0;

  /// Runs a program of instructions without faults; what was sent, in order.
  std::vector<Sent> run(const std::vector<isa::Instruction>& program) {
    std::vector<std::uint8_t> code;
    for (const auto& x : program) isa::encode(x, code);
    std::vector<std::uint8_t> table;
    for (const auto& row : rows) isa::encode(row, table);
    std::vector<Sent> sent;
    std::size_t at = 0;
    std::deque<std::uint64_t> loading;  // when each table is there
    std::uint32_t since = 0;            // earlier layers do not wait for the last one
    bool loaded = false, held = false;  // the table: loaded; held by decode
    auto& m = *bench_;
    m.start_i = 1;
    bench_.tick();
    m.start_i = 0;
    while (sent.size() < program.size()) {
      REQUIRE(bench_.cycle() < 40 * code.size() + 10'000);
      m.word_valid_i = at < code.size() && !draw_.chance(stall);
      for (std::size_t i = 0; i < kWordBytes; ++i) {
        tests::set_port_byte(
            m.word_i, i, m.word_valid_i ? static_cast<std::int8_t>(code[at + i]) : draw_.byte());
      }
      m.ready_i = draw_.chance(stall) ? 0 : 0x7F;
      m.wconv_ready_i = !draw_.chance(stall);
      m.three_i = !draw_.chance(stall);
      m.table_done_i = !loading.empty() && loading.front() <= bench_.cycle();
      bench_.settle();
      INFO(isa::disassemble(program[sent.size()]) << " cause " << int{m.fault_cause_o});
      REQUIRE_FALSE(m.fault_o);
      // Whoever holds it must not wait for words: these may come behind beats that need a bit map.
      if (!held && m.table_busy_o) REQUIRE(m.three_i);
      held = m.table_busy_o;
      const bool taken = m.word_valid_i && m.word_ready_o;
      if ((m.push_o & m.ready_i) != 0) {
        Sent x;
        x.push = m.push_o;
        x.dispatch = m.dispatch_o;
        x.weights = m.wconv_push_o;
        x.cycle = bench_.cycle();
        for (std::size_t i = 0; i < x.bits.size(); ++i) x.bits[i] = tests::port_word(m.inst_o, i);
        const auto* load = std::get_if<isa::Load>(&program[sent.size()]);
        const bool nop = (x.bits[0] & 63U) == static_cast<unsigned>(isa::Opcode::kNop);
        if (load != nullptr && load->target == 4 && !nop) {
          since = load->layer;
          loading.push_back(std::max(bench_.cycle(), loading.empty() ? 0 : loading.back()) + 1 +
                            draw_.word() % 30);
        }
        sent.push_back(x);
      }
      const bool read = m.table_ren_o;
      const std::size_t row = m.table_raddr_o;
      const bool kept = loading.size() == 1 && sent.size() < program.size() &&
                        isa::layer(program[sent.size()]) < since;
      const bool done = m.table_done_i;
      bench_.tick();
      if (taken) at += kWordBytes;
      if (done) {
        loading.pop_front();
        loaded = loading.empty();
      }
      for (int i = 0; read && i < kWidth / 32; ++i) {
        std::uint32_t value = draw_.word();
        if (loaded || kept) std::memcpy(&value, table.data() + row * kWidth / 8 + 4U * i, 4);
        tests::set_port_word(m.table_rdata_i, i, value);
      }
    }
    return sent;
  }

 private:
  tests::VerilatedBench<Model> bench_;
  Draw draw_;
};

isa::Load table_load() {
  isa::Load x;
  x.target = static_cast<std::uint32_t>(isa::LoadTarget::kLayerTable);
  x.region = static_cast<std::uint32_t>(isa::Region::kMask);
  return x;
}

/// Random instructions in every combination that program::verify accepts and decode does not
/// refuse: each field at its least, its greatest or anything between.
class Program {
 public:
  Program(std::uint64_t seed, const isa::Config& config, std::span<const isa::LayerRow> rows)
      : draw_(seed),
        config_(config),
        bus_(static_cast<std::uint32_t>(config.bus_bytes)),
        rows_(rows) {}

  std::vector<isa::Instruction> make(int count) {
    std::vector<isa::Instruction> list{table_load()};
    while (list.size() < static_cast<std::size_t>(count)) {
      const int kind = draw_.range(0, 9);
      isa::Instruction x = kind < 3    ? isa::Instruction(load())
                           : kind == 3 ? isa::Instruction(store())
                           : kind == 4 ? isa::Instruction(pool())
                                       : isa::Instruction(conv());
      set_common(x);
      if (!isa::clip_trouble(x, config_).empty() || !runs(x)) continue;
      isa::ClipState after = state_;
      if (!runs(isa::clip(x, rows_[isa::layer(x) % kRows], config_, after))) continue;
      state_ = after;
      list.push_back(x);
    }
    return list;
  }

 private:
  std::uint32_t below(std::uint32_t n) { return draw_.word() % n; }

  template <typename T>
  void draw_fields(T& x) {
    isa::for_each_field(x, [&](std::string_view, auto& field, unsigned, unsigned, bool,
                               std::int64_t low, std::int64_t high) {
      const auto range = static_cast<std::uint64_t>(high - low) + 1;
      const std::int64_t any = low + static_cast<std::int64_t>(draw_.bits() % range);
      const std::uint32_t kind = below(4);
      const std::int64_t value = kind == 0 ? low : kind == 1 ? high : any;
      field = static_cast<std::remove_cvref_t<decltype(field)>>(value);
    });
  }
  void set_common(isa::Instruction& x) {
    std::array<isa::Dependency, 3> needs;
    for (auto& need : needs) {
      need = {static_cast<isa::Engine>(below(7)), static_cast<std::uint16_t>(draw_.word())};
    }
    isa::set_dependencies(x, needs);
    std::visit([&](auto& i) { i.layer = below(4096); }, x);
  }
  /// Flags seldom all at once: most combinations of many mean nothing.
  isa::Clip clip() {
    isa::Clip c;
    draw_fields(c);
    c.k0 = below(40);
    c.n0 = below(40);
    c.kc = below(20);
    c.nb = below(20);
    for (auto* flag : {&c.shift, &c.image, &c.words, &c.rows, &c.last_taps, &c.w_start}) {
      if (below(2) != 0) *flag = 0;
    }
    return c;
  }
  template <typename T>
  void transfer(T& x) {
    draw_fields(x);
    for (auto* bytes : {&x.offset, &x.y_stride, &x.z_stride}) *bytes = *bytes / bus_ * bus_;
    if (!draw_.chance(0.9)) return;
    x.clip = clip();
    if (x.clip->cut != 0) x.z_count = x.clip->by_k != 0 ? x.clip->kc : x.clip->nb;
  }
  isa::Load load() {
    isa::Load x;
    transfer(x);
    const bool weights = x.target >= 2;
    x.region = weights ? 4 * below(2) : below(4);
    const auto target = static_cast<isa::LoadTarget>(x.target);
    if (config_.fine == 0 || target != isa::LoadTarget::kActivations) x.skip = 0;
    if (config_.fine == 0 || target != isa::LoadTarget::kWeights || x.clip) x.form = 0;
    if (x.clip && x.clip->rows != 0) x.y_stride %= 4096 * bus_;  // bus_ is L at most
    return x;
  }
  isa::Store store() {
    isa::Store x;
    transfer(x);
    return x;
  }
  isa::Pool pool() {
    isa::Pool x;
    draw_fields(x);
    if (!draw_.chance(0.9)) return x;
    const isa::Clip c = clip();
    x.clip.emplace();
    x.clip->k0 = c.k0;
    x.clip->n0 = c.n0;
    x.clip->kc = c.kc;
    x.clip->nb = x.blocks = 1 + c.nb;
    x.clip->need_k = c.need_k;
    x.clip->need_n = c.need_n;
    return x;
  }
  isa::Conv conv() {
    isa::Conv x;
    draw_fields(x);
    if (x.w_release != 0 || below(2) != 0) x.w_offset %= 2;
    if (x.p_release != 0 || below(2) != 0) x.p_offset %= 2;
    x.w_piece = 1 + below(500);
    x.w_sparse = below(20) == 0 ? 1 : 0;
    x.w_n_stride = 1 + x.w_n_stride % 2047;
    const bool whole = draw_.chance(0.1);
    if (config_.fine == 0 || !whole || below(2) != 0) {
      x.fine = x.pair = x.pair_cols = 0;
    } else {
      x.fine = 1;
      x.pair |= 1U;
      x.w_sparse = 0;
    }
    if (whole) return x;
    const isa::Clip c = clip();
    x.clip = c;
    x.clip->cut = x.clip->by_k = x.clip->shift = x.clip->image = x.clip->words = x.clip->rows = 0;
    x.w_sparse = 0;
    x.clip->kc = 1 + c.kc;
    x.clip->nb = 1 + c.nb;
    x.k_blocks = 1 + below(x.clip->kc);
    x.n_blocks = 1 + below(x.clip->nb);
    return x;
  }

  /// Whether decode hands on what the clip stage makes of an instruction.
  [[nodiscard]] bool runs(const isa::Instruction& clipped) const {
    const auto* x = std::get_if<isa::Conv>(&clipped);
    if (x == nullptr) return in_range(clipped);
    if (x->n_blocks == 0) {
      isa::Conv whole = *x;
      whole.n_blocks = 1;
      return runs(whole);
    }
    return in_range(clipped) && !(x->w_release != 0 && x->w_offset != 0) &&
           !(x->p_release != 0 && x->p_offset != 0) && !(x->add != 0 && x->add_shift < 13) &&
           !(x->product != 0 && x->add == 0) && !(x->w_sparse != 0 && x->w_tapwise != 0) &&
           !(x->gap != 0 && !(x->gap_first != 0 && x->gap_last != 0) && x->n_blocks != 1) &&
           x->w_offset + x->w_piece <= kWeightWords - (x->fine != 0 ? 4 : 0) &&
           (x->last == 0 || x->p_offset + x->n_blocks <= kParamBlocks);
  }
  static bool in_range(const isa::Instruction& x) {
    bool ok = true;
    std::visit(
        [&ok](const auto& i) {
          isa::for_each_field(i, [&ok](std::string_view, const auto& field, unsigned, unsigned,
                                       bool, std::int64_t low, std::int64_t high) {
            ok = ok && std::int64_t{field} >= low && std::int64_t{field} <= high;
          });
        },
        x);
    return ok;
  }

  Draw draw_;
  const isa::Config& config_;
  std::uint32_t bus_;
  std::span<const isa::LayerRow> rows_;
  isa::ClipState state_;
};

constexpr std::uint32_t kLengthBits = 7U << 6;

/// Compares one instruction; the number of words that differ.
int differences(const Sent& sent, isa::Instruction expected) {
  int wrong = 0;
  const auto engine = static_cast<unsigned>(isa::queue_of(expected));
  unsigned dispatch = 1U << engine;
  auto* conv = std::get_if<isa::Conv>(&expected);
  const bool empty = conv != nullptr && conv->n_blocks == 0;
  if (conv != nullptr && conv->last != 0) {
    dispatch |= 1U << static_cast<unsigned>(isa::Engine::kPost);
  }
  wrong += sent.push != 1U << engine;
  wrong += sent.dispatch != dispatch;
  wrong += sent.weights != (conv != nullptr && !empty);
  if (empty) {
    wrong += ((sent.bits[5] >> 3) & 0xFFU) != 0;  // n_blocks
    conv->n_blocks = 1;
  }
  if (conv != nullptr) conv->w_offset &= 0xFFFFU;
  std::vector<std::uint8_t> bytes;
  isa::encode(expected, bytes);
  // Of nops and empty CONVs the common fields count.
  const bool whole = !empty && !std::holds_alternative<isa::Nop>(expected);
  for (std::size_t i = 0; i < (whole ? bytes.size() / 4 : 3); ++i) {
    std::uint32_t value = 0, mask = i == 0 ? ~kLengthBits : ~0U;
    if (!whole && i == 2) mask = 0xFFFF;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    wrong += ((value ^ sent.bits[i]) & mask) != 0;
  }
  return wrong;
}

template <typename Model, int L>
void compare(const char* config_name) {
  const isa::Config& config = *isa::find_config(config_name);
  const std::uint64_t seed = tests::seed();
  for (int round = 0; round < tests::rounds(6); ++round) {
    INFO("ESPALIER_SEED=" << seed << " round " << round);
    ClipTester<Model, L> tester(seed + static_cast<std::uint64_t>(round));
    tester.stall = 0.3 * (round % 3);
    const auto program =
        Program(seed * 77 + static_cast<std::uint64_t>(round), config, tester.rows).make(1000);
    const auto sent = tester.run(program);
    isa::ClipState state;
    std::array<int, 3> kinds{};
    for (std::size_t i = 0; i < program.size(); ++i) {
      const auto want =
          isa::clip(program[i], tester.rows[isa::layer(program[i]) % kRows], config, state);
      const auto* conv = std::get_if<isa::Conv>(&want);
      ++kinds[std::holds_alternative<isa::Nop>(want) ? 1 : conv && conv->n_blocks == 0 ? 2 : 0];
      INFO("instruction " << i << ": " << isa::disassemble(program[i]));
      REQUIRE(differences(sent[i], want) == 0);
    }
    for (const int kind : kinds) CHECK(kind > 10);
  }
}

}  // namespace

TEST_CASE("clip rtl: 4 lanes make what the model of the clip stage makes") {
  compare<Vrtl_clip_4, 4>("nano");
}
TEST_CASE("clip rtl: 16 lanes make what the model of the clip stage makes") {
  compare<Vrtl_clip_16, 16>("edge");
}
TEST_CASE("clip rtl: 32 lanes make what the model of the clip stage makes") {
  compare<Vrtl_clip_32, 32>("wide");
}

TEST_CASE("clip rtl: the comparison sees a row that differs") {
  const isa::Config& config = *isa::find_config("edge");
  ClipTester<Vrtl_clip_16, 16> tester(1);
  isa::Store x;
  x.clip.emplace();
  x.clip->shift = 3;
  auto& row = tester.rows[0];
  row.n_live = 5;
  const auto sent = tester.run({table_load(), x});
  isa::ClipState state;
  CHECK(differences(sent[1], isa::clip(x, row, config, state)) == 0);
  row.out_shift += 1;
  CHECK(differences(sent[1], isa::clip(x, row, config, state)) == 1);
}

TEST_CASE("clip rtl: an instruction takes a cycle more for its clip word") {
  ClipTester<Vrtl_clip_16, 16> tester(2);
  tester.rows[0].k_live = 5;
  tester.rows[0].n_live = 9;
  isa::Load load;
  isa::Conv conv;
  conv.kh = 3;
  conv.kw = 2;
  conv.k_blocks = 4;
  conv.w_n_stride = 24;
  const auto cycles = [&](const std::vector<isa::Instruction>& list) {
    std::vector<isa::Instruction> program{table_load(), conv};
    auto& clip = std::get<isa::Conv>(program[1]).clip.emplace();  // waits for the table
    clip.kc = clip.nb = 1;
    program.insert(program.end(), list.begin(), list.end());
    const auto sent = tester.run(program);
    return sent.back().cycle - sent[sent.size() - 1 - list.size()].cycle;
  };
  CHECK(cycles({load}) == 2 + 3);
  CHECK(cycles({conv}) == 5 + 3);
  load.clip.emplace();
  CHECK(cycles({load}) == 3 + 6);
  conv.clip.emplace();
  conv.clip->kc = 4;
  conv.clip->nb = 1;
  CHECK(cycles({conv}) == 6 + 4);
  conv.clip->k0 = 4;
  CHECK(cycles({conv}) == 6 + 4);
  CHECK(cycles({conv, conv}) == 2 * (6 + 4));
}
