// esp_decode with its clip stage against isa::clip: random instructions, rows and stalls.

#include <array>
#include <deque>

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
    m.program_address_i = 0;
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
    bool loaded = false;
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
      m.table_done_i = !loading.empty() && loading.front() <= bench_.cycle();
      bench_.settle();
      INFO(isa::disassemble(program[sent.size()]) << " cause " << int{m.fault_cause_o});
      REQUIRE_FALSE(m.fault_o);
      const bool taken = m.word_valid_i && m.word_ready_o;
      if ((m.push_o & m.ready_i) != 0) {
        Sent x;
        x.push = m.push_o;
        x.dispatch = m.dispatch_o;
        x.weights = m.wconv_push_o;
        x.cycle = bench_.cycle();
        for (std::size_t i = 0; i < x.bits.size(); ++i) x.bits[i] = tests::port_word(m.inst_o, i);
        const auto* load = std::get_if<isa::Load>(&program[sent.size()]);
        if (load != nullptr && load->target == 4) {
          loading.push_back(std::max(bench_.cycle(), loading.empty() ? 0 : loading.back()) + 1 +
                            draw_.word() % 30);
        }
        sent.push_back(x);
      }
      const bool read = m.table_ren_o;
      const std::size_t row = m.table_raddr_o;
      const bool done = m.table_done_i;
      bench_.tick();
      if (taken) at += kWordBytes;
      if (done) {
        loading.pop_front();
        loaded = loading.empty();
      }
      for (int i = 0; read && i < kWidth / 32; ++i) {
        std::uint32_t value = draw_.word();
        if (loaded) std::memcpy(&value, table.data() + row * kWidth / 8 + 4U * i, 4);
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

/// Legal instructions as a compiler could write them.
class Program {
 public:
  Program(std::uint64_t seed, std::uint32_t bus) : draw_(seed), bus_(bus) {}

  std::vector<isa::Instruction> make(int count) {
    std::vector<isa::Instruction> list{table_load()};
    for (int i = 0; i < count; ++i) {
      switch (draw_.range(0, 9)) {
        case 0:
          list.push_back(draw_.chance(0.2) ? table_load() : load());
          break;
        case 1:
        case 2:
          list.push_back(load());
          break;
        case 3:
          list.push_back(store());
          break;
        case 4:
          list.push_back(pool());
          break;
        default:
          list.push_back(conv());
      }
      set_common(list.back());
    }
    return list;
  }

 private:
  std::uint32_t below(std::uint32_t n) { return draw_.word() % n; }

  void set_common(isa::Instruction& x) {
    std::array<isa::Dependency, 3> needs;
    for (auto& need : needs) {
      need = {static_cast<isa::Engine>(below(7)), static_cast<std::uint16_t>(draw_.word())};
    }
    isa::set_dependencies(x, needs);
    std::visit([&](auto& i) { i.layer = below(kRows); }, x);
  }
  isa::Clip clip() {
    isa::Clip c;
    c.k0 = below(40);
    c.n0 = below(40);
    c.kc = 1 + below(20);
    c.nb = 1 + below(20);
    c.cut = below(2);
    c.by_k = below(2);
    c.need_k = below(2);
    c.need_n = below(2);
    c.shift = below(4);
    c.last_taps = below(2);
    return c;
  }
  template <typename T>
  void transfer(T& x) {
    x.offset = draw_.word() / bus_ * bus_;
    x.x_words = 1 + below(500);
    x.y_count = 1 + below(draw_.chance(0.1) ? 60000 : 20);
    x.z_count = 1 + below(20);
    x.y_stride = draw_.word() / bus_ * bus_;
    x.z_stride = draw_.word() / bus_ * bus_;
    if (!draw_.chance(0.9)) return;
    x.clip = clip();
    // What counts blocks has some left, or is a nop.
    if (x.clip->cut != 0) (x.clip->by_k != 0 ? x.clip->need_k : x.clip->need_n) = 1;
    x.clip->words = below(4) == 0 ? 1 : 0;
    if (x.clip->words != 0) x.clip->shift = 0;  // one of the two is read
  }
  isa::Load load() {
    isa::Load x;
    transfer(x);
    x.target = below(4);
    x.sram_address = draw_.word() & 0xFFFFU;
    if (x.clip) {
      x.clip->image = x.target < 2 ? 0 : below(2);
      x.clip->rows = x.clip->words != 0 ? 0 : below(2);
      if (x.clip->rows != 0) {
        x.clip->need_k = 1;
        x.y_stride %= 4096 * bus_;  // of no more than 4095 k blocks; bus_ is L at most
      }
    }
    return x;
  }
  isa::Store store() {
    isa::Store x;
    transfer(x);
    x.source = below(2);
    x.region = below(4);
    return x;
  }
  isa::Pool pool() {
    isa::Pool x;
    x.blocks = 1 + below(30);
    x.scale = draw_.word();
    if (draw_.chance(0.9)) {
      x.clip = clip();
      x.clip->by_k = x.clip->shift = 0;
      x.clip->need_n = 1;
    }
    return x;
  }
  isa::Conv conv() {
    isa::Conv x;
    x.kh = 1 + below(draw_.chance(0.2) ? 11 : 3);
    x.kw = 1 + below(draw_.chance(0.2) ? 11 : 3);
    x.k_blocks = 1 + below(20);
    x.n_blocks = 1 + below(20);
    x.rows = 1 + below(4000);
    x.gap_scale = draw_.word();
    x.last = below(2);
    x.w_tapwise = below(2);
    x.w_release = below(2);
    x.w_piece = 1 + below(500);
    x.w_n_stride = 1 + below(2047);
    x.w_tap_stride = x.w_tapwise != 0 ? x.w_piece : x.k_blocks;
    if (draw_.chance(0.1)) return x;
    x.clip = clip();
    x.clip->need_k = x.clip->need_n = 1;
    x.clip->shift = 0;
    // Weights that stay follow each other from a tile's first unit on.
    x.clip->w_start = x.w_release == 0 && (released_ || draw_.chance(0.1)) ? 1 : 0;
    released_ = x.w_release != 0;
    return x;
  }

  Draw draw_;
  std::uint32_t bus_;
  bool released_ = true;
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
    const auto program = Program(seed * 77 + static_cast<std::uint64_t>(round),
                                 static_cast<std::uint32_t>(config.bus_bytes))
                             .make(400);
    const auto sent = tester.run(program);
    isa::ClipState state;
    std::array<int, 3> kinds{};
    for (std::size_t i = 0; i < program.size(); ++i) {
      const auto want = isa::clip(program[i], tester.rows[isa::layer(program[i])], config, state);
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
  CHECK(cycles({load}) == 2 + 2);
  CHECK(cycles({conv}) == 5 + 2);
  load.clip.emplace();
  CHECK(cycles({load}) == 3 + 2);
  conv.clip.emplace();
  conv.clip->kc = 4;
  conv.clip->nb = 1;
  CHECK(cycles({conv}) == 6 + 2);
  conv.clip->k0 = 4;
  CHECK(cycles({conv}) == 6 + 2);
  CHECK(cycles({conv, conv}) == 2 * (6 + 2));
}
