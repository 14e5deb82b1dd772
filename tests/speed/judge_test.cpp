// The judge of `make bench-sim`: the machine's cycles against a reference, whatever the processor.

#include "tests/speed/judge.hpp"

#include "catch.hpp"

using espalier::speed::judge;

TEST_CASE("speed: a fall below the margin is bad, one within it is not") {
  CHECK(judge({{1'000'000, 500'000}}, 2.0, 0.2).good);
  CHECK(judge({{810'000, 500'000}}, 2.0, 0.2).good);
  CHECK_FALSE(judge({{790'000, 500'000}}, 2.0, 0.2).good);
}

TEST_CASE("speed: a processor twice as fast changes nothing") {
  const auto slow = judge({{500'000, 250'000}}, 2.0, 0.2), fast = judge({{1e6, 5e5}}, 2.0, 0.2);
  CHECK(slow.cycles_per_step == fast.cycles_per_step);
  CHECK(slow.text == "2.000 cycles in a reference step; kept 2.000: 100 %, not below 80 %");
}

TEST_CASE("speed: one disturbed round of three does not count") {
  CHECK(judge({{1e6, 5e5}, {1e5, 5e5}, {1e6, 5e5}}, 2.0, 0.2).good);
  CHECK_FALSE(judge({{1e5, 5e5}, {1e5, 5e5}, {1e6, 5e5}}, 2.0, 0.2).good);
}
