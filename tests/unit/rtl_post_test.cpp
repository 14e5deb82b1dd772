// esp_post against the definition in golden/numerics.hpp: every kind of CONV, back to back, with
// stalls on every side, and the number of cycles where nothing stalls.

#include <Vrtl_post_16x8.h>
#include <Vrtl_post_32x16.h>
#include <Vrtl_post_4x4.h>
#include <Vrtl_post_8x8.h>
#include <Vrtl_post_plain.h>

#include <algorithm>

#include "catch.hpp"
#include "rtl_post_bench.hpp"
#include "seed.hpp"

namespace {

using namespace espalier::tests;

using Nano = PostTester<Vrtl_post_4x4, 4, 4>;
using Tiny = PostTester<Vrtl_post_8x8, 8, 8>;
using Edge = PostTester<Vrtl_post_16x8, 16, 8>;
using Plain = PostTester<Vrtl_post_plain, 16, 8, false>;  // without products
using Wide = PostTester<Vrtl_post_32x16, 32, 16>;

TEMPLATE_TEST_CASE("post: requantises tiles with bounds", "", Nano, Tiny, Edge, Wide) {
  TestType tester(1);
  tester.job(Job().pixels(5, 7).blocks(3).bounds(11, -100, 90)).run();
}

TEST_CASE("post: the comparison notices a single wrong bit") {
  Edge tester(15);
  tester.job(Job().pixels(3, 3)).job(Job().pixels(3, 3)).spoil().run();
}

TEMPLATE_TEST_CASE("post: takes one pixel of one block", "", Nano, Tiny, Edge, Wide) {
  TestType tester(2);
  for (int i = 0; i < 5; ++i) tester.job(Job().pixels(1, 1).bounds(i, -128, 127));
  tester.run();
}

TEMPLATE_TEST_CASE("post: adds the operand, whose address wraps", "", Nano, Tiny, Edge, Wide) {
  TestType tester(3);
  tester.job(Job().pixels(6, 7).blocks(2).add(200)).run();
}

TEMPLATE_TEST_CASE("post: pools one tile of several blocks", "", Nano, Tiny, Edge, Wide) {
  TestType tester(4);
  tester.job(Job().pixels(7, 7).blocks(2).gap(true, true, 1.0F / 49)).run();
}

TEMPLATE_TEST_CASE("post: pools a block of one pixel each", "", Nano, Tiny, Edge, Wide) {
  TestType tester(5);
  tester.job(Job().pixels(1, 1).blocks(12).gap(true, true, 1.0F)).run();
}

TEMPLATE_TEST_CASE("post: pools over several tiles, after an addition", "", Nano, Tiny, Edge,
                   Wide) {
  TestType tester(6);
  tester.job(Job().pixels(3, 5).gap(true, false).add(7).keep_parameters())
      .job(Job().pixels(2, 5).gap(false, false).add(22).keep_parameters())
      .job(Job().pixels(1, 1).gap(false, false).add(99).keep_parameters())
      .job(Job().pixels(1, 5).gap(false, true).add(32))
      .job(Job().pixels(2, 2).bounds(-3, -90, 90))
      .run();
}

TEMPLATE_TEST_CASE("post: parameters stay until they are given back", "", Nano, Tiny, Edge, Wide) {
  TestType tester(7);
  for (int round = 0; round < 6; ++round) {  // more blocks than the ring holds
    tester.job(Job().pixels(2, 3).blocks(3).keep_parameters())
        .job(Job().pixels(2, 3).blocks(2).keep_parameters(3))
        .job(Job().pixels(2, 2).blocks(3))
        .job(Job().pixels(2, 3).blocks(2));
  }
  tester.run();
}

TEMPLATE_TEST_CASE("post: neighbours of every kind do not disturb each other", "", Nano, Tiny, Edge,
                   Wide, Plain) {
  const std::uint64_t seed = espalier::tests::seed(8);
  INFO("seed " << seed);
  Draw draw(seed);
  for (int round = 0; round < espalier::tests::rounds(12); ++round) {
    TestType tester(draw.bits());
    PostStalls stalls;
    if (round % 2 != 0) stalls = {0.2, 0.3, 0.5, 0.5};
    if (round % 4 == 2) stalls.out = 0.9;
    if (round % 8 == 4) stalls.port = 0.9;
    if (round % 8 == 6) stalls.parameters = 0.95;
    tester.stalls(stalls);
    bool summing = false;
    for (int n = 0; n < 25; ++n) {
      Job job;
      const bool gap = summing || draw.chance(0.3);
      bool last = true;
      if (gap) {
        last = draw.chance(0.5);
        job.gap(!summing, last, 0.01F * static_cast<float>(draw.range(1, 200)), draw.byte());
        summing = !last;
      }
      const bool one_block = gap && !(job.conv.gap_first != 0 && last);
      const int blocks = one_block ? 1 : draw.range(1, 3);
      const int rows = draw.range(1, draw.chance(0.5) ? 6 : 1);
      job.pixels(rows, draw.range(1, std::min(8, TestType::kAccWords / (rows * blocks))))
          .blocks(blocks);
      if (draw.chance(0.4)) job.keep_parameters(draw.range(0, 4));
      if (draw.chance(0.4)) {
        job.add(draw.range(0, 255), draw.word() >> 15, draw.word() >> 15, draw.range(13, 18),
                draw.byte(), draw.byte());
        if (TestType::kProducts && draw.chance(0.6)) job.product(draw.byte(), draw.byte());
      }
      const int a = draw.byte(), b = draw.byte();
      job.bounds(draw.byte(), std::min(a, b), std::max(a, b));
      tester.job(job);
    }
    tester.run();
  }
}

TEMPLATE_TEST_CASE("post: gates by the operand's bounds", "", Nano, Tiny, Edge, Wide) {
  TestType tester(16);
  for (const auto& [least, greatest] : {std::pair{-128, 127},
                                        {-127, 126},
                                        {0, 127},
                                        {-128, 5},
                                        {10, 9},
                                        {127, 127},
                                        {-128, -128}}) {
    tester.job(Job().pixels(6, 7).blocks(2).bounds(0, -127, 127).add(200).product(least, greatest));
  }
  tester.run();
}

TEMPLATE_TEST_CASE("post: scores over several tiles, with every byte of the sums", "", Nano, Tiny,
                   Edge, Wide) {
  TestType tester(17);
  const auto scores = [](int rows, int cols, int zero, bool first, bool last) {
    return Job()
        .pixels(rows, cols)
        .bounds(0, -127, 127)
        .gap(first, last, 1.0F, 0)
        .add(3 * rows, 0, static_cast<std::uint32_t>(-128 - zero) % 65536)
        .product(0, 0);
  };
  for (const int zero : {-128, -5, 0, 127}) {
    tester.job(scores(8, 16, zero, true, false).keep_parameters())
        .job(scores(1, 1, zero, false, false).keep_parameters())
        .job(scores(8, 16, zero, false, true))
        .job(scores(5, 4, zero, true, true).blocks(3))
        .job(scores(1, 1, zero, true, true).blocks(6))
        .job(Job().pixels(2, 2).gap(true, true))
        .job(scores(1, 1, zero, true, true))
        .job(Job().pixels(1, 2));
  }
  tester.run();
}

TEMPLATE_TEST_CASE("post: starts afresh when cleared in the middle", "", Nano, Tiny, Edge, Wide) {
  TestType tester(14);
  for (int cycles = 1; cycles < 120; cycles += 7) {
    tester.stalls({0, 0, 0.3, 0.3})
        .job(Job().pixels(4, 4).add(cycles))
        .job(Job().pixels(2, 2).gap(true, true).add(9).product(-9, 100))
        .job(Job().pixels(3, 3).gap(true, true))
        .abandon(cycles)
        .stalls({})
        .job(Job().pixels(3, 4).blocks(2).add(cycles))
        .job(Job().pixels(2, 2).gap(true, true))
        .run();
    tester.abandon(0);
  }
}

TEMPLATE_TEST_CASE("post: loses no cycle within a tile nor from tile to tile", "", Nano, Tiny, Edge,
                   Wide) {
  const int slices = TestType::kSlices;
  SECTION("plain") {
    TestType tester(9);
    for (int n = 0; n < 6; ++n) tester.job(Job().pixels(5, 4).blocks(2).bounds(n, -128, 127));
    const PostRun run = tester.run();
    CHECK(run.issues == 6U * 40 * slices);
    // The first tile waits for its parameters to be loaded, one block a cycle.
    CHECK(run.last_issue - run.first_issue + 1 == 6U * 40 * slices);
    CHECK(run.last_word - run.last_issue == 16);
    CHECK(run.wait_out == 0);
  }
  SECTION("with an operand") {
    TestType tester(10);
    for (int n = 0; n < 6; ++n) tester.job(Job().pixels(5, 4).blocks(2).add(40 * n));
    const PostRun run = tester.run();
    CHECK(run.last_issue - run.first_issue + 1 == 6U * 40 * slices);
  }
  SECTION("pooled: one word a block more") {
    TestType tester(11);
    for (int n = 0; n < 4; ++n) tester.job(Job().pixels(5, 4).blocks(2).gap(true, true));
    const PostRun run = tester.run();
    // Sums of the last block of all follow the last issue.
    CHECK(run.last_issue - run.first_issue + 1 == (4U * 40 + 7) * slices);
  }
  SECTION("scored: four words a block, with their sums' time") {
    TestType tester(18);
    for (int n = 0; n < 4; ++n) {
      tester.job(Job().pixels(5, 4).blocks(2).gap(true, true).add(40 * n).product(0, 0));
    }
    const PostRun run = tester.run();
    CHECK(run.issues == (4U * 40 + 8 * 3) * slices);
    CHECK(run.last_issue - run.first_issue + 1 == (4U * 40 + 8 * 3 + 7 * 4) * slices);
  }
}

TEMPLATE_TEST_CASE("post: a slow store stream stops it without loss", "", Nano, Edge) {
  TestType tester(12);
  tester.stalls({0, 0, 0, 0.8});
  for (int n = 0; n < 3; ++n) tester.job(Job().pixels(8, 8).blocks(2).bounds(n, -128, 127));
  const PostRun run = tester.run();
  CHECK(run.wait_out > 0);
}

TEMPLATE_TEST_CASE("post: waits for parameters and operands are counted", "", Nano, Edge) {
  TestType tester(13);
  tester.stalls({0, 0.9, 0.9, 0});
  for (int n = 0; n < 3; ++n) tester.job(Job().pixels(4, 4).blocks(2).add(5 * n));
  const PostRun run = tester.run();
  CHECK(run.wait_operand > 0);
  CHECK(run.wait_out == 0);
}

}  // namespace
