// esp_pool against direct computation: windows, strides, padding, overhang, tables, wrap, stalls.

#include <Vrtl_pool_16.h>
#include <Vrtl_pool_32.h>
#include <Vrtl_pool_4.h>
#include <Vrtl_pool_8.h>
#include <Vrtl_pool_squeeze_16.h>
#include <Vrtl_pool_squeeze_4.h>
#include <Vrtl_pool_squeeze_8.h>

#include <algorithm>
#include <type_traits>

#include "catch.hpp"
#include "rtl_pool_bench.hpp"
#include "seed.hpp"

namespace {

using namespace espalier::tests;

using Nano = PoolTester<Vrtl_pool_4, 4>;
using Tiny = PoolTester<Vrtl_pool_8, 8>;
using Edge = PoolTester<Vrtl_pool_16, 16>;
using Wide = PoolTester<Vrtl_pool_32, 32>;

// With the squeezer. 4 lanes: a slice a word, and a beat. 8: two slices a word, in one beat, which
// is what has least room in the FIFO. 16: eight slices in two beats.
using NanoSqueeze = PoolTester<Vrtl_pool_squeeze_4, 4, 4>;
using TinySqueeze = PoolTester<Vrtl_pool_squeeze_8, 8, 8>;
using ZynqSqueeze = PoolTester<Vrtl_pool_squeeze_16, 16, 8>;

/// Multipliers of the mean of rows x cols values in a window of kh x kw.
template <typename Tester>
void fill_means(Tester& tester, int kh, int kw) {
  for (int rows = 1; rows <= kh; ++rows) {
    for (int cols = 1; cols <= kw; ++cols) {
      tester.table((rows - 1) * kw + cols - 1, 1.0F / static_cast<float>(rows * cols));
    }
  }
}

/// A 4 x 4 tile of 0, 10, 20 .. at address 0, 8 words a row.
template <typename Tester>
void fill_ramp(Tester& tester) {
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) tester.word(8 * y + x, 40 * y + 10 * x - 100);
  }
}

TEMPLATE_TEST_CASE("pool: maximum by hand", "", Nano, Edge) {
  TestType tester(1);
  fill_ramp(tester);
  tester.job(Window::maximum(3, 3).stride(2).tile(4, 4, 1).zeros(-100, -100));
  CHECK(tester.expected(0, 0) == -50);
  CHECK(tester.expected(0, 1) == -30);
  CHECK(tester.expected(0, 2) == 30);
  CHECK(tester.expected(0, 3) == 50);
  tester.job(Window::maximum(3, 3).stride(2).tile(4, 4, 1).zeros(120, 120));  // all below zero
  CHECK(tester.expected(1, 0) == -50);
  CHECK(tester.expected(1, 3) == 50);
  tester.run();
}

TEST_CASE("pool: the comparison notices a single wrong bit") {
  Edge tester(13);
  tester.job(Window::maximum(2, 2).tile(5, 5)).spoil().run();
}

TEMPLATE_TEST_CASE("pool: averages by hand, with both divisors, under an overhang", "", Nano,
                   Edge) {
  TestType tester(2);
  fill_ramp(tester);
  fill_means(tester, 3, 3);
  // Windows at -1, 1, 3 both ways: the last hangs over the tile's end, where padding ends at 5.
  const Window base = Window::average(3, 3).stride(2).tile(4, 4, 1, true).zeros(-100, 0);
  Window without = base;
  without.table(0, 4, 0, 4);
  Window with = base;
  with.table(-1, 5, -1, 5);
  tester.job(without).job(with);
  CHECK(tester.expected(0, 0) == 25);   // (0 + 10 + 40 + 50) / 4
  CHECK(tester.expected(1, 0) == 11);   // the same over 9
  CHECK(tester.expected(0, 4) == 100);  // the middle
  CHECK(tester.expected(1, 4) == 100);
  CHECK(tester.expected(0, 8) == 127);  // 150, clamped
  CHECK(tester.expected(1, 8) == 38);   // 150 over 2 x 2: 37.5, to even
  tester.run();
}

TEMPLATE_TEST_CASE("pool: windows outside the tile give the zero point", "", Nano, Edge) {
  TestType tester(3);
  tester
      .job(Window::maximum(2, 2).stride(3).origin(-7, -7).output(6, 6).zeros(3, 17).placed(9, 5, 0))
      .job(Window::average(3, 1).stride(1).origin(-3, 0).output(8, 3).zeros(3, -9).placed(9, 5, 0));
  CHECK(tester.expected(0, 0) == 17);
  CHECK(tester.expected(1, 0) == -9);
  tester.run();
}

