// esp_squeeze: live bytes of random beats, padded now and then, against a plain list.

#include <deque>

#include "Vrtl_squeeze_16x1.h"
#include "Vrtl_squeeze_32x1.h"
#include "Vrtl_squeeze_4x1.h"
#include "Vrtl_squeeze_4x4.h"
#include "Vrtl_squeeze_8x1.h"
#include "Vrtl_squeeze_8x2.h"
#include "catch.hpp"
#include "seed.hpp"
#include "verilated_bench.hpp"

using namespace espalier;

namespace {

/// Offers steps, and compares words, of `Beats` beats, and their cycles with what the steps should
/// give.
template <typename Model, int Lanes, int Beats = 1>
class SqueezeTester {
 public:
  static constexpr int kWord = Lanes * Beats;
  static constexpr std::uint64_t kLatency =
      Beats == 1 ? 4 : 5;  ///< from the step that fills a word

  explicit SqueezeTester(std::uint64_t seed) : draw_(seed) { bench_->valid_i = 0; }

  double share = 0.5, pads = 0.1, zeros = 0.1, stall_in = 0;
  int spoiled = 0;  ///< bytes to expect wrongly
  std::uint64_t cycles = 0;

  /// Differences in `steps` steps.
  int run(int steps) {
    auto& m = *bench_;
    int wrong = 0, left = steps;
    const std::uint64_t start = bench_.cycle();
    while (left > 0 || !words_.empty()) {
      REQUIRE(bench_.cycle() - start < 100U * static_cast<unsigned>(steps) + 100);
      m.valid_i = left > 0 && !draw_.chance(stall_in);
      if (m.valid_i) {
        m.pad_i = draw_.chance(pads);
        m.zero_i = m.pad_i || draw_.chance(zeros);
        m.mask_i = 0;
        for (int i = 0; i < Lanes; ++i) {
          tests::set_port_byte(m.data_i, i, draw_.byte());
          if (draw_.chance(share)) m.mask_i |= 1U << i;
        }
        step();
        --left;
      }
      bench_.settle();
      REQUIRE(m.valid_o == (!words_.empty() && words_.front().due == bench_.cycle()));
      if (m.valid_o) {
        const auto& want = words_.front().bytes;
        for (int i = 0; i < kWord; ++i) wrong += tests::port_byte(m.data_o, i) != want[i];
        words_.pop_front();
      }
      bench_.tick();
    }
    cycles = bench_.cycle() - start;
    return wrong;
  }

 private:
  void step() {
    auto& m = *bench_;
    if (m.pad_i) waiting_.resize((waiting_.size() / Lanes + 1) * Lanes, 0);
    for (int i = 0; i < Lanes && !m.pad_i; ++i) {
      if ((m.mask_i >> i) & 1U) {
        waiting_.push_back(m.zero_i ? std::int8_t{0} : tests::port_byte(m.data_i, i));
      }
    }
    if (waiting_.size() < kWord) return;
    words_.push_back({bench_.cycle() + kLatency, {waiting_.begin(), waiting_.begin() + kWord}});
    waiting_.erase(waiting_.begin(), waiting_.begin() + kWord);
    if (spoiled-- > 0) words_.back().bytes[kWord / 2] ^= 1;
  }

  struct Word {
    std::uint64_t due;
    std::vector<std::int8_t> bytes;
  };

  tests::VerilatedBench<Model> bench_;
  tests::Draw draw_;
  std::vector<std::int8_t> waiting_;
  std::deque<Word> words_;
};

template <typename Model, int Lanes, int Beats = 1>
void compare() {
  for (int round = 0; round < tests::rounds(9); ++round) {
    const std::uint64_t seed = tests::seed() + static_cast<std::uint64_t>(round);
    INFO("ESPALIER_SEED=" << seed);
    SqueezeTester<Model, Lanes, Beats> tester(seed);
    tester.share = 0.125 * round;
    tester.stall_in = 0.2 * (round % 3);
    CHECK(tester.run(2000) == 0);
  }
}

}  // namespace

TEST_CASE("squeeze: 4 lanes") { compare<Vrtl_squeeze_4x1, 4>(); }
TEST_CASE("squeeze: 8 lanes") { compare<Vrtl_squeeze_8x1, 8>(); }
TEST_CASE("squeeze: 16 lanes") { compare<Vrtl_squeeze_16x1, 16>(); }
TEST_CASE("squeeze: 32 lanes") { compare<Vrtl_squeeze_32x1, 32>(); }
TEST_CASE("squeeze: words of two beats") { compare<Vrtl_squeeze_8x2, 8, 2>(); }
TEST_CASE("squeeze: words of four beats") { compare<Vrtl_squeeze_4x4, 4, 4>(); }

TEST_CASE("squeeze: every mask of 8 lanes at every fill") {
  SqueezeTester<Vrtl_squeeze_8x1, 8> tester(5);
  tester.pads = 0.01;
  CHECK(tester.run(20000) == 0);  // 2,048 cases, ten times each
}
TEST_CASE("squeeze: every mask of 8 lanes at every fill of two beats") {
  SqueezeTester<Vrtl_squeeze_8x2, 8, 2> tester(8);
  tester.pads = 0.01;
  CHECK(tester.run(40000) == 0);  // 4,096 cases, ten times each
}
TEST_CASE("squeeze: the comparison sees one wrong bit") {
  SqueezeTester<Vrtl_squeeze_8x1, 8> tester(6);
  tester.spoiled = 1;
  CHECK(tester.run(100) == 1);
}
TEST_CASE("squeeze: takes a beat a cycle") {
  SqueezeTester<Vrtl_squeeze_16x1, 16> tester(7);
  tester.share = 1;
  tester.pads = 0;
  CHECK(tester.run(1000) == 0);
  CHECK(tester.cycles == 1000 + tester.kLatency);
}
