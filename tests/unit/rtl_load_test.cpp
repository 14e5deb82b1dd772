// esp_load: strides, 4 KiB lines, ring credit, tables, faults, and how soon bursts follow each
// other.

#include <deque>
#include <random>

#include "Vrtl_load_rings.h"
#include "Vrtl_load_table.h"
#include "catch.hpp"
#include "seed.hpp"
#include "verilated_block.hpp"

using namespace espalier;
using isa::Load;

namespace {

constexpr std::uint32_t kLow = 0x1000, kHigh = 0x20000, kBase = 0x2000;

/// A LOAD engine with the memory and the sinks around it, checked word by word.
/// `Model`: lanes and bus as in tests/unit/CMakeLists.txt.
template <typename Model, std::uint32_t Lanes, std::uint32_t Bus>
class LoadTester {
 public:
  explicit LoadTester(double stall = 0) : stall_(stall), random_(tests::seed()), memory_(kHigh) {
    for (auto& byte : memory_) byte = static_cast<std::uint8_t>(random_());
    block_->halt_i = block_->load_valid_i = block_->r_valid_i = 0;
    block_->base0_i = block_->base1_i = 0;
    block_->region_base_i = kBase;
    block_->window_low_i = kLow;
    block_->window_high_i = kHigh;
    block_.reset();
  }
  void add(const Load& load, std::uint32_t table_step = 1) {
    loads_.push_back(load);
    const bool sink = (load.target & 1U) != 0;
    std::uint32_t word = 0;
    for (std::uint32_t z = 0; z < load.z_count; ++z) {
      for (std::uint32_t y = 0; y < load.y_count; ++y) {
        for (std::uint32_t x = 0; x < load.x_words; ++x, ++word) {
          const std::uint32_t at =
              kBase + load.offset + z * load.z_stride + y * load.y_stride + x * Lanes;
          const std::uint32_t left_out = load.skip != 0 ? z : 0;
          expected_.push_back(
              {sink, load.sram_address + word * (sink ? table_step : 1) + left_out, at, load.form});
        }
      }
    }
    ++given_;
  }
  /// Runs until all has retired, or a fault, or `limit` cycles.
  void run(int limit = 100000) {
    for (int i = 0; i < limit && retired_ < given_ && fault == 0; ++i) cycle();
  }
  void cycle() {
    ++now;
    block_->load_valid_i = !loads_.empty();
    if (!loads_.empty()) {
      tests::put_instruction(block_->load_i, loads_.front());
      block_->load_address_i = 0x100 * accepted_;
    }
    block_->req_ready_i = beats_.size() < 8 * 16 && !stalls();
    const bool beat = !beats_.empty() && beats_.front().due <= now && (shown_ || !stalls());
    shown_ = beat;
    block_->r_valid_i = beat;
    if (beat) {
      std::memcpy(&block_->r_data_i, memory_.data() + beats_.front().at, Bus);
      block_->r_last_i = beats_.front().last;
      block_->r_tag_i = static_cast<std::uint8_t>(beats_.front().tag);
      block_->r_error_i = beats_.front().at == error_at;
    }
    block_->word_ready_i = stalls() ? 0 : 3;
    block_.settle();
    if (block_->load_valid_i && block_->load_ready_o) {
      loads_.pop_front();
      ++accepted_;
    }
    if (block_->req_valid_o && block_->req_ready_i) take_burst();
    if (block_->r_valid_i && block_->r_ready_o) {
      beats_.pop_front();
      shown_ = false;
    }
    if (const unsigned sink = block_->word_valid_o & block_->word_ready_i; sink != 0) check(sink);
    if (block_->retire_o) {
      ++retired_;
      retired_at.push_back(words);
    }
    if (block_->fault_o && fault == 0) {
      fault = block_->fault_cause_o;
      fault_address = block_->fault_address_o;
    }
    block_.edge();
  }
  tests::VerilatedBlock<Model>& block() { return block_; }
  [[nodiscard]] bool complete() const { return retired_ == given_ && expected_.empty(); }

  std::uint64_t now = 0, words = 0;
  std::array<std::uint64_t, 2> sink_words{};
  std::vector<std::uint64_t> burst_at;  // cycles
  std::vector<std::uint32_t> burst_beats;
  std::vector<std::uint64_t> retired_at;  // in words
  std::uint32_t fault = 0, fault_address = 0, error_at = 0;

