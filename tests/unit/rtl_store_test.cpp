// esp_store: two streams, strides, 4 KiB lines, several STOREs in flight, faults.

#include <deque>
#include <map>
#include <random>

#include "Vrtl_store.h"
#include "catch.hpp"
#include "seed.hpp"
#include "tb/axi_memory.hpp"
#include "verilated_block.hpp"

using namespace espalier;
using isa::Store;

namespace {

constexpr std::uint32_t kLanes = 16, kBus = 8;
constexpr std::uint32_t kLow = 0x1000, kHigh = 0x20000, kBase = 0x2000;

class StoreTester {
 public:
  explicit StoreTester(double stall = 0, double gaps = 0)
      : gaps_(gaps), random_(tests::seed(5)), memory_({60, 40, stall, tests::seed(9)}) {
    memory_.bytes().assign(kHigh, 0);
    expected_.assign(kHigh, 0);
    block_->halt_i = block_->store_valid_i = block_->word_valid_i = 0;
    block_->m_axi_bvalid_i = block_->m_axi_awready_i = block_->m_axi_wready_i = 0;
    block_->region_base_i = kBase;
    block_->window_low_i = kLow;
    block_->window_high_i = kHigh;
    block_.reset();
  }
  /// The words of a STORE are random; `feed` false leaves its stream empty.
  void add(const Store& store, bool feed = true) {
    stores_.push_back(store);
    for (std::uint32_t z = 0; z < store.z_count; ++z) {
      for (std::uint32_t y = 0; y < store.y_count; ++y) {
        for (std::uint32_t x = 0; x < store.x_words; ++x) {
          const std::uint32_t at =
              kBase + store.offset + z * store.z_stride + y * store.y_stride + x * kLanes;
          std::array<std::uint8_t, kLanes> word{};
          for (auto& byte : word) byte = static_cast<std::uint8_t>(random_());
          if (std::uint64_t{at} + kLanes <= kHigh)
            std::copy(word.begin(), word.end(), expected_.begin() + at);
          if (feed) streams_[store.source].push_back(word);
        }
      }
    }
  }
  void run(int limit = 20000) {
    const auto all = retired.size() + stores_.size();
    for (int i = 0; i < limit && retired.size() < all && fault == 0; ++i) cycle();
  }
  void cycle() {
    ++now;
    memory_.drive();
    block_->store_valid_i = !stores_.empty();
    if (!stores_.empty()) {
      tests::put_instruction(block_->store_i, stores_.front());
      block_->store_address_i = 0x100 * accepted_;
    }
    unsigned valid = block_->word_valid_i & ~taken_;
    for (std::size_t s = 0; s < 2; ++s) {
      if (streams_[s].empty() || ((valid >> s) & 1U) != 0) continue;
      if (gaps_ > 0 && std::uniform_real_distribution<>()(random_) < gaps_) continue;
      valid |= 1U << s;
      std::memcpy(reinterpret_cast<std::uint8_t*>(&block_->word_data_i) + s * kLanes,
                  streams_[s].front().data(), kLanes);
    }
    block_->word_valid_i = static_cast<CData>(valid);
    block_->m_axi_awready_i = memory_.aw_ready();
    block_->m_axi_wready_i = memory_.w_ready();
    block_->m_axi_bvalid_i = memory_.b_valid();
    if (memory_.b_valid()) {
      block_->m_axi_bresp_i = now_answer_ == error_answer ? tb::kSlaveError : memory_.b_response();
    }
    block_.settle();
    taken_ = block_->word_valid_i & block_->word_ready_o;
    for (std::size_t s = 0; s < 2; ++s) {
      if (((taken_ >> s) & 1U) != 0) streams_[s].pop_front();
    }
    if (block_->store_valid_i && block_->store_ready_o) {
      stores_.pop_front();
      ++accepted_;
    }
    if (block_->retire_o) retired.push_back(now);
    if (block_->fault_o && fault == 0) {
      fault = block_->fault_cause_o;
      fault_address = block_->fault_address_o;
    }
    if (memory_.b_valid() && block_->m_axi_bready_o) {
      memory_.take_b();
      ++now_answer_;
      --unanswered_;
    }
    if (memory_.w_ready() && block_->m_axi_wvalid_o) {
      memory_.take_w(&block_->m_axi_wdata_o, block_->m_axi_wlast_o);
      ++beats;
    }
    if (memory_.aw_ready() && block_->m_axi_awvalid_o) {
      memory_.take_aw(block_->m_axi_awaddr_o, block_->m_axi_awlen_o + 1U);
      REQUIRE(++unanswered_ <= 8);
      bursts.push_back(block_->m_axi_awlen_o + 1U);
    }
    block_.edge();
    memory_.tick();
  }
  bool correct() { return memory_.bytes() == expected_; }
  tests::VerilatedBlock<Vrtl_store>& block() { return block_; }

  std::uint64_t now = 0, beats = 0;
  std::vector<std::uint64_t> retired;
  std::vector<std::uint32_t> bursts;
  std::uint32_t fault = 0, fault_address = 0;
  std::uint64_t error_answer = ~0ULL;

 private:
  double gaps_;
  std::mt19937_64 random_;
  tb::AxiMemory<kBus> memory_;
  std::vector<std::uint8_t> expected_;
  std::deque<Store> stores_;
  std::array<std::deque<std::array<std::uint8_t, kLanes>>, 2> streams_;
  tests::VerilatedBlock<Vrtl_store> block_;
  unsigned taken_ = 0;
  std::uint32_t accepted_ = 0;
  int unanswered_ = 0;
  std::uint64_t now_answer_ = 0;
};

Store store(std::uint32_t source, std::uint32_t offset, std::uint32_t x, std::uint32_t y = 1,
            std::uint32_t y_stride = 0, std::uint32_t z = 1, std::uint32_t z_stride = 0) {
  Store s;
  s.source = source;
  s.offset = offset;
  s.x_words = x;
  s.y_count = y;
  s.y_stride = y_stride;
  s.z_count = z;
  s.z_stride = z_stride;
  return s;
}

}  // namespace

