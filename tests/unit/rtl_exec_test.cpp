// The execute engine as a whole against a direct convolution: `nano` with assertions, `tiny` with
// both products of a pair from one multiplier.

#include <algorithm>
#include <memory>

#include "Vrtl_exec_nano.h"
#include "Vrtl_exec_tiny.h"
#include "catch.hpp"
#include "exec_tester.hpp"
#include "seed.hpp"

using espalier::tests::ExecReport;
using espalier::tests::ExecSizes;
using espalier::tests::ExecTester;
using espalier::tests::seed;

namespace {

constexpr ExecSizes kNano{4, 2048, 1024, 128}, kTiny{8, 4096, 2048, 256};

struct Nano {
  static constexpr ExecSizes kSizes = kNano;
  using Model = Vrtl_exec_nano;
};
struct Tiny {
  static constexpr ExecSizes kSizes = kTiny;
  using Model = Vrtl_exec_tiny;
};

template <typename Config>
ExecTester tester(std::uint64_t salt = 0) {
  return ExecTester(Config::kSizes, seed() * 1000 + salt);
}

template <typename Config>
ExecReport run(ExecTester& test, int limit = 200000) {
  VerilatedContext context;
  typename Config::Model model(&context);
  return test.run(model, limit);
}

template <typename Config>
void check(ExecTester& test, int limit = 200000) {
  const ExecReport report = run<Config>(test, limit);
  INFO("seed " << seed());
  CHECK(report.error == "");
  CHECK(report.fed == test.pixels());
  CHECK(report.passes == test.passes());
  CHECK(report.fed + report.ragged == test.ideal_cycles());
  CHECK(report.faults == 0);
}

// A random CONV whose accumulators fit; `share` of the ring at most.
template <typename Config>
void random_shape(ExecTester& test, int share) {
  const ExecSizes size = Config::kSizes;
  int rows = 0, cols = 0, n_blocks = 0, k_blocks = 0, kh = 0, kw = 0;
  do {
    rows = test.random(1, 9), cols = test.random(1, 9), n_blocks = test.random(1, 4);
    k_blocks = test.random(1, 3), kh = test.random(1, 4), kw = test.random(1, 4);
  } while (rows * cols * n_blocks > size.acc_words ||
           kh * kw * k_blocks * n_blocks * size.lanes > size.weight_words / share);
  test.channels(k_blocks, n_blocks)
      .kernel(kh, kw)
      .tile(rows, cols)
      .stride(test.random(1, 3), test.random(1, 3));
  test.dilation(test.random(1, 3), test.random(1, 3))
      .origin(test.random(-9, 9), test.random(-9, 9));
  test.input(test.random(1, 14), test.random(1, 14), test.random(0, 3));
  test.zero_point(test.random(-128, 127)).tapwise(test.random(0, 1) != 0);
}

}  // namespace

TEMPLATE_TEST_CASE("exec: one tile of a matrix product", "", Nano, Tiny) {
  ExecTester test = tester<TestType>();
  test.input(4, 4).conv();
  check<TestType>(test);
}

TEMPLATE_TEST_CASE("exec: the largest products and sums", "", Nano, Tiny) {
  ExecTester test = tester<TestType>();
  test.extremes().kernel(3, 3).channels(3, 2).pad(1).conv();
  check<TestType>(test);
}

TEMPLATE_TEST_CASE("exec: padding, strides and dilations", "", Nano, Tiny) {
  for (int step = 1; step <= 3; ++step) {
    ExecTester test = tester<TestType>(step);
    test.kernel(3, 3).zero_point(-7).input(9, 7, 2);
    test.pad(1).conv().stride(step, 4 - step).conv().dilation(4 - step, step).pad(3).conv();
    test.origin(2, -4).conv().origin(-20, 0).conv().origin(5, 5).conv();
    check<TestType>(test);
  }
}

TEMPLATE_TEST_CASE("exec: far rows and columns stay in the padding", "", Nano, Tiny) {
  ExecTester test = tester<TestType>();
  test.kernel(11, 11).dilation(31, 31).tile(2, 3).stride(15, 15).input(4, 5);
  for (const int far : {-8192, -310, -300, -1000, 8191, 300, 0}) test.origin(far, -far / 2).conv();
  test.origin(-310, -310).conv();
  check<TestType>(test, 400000);
}

TEMPLATE_TEST_CASE("exec: passes of fewer pixels than lanes take as many cycles as lanes", "", Nano,
                   Tiny) {
  ExecTester test = tester<TestType>();
  const int lanes = TestType::kSizes.lanes;
  for (int pixels = 1; pixels <= lanes + 1; ++pixels)
    test.kernel(2, 2).channels(2, 3).tile(1, pixels).input(5, 12).conv();
  check<TestType>(test);
}

TEMPLATE_TEST_CASE("exec: k chunks add up in the same half", "", Nano, Tiny) {
  ExecTester test = tester<TestType>();
  test.kernel(3, 2).pad(1);
  for (int group = 0; group < 3; ++group) {
    test.channels(2, 2).chunk(true, false).conv().channels(1, 2).chunk(false, false).conv();
    test.channels(3, 2).chunk(false, true).conv().chunk(true, true).conv();
  }
  check<TestType>(test);
}

