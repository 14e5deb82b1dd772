// esp_counters: exact at every read, whatever the events, the reads and the clears before it.

#include <array>
#include <cstdint>
#include <random>

#include "Vrtl_counters.h"
#include "catch.hpp"
#include "seed.hpp"
#include "verilated_block.hpp"

using namespace espalier;

namespace {

using isa::kCounters;

// Runs random events, reads and clears; the number of reads that differ from plain counts, to each
// of which `error` is added.
int wrong_reads(std::uint64_t seed, double reading, std::uint64_t error) {
  std::mt19937_64 random(seed);
  std::bernoulli_distribution read(reading), clear(0.001);
  tests::VerilatedBlock<Vrtl_counters> counters;
  counters->clear_i = counters->read_i = 0;
  counters->events_i = 0;
  counters.reset();
  counters.settle();
  counters.edge();  // takes in the reset
  std::array<std::uint64_t, kCounters> expected{};
  int wrong = 0;
  // A read takes two cycles, and answers in the third with what was counted before the second.
  int reading_since = 0, rest = 0;
  std::array<std::uint64_t, kCounters> before{};
  std::uint32_t likely = 0;
  for (int cycle = 0; cycle < 50000; ++cycle) {
    if (cycle % 100 == 0) likely = static_cast<std::uint32_t>(random());
    const auto events = (static_cast<std::uint32_t>(random()) | likely) & ((1U << kCounters) - 1);
    counters->events_i = events;
    counters->clear_i = reading_since == 0 && clear(random);
    if (reading_since == 0 && rest >= 2 && counters->clear_i == 0 && read(random)) {
      reading_since = 1;
      counters->index_i = static_cast<std::uint8_t>(random() % 32);
    }
    counters->read_i = reading_since == 1 || reading_since == 2;
    rest = counters->read_i ? 0 : rest + 1;
    counters.settle();
    if (reading_since == 3) {
      const std::uint64_t want =
          counters->index_i < kCounters ? before[counters->index_i] + error : error;
      wrong += counters->count_o != want;
    }
    for (std::size_t c = 0; c < kCounters; ++c)
      expected[c] = counters->clear_i ? 0 : expected[c] + (events >> c & 1U);
    if (reading_since == 1) before = expected;
    if (reading_since != 0) reading_since = (reading_since + 1) % 4;
    counters.edge();
  }
  return wrong;
}

}  // namespace

TEST_CASE("counters: exact at every read, between clears") {
  for (const double reading : {0.01, 0.5, 1.0}) CHECK(wrong_reads(tests::seed(), reading, 0) == 0);
}

TEST_CASE("counters: a wrong count is noticed") {
  CHECK(wrong_reads(tests::seed(), 0.5, 1) > 1000);
}
