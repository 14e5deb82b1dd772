// The array alone: passes of random length and spacing against matrix products.

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "Vrtl_array.h"
#include "catch.hpp"
#include "seed.hpp"

namespace {

constexpr int kLanes = 4, kSumBits = 18;

struct Fed {
  std::vector<int> x;                  // x - zx; zero where absent
  std::vector<std::vector<int>> tile;  // [column][lane]
};

// Feeds passes and returns the number of wrong column sums. `error` is added to one expected sum.
int wrong_sums(std::uint64_t seed, int passes, bool tight, int error) {
  std::mt19937_64 random(seed);
  const auto uniform = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  VerilatedContext context;
  Vrtl_array m(&context);
  m.clear_i = 0;
  m.rst_ni = 0;
  m.eval();
  m.rst_ni = 1;
  m.act_swap_i = m.act_present_i = m.wgt_first_i = 0;

  // Cycles at which each tile enters and each pass begins.
  std::vector<int> enters, begins, lengths;
  int enter = 3, begin = 0;
  for (int i = 0; i < passes; ++i) {
    enters.push_back(enter);
    begin = std::max(begin, enter + kLanes / 2 + 1) + (tight ? 0 : uniform(0, 5));
    begins.push_back(begin);
    lengths.push_back(tight ? kLanes : kLanes + uniform(0, 6));
    enter = std::max(enter + kLanes, begin + 1) + (tight ? 0 : uniform(0, 3));
    begin += lengths.back();
  }
  std::vector<std::vector<std::vector<int>>> tiles(
      static_cast<std::size_t>(passes),
      std::vector<std::vector<int>>(kLanes, std::vector<int>(kLanes)));
  for (auto& tile : tiles)
    for (auto& column : tile)
      for (int& w : column) w = uniform(-128, 127);

  std::map<int, Fed> fed;  // by the enabled cycle in which a word entered
  int wrong = 0, pass = -1, moved = 0;
  const int end = begin + 4 * kLanes;
  for (int cycle = 0; cycle < end; ++cycle) {
    if (pass + 1 < passes && begins[static_cast<std::size_t>(pass + 1)] == cycle) ++pass;
    const bool feeding = pass >= 0 && cycle < begins[static_cast<std::size_t>(pass)] +
                                                  lengths[static_cast<std::size_t>(pass)];
    m.act_swap_i = feeding && begins[static_cast<std::size_t>(pass)] == cycle;
    m.act_present_i = uniform(0, 4) != 0;
    m.act_zx_i = static_cast<std::uint8_t>(uniform(-128, 127));
    m.act_data_i = static_cast<std::uint32_t>(random());
    m.wgt_first_i = 0;
    m.wgt_data_i = static_cast<std::uint32_t>(random());
    for (int i = 0; i < passes; ++i) {
      const int n = cycle - enters[static_cast<std::size_t>(i)];
      if (n < 0 || n >= kLanes) continue;
      m.wgt_first_i = n == 0;
      for (int k = 0; k < kLanes; ++k) {
        const auto w = static_cast<std::uint8_t>(tiles[static_cast<std::size_t>(
            i)][static_cast<std::size_t>(n)][static_cast<std::size_t>(k)]);
        reinterpret_cast<std::uint8_t*>(&m.wgt_data_i)[k] = w;
      }
    }
    m.en_i = 1;
    if (feeding) {
      Fed& word = fed[moved];
      word.tile = tiles[static_cast<std::size_t>(pass)];
      for (int k = 0; k < kLanes; ++k) {
        const int x = static_cast<std::int8_t>(m.act_data_i >> (8 * k)) -
                      static_cast<std::int8_t>(m.act_zx_i);
        word.x.push_back(m.act_present_i ? x : 0);
      }
    }
    m.clk_i = 0;
    m.eval();
    for (int j = 0; j < kLanes / 2; ++j) {
      const auto word = fed.find(moved - kLanes - 2 - j);
      if (word == fed.end()) continue;
      for (int column = 2 * j; column < 2 * j + 2; ++column) {
        int sum = error;
        for (int k = 0; k < kLanes; ++k) {
          sum += word->second.x[static_cast<std::size_t>(k)] *
                 word->second.tile[static_cast<std::size_t>(column)][static_cast<std::size_t>(k)];
        }
        std::uint32_t bits = 0;
        for (int bit = 0; bit < kSumBits; ++bit) {
          const int at = column * kSumBits + bit;
          bits |= (m.sums_o[at / 32] >> (at % 32) & 1U) << bit;
        }
        const int got = static_cast<std::int32_t>(bits << (32 - kSumBits)) >> (32 - kSumBits);
        wrong += got != sum;
      }
    }
    m.clk_i = 1;
    m.eval();
    ++moved;
  }
  CHECK(fed.size() >= static_cast<std::size_t>(passes) * kLanes);
  return wrong;
}

}  // namespace

TEST_CASE("array: passes of as many cycles as lanes follow each other without a gap") {
  CHECK(wrong_sums(espalier::tests::seed(), 200, true, 0) == 0);
}

TEST_CASE("array: passes of any length at any distance") {
  for (std::uint64_t round = 0; round < 20; ++round)
    CHECK(wrong_sums(espalier::tests::seed() + round, 50, false, 0) == 0);
}

TEST_CASE("array: a wrong sum is noticed") {
  CHECK(wrong_sums(espalier::tests::seed(), 10, true, 1) == 10 * 16);
}