TEMPLATE_TEST_CASE("exec: resident weights serve several tiles and are given back", "", Nano,
                   Tiny) {
  ExecTester test = tester<TestType>();
  for (int group = 0; group < 6; ++group) {
    test.kernel(3, 3).channels(2, 2).tapwise(group % 2 == 0).resident().reuse().reuse();
    test.kernel(1, 2).tapwise(true).resident().reuse().give_back();
    test.kernel(2, 2).conv();
  }
  test.weights_arrive(0.7);
  check<TestType>(test);
}

TEMPLATE_TEST_CASE("exec: any CONVs with any arrivals", "", Nano, Tiny) {
  for (int round = 0; round < espalier::tests::rounds(24); ++round) {
    ExecTester test = tester<TestType>(round);
    for (int i = 0; i < 12; ++i) {
      random_shape<TestType>(test, 3);
      switch (test.random(0, 5)) {
        case 0:
          test.resident().reuse().resident().give_back();
          break;
        case 1:
          test.chunk(true, false).conv().chunk(false, true).conv().chunk(true, true);
          break;
        default:
          test.conv();
      }
    }
    constexpr double kChances[] = {1.0, 0.9, 0.4, 0.1};
    test.weights_arrive(kChances[test.random(0, 3)]).post_moves(kChances[test.random(0, 3)]);
    test.convs_come(kChances[test.random(0, 3)]);
    CAPTURE(round);
    check<TestType>(test, 1000000);
  }
}

TEMPLATE_TEST_CASE("exec: a slow post holds the third CONV back until a half is free", "", Nano,
                   Tiny) {
  ExecTester test = tester<TestType>();
  for (int i = 0; i < 8; ++i) test.kernel(1, 2).tile(4, 6).conv();
  test.post_moves(0.05);
  const ExecReport report = run<TestType>(test);
  CHECK(report.error == "");
  CHECK(report.wait_acc > 500);
}

TEMPLATE_TEST_CASE("exec: CONVs follow each other without losing a cycle", "", Nano, Tiny) {
  const int lanes = TestType::kSizes.lanes;
  for (const int pixels : {lanes, lanes + 1, 3 * lanes, 1}) {
    for (const int padding : {0, 1}) {
      ExecTester test = tester<TestType>();
      test.kernel(2, 2).channels(2, 1).tile(1, pixels).input(4, 16).pad(padding);
      for (int i = 0; i < 20; ++i) test.tapwise(i % 2 == 0).conv();
      test.weights_arrive(4);
      const ExecReport report = run<TestType>(test);
      CAPTURE(pixels, padding);
      CHECK(report.error == "");
      CHECK(report.wait_weights <= 2 * lanes);  // before the first pass
      CHECK(report.wait_acc == 0);
      CHECK(report.cycles ==
            test.ideal_cycles() - std::max(0, lanes - pixels));  // the last activation retires
    }
  }
}

TEMPLATE_TEST_CASE(
    "exec: CONVs of one pass lose nothing where a pass has four pixels more than lanes", "", Nano,
    Tiny) {
  ExecTester test = tester<TestType>();
  test.tile(2, TestType::kSizes.lanes / 2 + 2).pad(1).chunk(true, false);
  for (int i = 0; i < 20; ++i) test.conv();
  test.weights_arrive(4);
  const ExecReport report = run<TestType>(test);
  CHECK(report.error == "");
  CHECK(report.cycles == test.ideal_cycles());
}

TEST_CASE("exec: CONVs without channels among others are handed on in their order") {
  for (int round = 0; round < espalier::tests::rounds(24); ++round) {
    ExecTester test = tester<Nano>(300 + round);
    for (int i = 0; i < 16; ++i) {
      random_shape<Nano>(test, 3);
      if (test.random(0, 1) != 0) {
        test.chunk(true, test.random(0, 3) != 0).empty().chunk(true, true);
      } else {
        test.conv();
      }
    }
    constexpr double kChances[] = {1.0, 0.9, 0.4, 0.1};
    test.weights_arrive(kChances[test.random(0, 3)]).post_moves(kChances[test.random(0, 3)]);
    test.convs_come(kChances[test.random(0, 3)]);
    CAPTURE(round);
    check<Nano>(test, 1000000);
  }
}

TEST_CASE("exec: sparse CONVs among dense ones, with any arrivals") {
  for (int round = 0; round < espalier::tests::rounds(40); ++round) {
    ExecTester test = tester<Nano>(500 + round);
    constexpr double kSkips[] = {0.0, 0.3, 0.7, 0.95, 1.0};
    const double skip = kSkips[round % 5];
    for (int i = 0; i < 12; ++i) {
      random_shape<Nano>(test, 3);
      if (test.random(0, 3) != 0) {
        test.sparse(skip);
      } else {
        test.dense();
      }
      switch (test.random(0, 4)) {
        case 0:
          test.resident().reuse().give_back();
          break;
        case 1:
          test.chunk(true, false).conv().chunk(false, false).conv().chunk(false, true).conv();
          test.chunk(true, true);
          break;
        default:
          test.conv();
      }
    }
    constexpr double kChances[] = {1.0, 4.0, 0.4, 0.1};
    test.weights_arrive(kChances[test.random(0, 3)]).post_moves(kChances[test.random(0, 1) * 2]);
    test.convs_come(kChances[test.random(0, 3)]);
    CAPTURE(round);
    check<Nano>(test, 1000000);
  }
}

