// The array alone, plain, packed, and joined as the fast models have it: passes of random length
// and spacing against matrix products.

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <type_traits>
#include <vector>

#include "Vrtl_array.h"
#include "Vrtl_array_joined.h"
#include "Vrtl_array_joined_16.h"
#include "Vrtl_array_packed.h"
#include "Vrtl_array_packed_16.h"
#include "catch.hpp"
#include "seed.hpp"

namespace {

struct Fed {
  std::vector<int> x;                  // x - zx; zero where absent
  std::vector<std::vector<int>> tile;  // [column][lane]
};

// Feeds passes and returns the number of wrong column sums. `error` is added to every expected sum.
template <class Model, int kLanes>
int wrong_sums(std::uint64_t seed, int passes, bool tight, int error) {
  constexpr int kSumBits = kLanes == 16 ? 20 : 18;
  std::mt19937_64 random(seed);
  const auto uniform = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  VerilatedContext context;
  Model m(&context);
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
  // Every other word and column holds one extreme value, so that sums reach theirs.
  const auto fill = [&](auto& values) {
    const int extreme = uniform(0, 3), value = extreme == 0 ? -128 : 127;
    for (auto& v : values)
      v = static_cast<std::remove_reference_t<decltype(v)>>(extreme < 2 ? value
                                                                        : uniform(-128, 127));
  };
  for (auto& tile : tiles)
    for (auto& column : tile) fill(column);

  std::map<int, Fed> fed;  // by the enabled cycle in which a word entered
  int wrong = 0, pass = -1, moved = 0;
  const int end = begin + 4 * kLanes;
  for (int cycle = 0; cycle < end; ++cycle) {
    if (pass + 1 < passes && begins[static_cast<std::size_t>(pass + 1)] == cycle) ++pass;
    const bool feeding = pass >= 0 && cycle < begins[static_cast<std::size_t>(pass)] +
                                                  lengths[static_cast<std::size_t>(pass)];
    m.act_swap_i = feeding && begins[static_cast<std::size_t>(pass)] == cycle;
    m.act_present_i = uniform(0, 4) != 0;
    std::array<std::int8_t, kLanes> act{}, wgt{};
    std::array<std::int8_t, 1> zx{};
    fill(act);
    fill(wgt);
    fill(zx);
    m.act_zx_i = static_cast<std::uint8_t>(zx[0]);
    std::memcpy(&m.act_data_i, act.data(), kLanes);
    m.wgt_first_i = 0;
    for (int i = 0; i < passes; ++i) {
      const int n = cycle - enters[static_cast<std::size_t>(i)];
      if (n < 0 || n >= kLanes) continue;
      m.wgt_first_i = n == 0;
      for (int k = 0; k < kLanes; ++k) {
        wgt[static_cast<std::size_t>(k)] =
            static_cast<std::int8_t>(tiles[static_cast<std::size_t>(i)][static_cast<std::size_t>(n)]
                                          [static_cast<std::size_t>(k)]);
      }
    }
    std::memcpy(&m.wgt_data_i, wgt.data(), kLanes);
    m.en_i = 1;
    if (feeding) {
      Fed& word = fed[moved];
      word.tile = tiles[static_cast<std::size_t>(pass)];
      for (int k = 0; k < kLanes; ++k) {
        const int x = act[static_cast<std::size_t>(k)] - zx[0];
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
  const std::uint64_t seed = espalier::tests::seed();
  CHECK(wrong_sums<Vrtl_array, 4>(seed, 200, true, 0) == 0);
  CHECK(wrong_sums<Vrtl_array_packed, 4>(seed, 200, true, 0) == 0);
  CHECK(wrong_sums<Vrtl_array_packed_16, 16>(seed, 200, true, 0) == 0);
  CHECK(wrong_sums<Vrtl_array_joined, 4>(seed, 200, true, 0) == 0);
  CHECK(wrong_sums<Vrtl_array_joined_16, 16>(seed, 200, true, 0) == 0);
}

TEST_CASE("array: passes of any length at any distance") {
  for (std::uint64_t round = 0; round < 20; ++round) {
    const std::uint64_t seed = espalier::tests::seed() + round;
    CHECK(wrong_sums<Vrtl_array, 4>(seed, 50, false, 0) == 0);
    CHECK(wrong_sums<Vrtl_array_packed, 4>(seed, 50, false, 0) == 0);
    CHECK(wrong_sums<Vrtl_array_packed_16, 16>(seed, 50, false, 0) == 0);
    CHECK(wrong_sums<Vrtl_array_joined, 4>(seed, 50, false, 0) == 0);
    CHECK(wrong_sums<Vrtl_array_joined_16, 16>(seed, 50, false, 0) == 0);
  }
}

TEST_CASE("array: a wrong sum is noticed") {
  CHECK(wrong_sums<Vrtl_array, 4>(espalier::tests::seed(), 10, true, 1) == 10 * 16);
  CHECK(wrong_sums<Vrtl_array_packed, 4>(espalier::tests::seed(), 10, true, 1) == 10 * 16);
  CHECK(wrong_sums<Vrtl_array_joined, 4>(espalier::tests::seed(), 10, true, 1) == 10 * 16);
}