TEMPLATE_TEST_CASE("pool: the largest window sums without overflow", "", Nano, Wide) {
  TestType tester(4);
  for (int address = 0; address < 256; ++address) tester.word(address, -128);
  tester.job(
      Window::average(255, 255).tile(255, 255).zeros(127, 0).placed(3, 255, 0).scale(0.4F / 65025));
  CHECK(tester.expected(0, 0) == -102);  // 0.4 * -255
  for (int address = 0; address < 256; ++address) tester.word(address, 127);
  tester.abandon(0);
  tester.job(Window::average(255, 255).tile(255, 255).zeros(-128, 0).placed(3, 255, 0).scale(
      0.4F / 65025));
  CHECK(tester.expected(0, 0) == 102);
  tester.run();
}

TEMPLATE_TEST_CASE("pool: positions at the ends of their fields", "", Nano, Edge) {
  TestType tester(5);
  tester.job(Window::maximum(2, 2).stride(15).origin(8191, 8191).output(2, 2).placed(1, 3, 7))
      .job(Window::maximum(255, 255).stride(15).origin(-8192, -8192).output(3, 3).placed(1, 3, 7))
      .job(Window::average(2, 1).stride(1).tile(8191, 1).origin(8180, 0).output(13, 1).placed(
          65535, 65533, 7));
  tester.run();
}

TEMPLATE_TEST_CASE("pool: random windows, strides, tables and stalls", "", Nano, Tiny, Edge, Wide,
                   NanoSqueeze, TinySqueeze, ZynqSqueeze) {
  const std::uint64_t seed = espalier::tests::seed(6);
  INFO("seed " << seed);
  Draw draw(seed);
  for (int round = 0; round < espalier::tests::rounds(12); ++round) {
    TestType tester(draw.bits());
    PoolStalls stalls;
    if (round % 3 == 1) stalls = {0.3, 0.3, 0.3};
    if (round % 3 == 2) stalls = {0, 0.8, 0};
    if (round % 6 == 3) stalls = {0, 0, 0.95};
    tester.stalls(stalls);
    for (int n = 0; n < 20; ++n) {
      const int kh = draw.range(1, draw.chance(0.2) ? 9 : 3);
      const int kw = draw.range(1, draw.chance(0.2) ? 9 : 3);
      Window w = draw.chance(0.5) ? Window::maximum(kh, kw) : Window::average(kh, kw);
      w.stride(draw.range(1, 4), draw.range(1, 4));
      w.tile(draw.range(1, 9), draw.range(1, 9));
      w.origin(draw.range(-5, 5), draw.range(-5, 5))
          .output(draw.range(1, 6), draw.range(1, 6))
          .blocks(draw.range(1, 3));
      w.placed(draw.word() >> 16, draw.word() >> 16, draw.word() >> 16);
      w.zeros(draw.byte(), draw.byte()).scale(0.01F * static_cast<float>(draw.range(1, 150)));
      const int a = draw.byte(), b = draw.byte();
      if (draw.chance(0.3)) w.clamp(std::min(a, b), std::max(a, b));
      if (draw.chance(0.6))
        w.table(draw.range(-6, 4), draw.range(0, 12), draw.range(-6, 4), draw.range(0, 12));
      tester.job(w);
    }
    CHECK_FALSE(tester.run().fault);
  }
}

TEMPLATE_TEST_CASE("pool: a table entry past the last is a fault, and clear recovers", "", Nano,
                   Edge) {
  TestType tester(7);
  fill_means(tester, 12, 10);
  // 128 entries: 12 x 10 rows and columns fit, 13 rows of 10 do not.
  CHECK_FALSE(tester.job(Window::average(12, 10).tile(12, 10).table(0, 12, 0, 10)).run().fault);
  tester.abandon(0);
  CHECK_FALSE(tester.job(Window::average(13, 10).tile(13, 10).table(0, 13, 0, 8))
                  .run()
                  .fault);  // entry 127
  tester.abandon(0);
  CHECK(tester.job(Window::average(13, 10).tile(13, 10).table(0, 13, 0, 9))
            .run()
            .fault);  // entry 128
  tester.abandon(0);
  CHECK(tester.job(Window::average(255, 255).tile(255, 255).table(-8192, 8191, -8192, 8191))
            .run()
            .fault);
  tester.abandon(0);
  CHECK_FALSE(tester.job(Window::average(2, 2).tile(3, 3).table(0, 3, 0, 3)).run().fault);
}