TEST_CASE("store: words of both streams by strides, with stalls and gaps") {
  for (const double stall : {0.0, 0.4}) {
    StoreTester tester(stall, stall / 2);
    tester.add(store(0, 0, 1));
    tester.add(store(1, 64, 5, 3, 400, 2, 2000));
    tester.add(store(0, 0x2000 - 8, 30));  // a word straddles the 4 KiB line
    tester.add(store(1, 0x4000, 100));
    tester.run();
    REQUIRE(tester.retired.size() == 4);
    REQUIRE(tester.correct());
  }
}

TEST_CASE("store: random transfers, in both streams") {
  INFO("seed " << tests::seed(11));
  std::mt19937_64 random(tests::seed(11));
  for (int round = 0; round < tests::rounds(1); ++round) {
    StoreTester tester(0.2, 0.2);
    std::uint32_t at = 0;
    for (int i = 0; i < 60; ++i) {
      const auto x = static_cast<std::uint32_t>(1 + random() % 20);
      const auto y = static_cast<std::uint32_t>(1 + random() % 3);
      const auto stride = x * kLanes + 8 * static_cast<std::uint32_t>(random() % 4);
      tester.add(store(static_cast<std::uint32_t>(random() % 2), at, x, y, stride));
      at += y * stride;
    }
    REQUIRE(at < kHigh - kBase);
    tester.run(60000);
    REQUIRE(tester.retired.size() == 60);
    REQUIRE(tester.correct());
  }
}

TEST_CASE("store: a beat a cycle, and the next STORE does not wait for answers") {
  StoreTester tester;
  for (std::uint32_t i = 0; i < 8; ++i) tester.add(store(0, 0x400 * i, 64));
  tester.run();
  REQUIRE(tester.retired.size() == 8);
  REQUIRE(tester.correct());
  REQUIRE(tester.beats == 1024);
  REQUIRE(tester.now < 1024 + 100);
}

TEST_CASE("store: no address is sent before the burst's words are there") {
  StoreTester tester;
  tester.add(store(0, 0, 8), false);
  for (int i = 0; i < 100; ++i) tester.cycle();
  REQUIRE(tester.bursts.empty());
}

TEST_CASE("store: a burst outside the window is a fault and never sent") {
  const auto outside = [](std::uint32_t offset, std::uint32_t words, std::uint32_t less = 0) {
    StoreTester tester;
    tester.block()->window_high_i = kHigh - less;
    tester.add(store(0, 0, 4));
    tester.add(store(1, offset, words));
    tester.run(1000);
    return std::pair(tester.fault, tester.fault_address);
  };
  const auto window = static_cast<std::uint32_t>(isa::Fault::kWriteWindow);
  REQUIRE(outside(kHigh - kBase - 16, 1).first == 0);
  REQUIRE(outside(kHigh - kBase - 16, 2) == std::pair(window, 0x100U));
  REQUIRE(outside(0U - 0x1000, 1).first == 0);
  REQUIRE(outside(0U - 0x1000 - 16, 1) == std::pair(window, 0x100U));
  REQUIRE(outside(0U - kBase - 16, 1) == std::pair(window, 0x100U));
  // A burst that starts inside and ends past a limit within a 4 KiB line.
  REQUIRE(outside(kHigh - kBase - 0x100 - 16, 1, 0x100).first == 0);
  REQUIRE(outside(kHigh - kBase - 0x100 - 16, 2, 0x100) == std::pair(window, 0x100U));
  REQUIRE(outside(kHigh - kBase - 0x108 - 16, 2, 0x100) == std::pair(window, 0x100U));
}

TEST_CASE("store: an error response is a fault of the STORE that it answers") {
  StoreTester tester;
  tester.error_answer = 1;
  for (std::uint32_t i = 0; i < 3; ++i) tester.add(store(0, 0x100 * i, 4));
  tester.run(1000);
  REQUIRE(tester.fault == static_cast<std::uint32_t>(isa::Fault::kWriteResponse));
  REQUIRE(tester.fault_address == 0x100);
}

TEST_CASE("store: halted, bursts under way are finished and no other is sent") {
  StoreTester tester(0.5);
  tester.add(store(0, 0, 200));
  for (int i = 0; i < 60; ++i) tester.cycle();
  tester.block()->halt_i = 1;
  tester.cycle();
  tester.cycle();
  const std::size_t sent = tester.bursts.size();
  REQUIRE(sent > 0);
  for (int i = 0; i < 500; ++i) tester.cycle();
  REQUIRE(tester.bursts.size() <= sent + 1);  // one may have stood at the port
  REQUIRE(tester.block()->quiet_o);
  std::uint64_t due = 0;
  for (const auto beats : tester.bursts) due += beats;
  REQUIRE(tester.beats == due);
}

TEST_CASE("store: the assertions notice an answer to nothing") {
  StoreTester tester;
  auto& block = tester.block();
  block.context().fatalOnError(false);
  tester.cycle();
  REQUIRE_FALSE(block.context().gotError());
  block->m_axi_bvalid_i = 1;
  block.settle();
  block.edge();
  REQUIRE(block.context().gotError());
}