 private:
  struct Word {
    bool sink;
    std::uint32_t to, from;
    std::uint32_t form;
  };
  struct Beat {
    std::uint32_t at;
    bool last;
    std::uint32_t tag;  // {sink, last burst}
    std::uint64_t due;
  };
  bool stalls() { return stall_ > 0 && std::uniform_real_distribution<>()(random_) < stall_; }
  void take_burst() {
    const std::uint32_t at = block_->req_address_o, beats = block_->req_beats_o;
    REQUIRE(beats >= 1);
    REQUIRE(beats <= 16);
    REQUIRE(at % 4096 + beats * Bus <= 4096);
    REQUIRE(at >= kLow);
    REQUIRE(at + beats * Bus <= kHigh);
    burst_at.push_back(now);
    burst_beats.push_back(beats);
    for (std::uint32_t i = 0; i < beats; ++i) {
      beats_.push_back({at + i * Bus, i + 1 == beats, block_->req_tag_o, now + 60});
    }
  }
  void check(unsigned sink) {
    REQUIRE_FALSE(expected_.empty());
    const Word& word = expected_.front();
    REQUIRE(sink == (word.sink ? 2U : 1U));
    REQUIRE(block_->word_address_o == (word.to & 0xFFFFU));
    REQUIRE(std::memcmp(&block_->word_data_o, memory_.data() + word.from, Lanes) == 0);
    REQUIRE(block_->word_form_o == word.form);
    expected_.pop_front();
    ++words;
    ++sink_words[sink - 1];
  }

  double stall_;
  std::mt19937_64 random_;
  std::vector<std::uint8_t> memory_;
  tests::VerilatedBlock<Model> block_;
  std::deque<Load> loads_;
  std::deque<Word> expected_;
  std::deque<Beat> beats_;
  std::uint32_t given_ = 0, accepted_ = 0, retired_ = 0;
  bool shown_ = false;
};

// Two beats a word; sink 0 is a ring of 64 words, sink 1 one of 32.
using RingTester = LoadTester<Vrtl_load_rings, 16, 8>;
// One beat a word; sink 1 is a table of 128 entries, two a word.
using TableTester = LoadTester<Vrtl_load_table, 8, 8>;

Load load(std::uint32_t target, std::uint32_t offset, std::uint32_t x, std::uint32_t y = 1,
          std::uint32_t y_stride = 0, std::uint32_t z = 1, std::uint32_t z_stride = 0,
          std::uint32_t to = 0) {
  Load l;
  l.target = target;
  l.offset = offset;
  l.x_words = x;
  l.y_count = y;
  l.y_stride = y_stride;
  l.z_count = z;
  l.z_stride = z_stride;
  l.sram_address = to;
  return l;
}

}  // namespace

TEST_CASE("load: rows and planes by their strides, with and without stalls") {
  for (const double stall : {0.0, 0.4}) {
    TableTester tester(stall);
    tester.add(load(0, 0, 1));
    tester.add(load(0, 8, 16, 3, 1000, 4, 8000, 65530));
    tester.add(load(0, 4088, 40, 5, 328, 1, 0, 100));
    tester.add(load(0, 0, 600, 1, 0, 2, 8));
    tester.run();
    REQUIRE(tester.complete());
    REQUIRE(tester.retired_at == std::vector<std::uint64_t>{1, 193, 393, 1593});
  }
}

TEST_CASE("load: random transfers") {
  INFO("seed " << tests::seed(7));
  std::mt19937_64 random(tests::seed(7));
  const auto pick = [&](std::uint32_t limit) {
    return static_cast<std::uint32_t>(random() % limit);
  };
  for (int round = 0; round < tests::rounds(1); ++round) {
    TableTester tester(0.2);
    for (int i = 0; i < 200; ++i) {
      Load any = load(0, 8 * pick(1000), 1 + pick(40), 1 + pick(4), 8 * pick(200), 1 + pick(3),
                      8 * pick(1000), pick(65536));
      any.skip = pick(2);
      tester.add(any);
    }
    tester.run(200000);
    REQUIRE(tester.complete());
  }
}

TEST_CASE("load: rows of one beat start a burst every second cycle, and the next LOAD loses two") {
  TableTester tester;
  tester.add(load(0, 0, 1, 6, 64));
  tester.add(load(0, 0, 1, 6, 64));
  tester.run();
  REQUIRE(tester.burst_at.size() == 12);
  for (std::size_t i = 1; i < 12; ++i) {
    REQUIRE(tester.burst_at[i] - tester.burst_at[i - 1] <= (i == 6 ? 4U : 2U));
  }
}

TEST_CASE("load: a long row moves a beat a cycle") {
  TableTester tester;
  tester.add(load(0, 0, 2000));
  tester.run();
  REQUIRE(tester.complete());
  REQUIRE(tester.now < 2000 + 80);
}