TEMPLATE_TEST_CASE("pool: starts afresh when cleared in the middle", "", Nano, Edge) {
  TestType tester(8);
  for (int cycles = 1; cycles < 90; cycles += 5) {
    tester.stalls({0, 0.2, 0.6})
        .job(Window::maximum(3, 3).stride(1).tile(6, 6, 1))
        .job(Window::average(2, 2).tile(6, 6))
        .abandon(cycles)
        .stalls({})
        .job(Window::maximum(2, 2).stride(2).tile(6, 6))
        .job(Window::average(2, 2).tile(4, 4))
        .run();
    tester.abandon(0);
  }
}

TEMPLATE_TEST_CASE("pool: cycles to the first read, between jobs, and until a job retires", "",
                   Nano, Edge, ZynqSqueeze) {
  constexpr std::uint64_t kSlices = std::is_same_v<TestType, Nano>   ? 1
                                    : std::is_same_v<TestType, Edge> ? 4
                                                                     : 8;
  TestType tester(14);
  const Window window = Window::maximum(3, 3).stride(2).tile(9, 9);
  const PoolRun one = tester.job(window).run();
  CHECK(one.first_read == 6);
  CHECK(one.retired == one.last_read + kSlices + 12);  // 8 in the requantiser
  const PoolRun two = tester.job(window).job(window).run();
  CHECK(two.reads == 2 * one.reads);
  CHECK(two.last_read - two.first_read + 1 == two.reads + 7);
}

TEMPLATE_TEST_CASE("pool: packs, between pools", "", NanoSqueeze, TinySqueeze, ZynqSqueeze) {
  const std::uint64_t seed = espalier::tests::seed(15);
  INFO("seed " << seed);
  Draw draw(seed);
  for (int round = 0; round < espalier::tests::rounds(12); ++round) {
    TestType tester(draw.bits());
    tester.stalls({0.3 * (round % 2), 0.2, 0.3 * (round % 4)});
    tester.job(Window::maximum(2, 2).tile(4, 5)).run();
    tester.pack(500, 0.125 * (round % 9), round % 3 == 0 ? 0.0 : 0.1);
    tester.job(Window::average(3, 3).tile(6, 5, 1).blocks(2)).run();
    tester.pack(20, 1, 0);
    tester.abandon(3);
  }
}

TEMPLATE_TEST_CASE("pool: takes a step of PACK a cycle", "", NanoSqueeze, TinySqueeze,
                   ZynqSqueeze) {
  TestType tester(16);
  CHECK(tester.pack(2000, 1, 0) == 2000);
  CHECK(tester.pack(2000, 0, 1) == 2000);  // padding, beats of zeros
}

TEMPLATE_TEST_CASE("pool: reads a position in every cycle", "", Nano, Tiny, Edge, Wide, NanoSqueeze,
                   TinySqueeze, ZynqSqueeze) {
  SECTION("3 x 3 windows, no padding") {
    TestType tester(9);
    const PoolRun run = tester.job(Window::maximum(3, 3).stride(2).tile(9, 9).blocks(3)).run();
    CHECK(run.reads == 3U * 16 * 9);
    CHECK(run.last_read - run.first_read + 1 == 3U * 16 * 9);
    CHECK(run.wait == 0);
  }
  SECTION("padded averages with a table: reads what lies inside the tile") {
    TestType tester(10);
    const PoolRun run =
        tester.job(Window::average(3, 3).stride(1).tile(5, 5, 1).blocks(2).table(0, 5, 0, 5)).run();
    CHECK(run.reads == 2U * 13 * 13);
    // Windows in corners have four positions: fewer than the requantiser takes for eight slices.
    if (!std::is_same_v<TestType, Wide> && !std::is_same_v<TestType, ZynqSqueeze>)
      CHECK(run.last_read - run.first_read + 1 == run.reads);
  }
  SECTION("small windows wait for the requantiser") {
    TestType tester(11);
    const PoolRun run = tester.job(Window::maximum(1, 1).stride(2).tile(7, 15)).run();
    CHECK(run.reads == 4U * 8);
    CHECK(run.last_read - run.first_read >= 31);
    if (std::is_same_v<TestType, Tiny> || std::is_same_v<TestType, TinySqueeze>) {
      CHECK(run.last_read - run.first_read == 62);  // two slices a window
    }
  }
  SECTION("a slow port and a slow store stream are counted") {
    TestType tester(12);
    CHECK(tester.stalls({0, 0.5, 0}).job(Window::maximum(3, 3).tile(7, 7)).run().wait > 0);
    tester.abandon(0);
    CHECK(tester.stalls({0, 0, 0.98}).job(Window::maximum(2, 2).tile(8, 8)).run().wait > 0);
  }
}

}  // namespace