TEST_CASE("exec: tiles that are skipped cost nothing where passes are three times the lanes") {
  const int lanes = kNano.lanes;
  ExecTester test = tester<Nano>();
  test.kernel(3, 3).channels(3, 2).tile(lanes, 3).input(8, 8).pad(1).sparse(0.5);
  for (int i = 0; i < 20; ++i) test.conv();
  test.weights_arrive(4);
  const ExecReport report = run<Nano>(test);
  CHECK(report.error == "");
  CHECK(report.passes == test.passes());
  CHECK(report.passes < 20 * 54 * 6 / 10);
  CHECK(report.cycles < test.ideal_cycles() * 101 / 100);
}

TEST_CASE("exec: clearing in the midst of sparse CONVs leaves nothing behind") {
  VerilatedContext context;
  Vrtl_exec_nano model(&context);
  for (int round = 0; round < 40; ++round) {
    ExecTester cut = tester<Nano>(700 + round);
    for (int i = 0; i < 6; ++i) cut.kernel(2, 2).channels(3, 2).pad(1).sparse(0.6).conv();
    cut.post_moves(0.5);
    const int limit = cut.random(1, 1500);
    cut.run(model, limit, round != 0);
    ExecTester whole = tester<Nano>(800 + round);
    whole.kernel(3, 2).channels(1, 2).pad(1).conv().sparse(0.5).conv().dense().conv();
    const ExecReport report = whole.run(model, 100000, true);
    CAPTURE(round, limit);
    CHECK(report.error == "");
    CHECK(report.fed == whole.pixels());
  }
}

TEMPLATE_TEST_CASE("exec: the tester notices a wrong sum", "", Nano, Tiny) {
  ExecTester test = tester<TestType>();
  test.conv().spoil();
  CHECK_THAT(run<TestType>(test).error, Catch::Matchers::Contains("it should be"));
}

TEMPLATE_TEST_CASE("exec: too many accumulator words are a fault, and clearing makes it good", "",
                   Nano, Tiny) {
  const int words = TestType::kSizes.acc_words;
  VerilatedContext context;
  typename TestType::Model model(&context);

  ExecTester exact = tester<TestType>();
  exact.tile(words / 16, 4).channels(1, 4).conv().conv();
  const ExecReport fits = exact.run(model, 100000);
  CHECK(fits.error == "");
  CHECK(fits.faults == 0);

  ExecTester good = tester<TestType>();
  good.kernel(2, 2).conv();
  ExecTester bad = good;
  auto conv = good.last_conv();
  conv.rows = static_cast<std::uint32_t>(words) / conv.cols + 1;
  bad.raw(conv).raw(conv);
  const ExecReport report = bad.run(model, 100000);
  CHECK(report.error == "");
  CHECK(report.faults == 1);
  CHECK(report.fed == good.pixels() + words);
  CHECK(report.retired == 1);
  CHECK(report.posted == 1);

  const ExecReport after = good.run(model, 100000, true);
  CHECK(after.error == "");
  CHECK(after.fed == good.pixels());
}

TEMPLATE_TEST_CASE("exec: a piece larger than the ring is a fault when its CONV comes", "", Nano,
                   Tiny) {
  VerilatedContext context;
  typename TestType::Model model(&context);
  ExecTester good = tester<TestType>();
  good.kernel(2, 2).conv();
  ExecTester bad = good;
  auto conv = good.last_conv();
  conv.w_piece = static_cast<std::uint32_t>(TestType::kSizes.weight_words) + 1;
  bad.raw(conv);
  const ExecReport report = bad.run(model, 100000);
  CHECK(report.error == "");
  CHECK(report.faults == 1);
  CHECK(report.retired == 1);
  const ExecReport after = good.run(model, 100000, true);
  CHECK(after.error == "");
}

TEMPLATE_TEST_CASE("exec: clearing at any moment leaves nothing behind", "", Nano, Tiny) {
  VerilatedContext context;
  typename TestType::Model model(&context);
  for (int round = 0; round < 40; ++round) {
    ExecTester cut = tester<TestType>(100 + round);
    for (int i = 0; i < 6; ++i) cut.kernel(2, 2).channels(2, 2).pad(1).conv();
    cut.post_moves(0.5);
    const int limit = cut.random(1, 2000);
    cut.run(model, limit, round != 0);  // whatever it has done by then

    ExecTester whole = tester<TestType>(200 + round);
    whole.kernel(3, 2).channels(1, 2).pad(1).conv().conv().conv();
    const ExecReport report = whole.run(model, 100000, true);
    CAPTURE(round, limit);
    CHECK(report.error == "");
    CHECK(report.fed == whole.pixels());
  }
}