TEST_CASE("load: a ring gets no more than it has room for") {
  RingTester tester;
  auto& block = tester.block();
  tester.add(load(2, 4096 - 8, 100));  // words straddle the 4 KiB line
  for (int i = 0; i < 500; ++i) tester.cycle();
  REQUIRE(tester.words <= 64);
  REQUIRE(tester.words >= 56);  // less than a burst short of full
  REQUIRE(block->wait_room_o);
  const std::uint64_t before = tester.words;
  block->base0_i = 20;
  for (int i = 0; i < 500; ++i) tester.cycle();
  REQUIRE(tester.words > before);
  REQUIRE(tester.words <= 84);
  block->base0_i = 64;
  tester.run();
  REQUIRE(tester.complete());
}

TEST_CASE("load: rings count their room apart, across the wrap of their bases") {
  INFO("seed " << tests::seed(3));
  std::mt19937_64 random(tests::seed(3));
  RingTester tester(0.3);
  auto& block = tester.block();
  std::array<std::uint64_t, 2> back{};
  for (int i = 0; i < 300; ++i) {
    const auto sink = static_cast<std::uint32_t>(random() % 2);
    Load any = load(2 + sink, static_cast<std::uint32_t>(8 * (random() % 1000)),
                    static_cast<std::uint32_t>(1 + random() % 12));
    any.form = static_cast<std::uint32_t>(sink == 0 ? random() % 5 : 0);
    tester.add(any);
  }
  for (int i = 0; i < 60000 && !tester.complete(); ++i) {
    tester.cycle();
    for (std::size_t s = 0; s < 2; ++s) {
      REQUIRE(tester.sink_words[s] - back[s] <= (s == 0 ? 64U : 32U));
      if (random() % 4 == 0 && back[s] < tester.sink_words[s]) ++back[s];
    }
    block->base0_i = back[0] & 127U;
    block->base1_i = back[1] & 63U;
  }
  REQUIRE(tester.complete());
  REQUIRE(tester.sink_words[0] > 128);  // round the ring and its count
  REQUIRE(tester.sink_words[1] > 64);
}

TEST_CASE("load: table entries, and the fault past the last one") {
  TableTester tester;
  tester.add(load(1, 0, 60, 1, 0, 1, 0, 8), 2);
  tester.run();
  REQUIRE(tester.complete());
  REQUIRE(tester.fault == 0);
  tester.add(load(1, 0, 2, 1, 0, 1, 0, 125), 2);
  tester.run(1000);
  REQUIRE(tester.fault == static_cast<std::uint32_t>(isa::Fault::kCapacity));
  REQUIRE(tester.fault_address == 0x100);
}

TEST_CASE("load: a burst outside the window is a fault and never asked for") {
  const auto outside = [](std::uint32_t offset, std::uint32_t words, std::uint32_t less = 0) {
    TableTester tester;
    tester.block()->window_high_i = kHigh - less;
    tester.add(load(0, 0, 4));
    tester.add(load(0, offset, words));
    tester.run(1000);
    return std::pair(tester.fault, tester.fault_address);
  };
  const auto window = static_cast<std::uint32_t>(isa::Fault::kReadWindow);
  REQUIRE(outside(kHigh - kBase - 8, 1).first == 0);
  REQUIRE(outside(kHigh - kBase - 8, 2) == std::pair(window, 0x100U));
  REQUIRE(outside(kHigh - kBase, 1) == std::pair(window, 0x100U));
  REQUIRE(outside(0U - (kBase - kLow) - 8, 1) == std::pair(window, 0x100U));
  REQUIRE(outside(0U - (kBase - kLow), 1).first == 0);
  REQUIRE(outside(0U - kBase - 8, 1) == std::pair(window, 0x100U));  // the last word of 4 GiB
  // A burst that starts inside and ends past a limit within a 4 KiB line.
  REQUIRE(outside(kHigh - kBase - 0x100 - 8, 1, 0x100).first == 0);
  REQUIRE(outside(kHigh - kBase - 0x100 - 8, 2, 0x100) == std::pair(window, 0x100U));
}

TEST_CASE("load: an error response is a fault of the LOAD whose data it is") {
  TableTester tester;
  tester.error_at = kBase + 0x800 + 3 * 8;
  tester.add(load(0, 0, 4));
  tester.add(load(0, 0x800, 4));
  tester.add(load(0, 0x900, 4));
  tester.run(1000);
  REQUIRE(tester.fault == static_cast<std::uint32_t>(isa::Fault::kReadResponse));
  REQUIRE(tester.fault_address == 0x100);
}
