// The array alone, plain, packed, and joined as the fast models have it, and that of fine CONVs:
// passes of random length and spacing against matrix products.

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <type_traits>
#include <vector>

#include "Vrtl_array.h"
#include "Vrtl_array_fine.h"
#include "Vrtl_array_fine_joined.h"
#include "Vrtl_array_fine_joined_16.h"
#include "Vrtl_array_fine_packed.h"
#include "Vrtl_array_fine_packed_16.h"
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

// A pixel's two words, and what each column takes of them.
struct FedTwo {
  std::vector<int> x;                        // x - zx by channel of both words; zero where absent
  std::vector<std::vector<int>> w, channel;  // [column][row]
};

// The same for the array of fine CONVs. `dense`: the same word twice, and the indices of dense
// weights.
template <class Model, int kLanes>
int wrong_fine_sums(std::uint64_t seed, int passes, bool tight, bool dense, int error) {
  constexpr int kSumBits = kLanes == 16 ? 20 : kLanes == 8 ? 19 : 18;
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
  m.act_swap_i = m.act_odd_i = m.act_present_i = m.wgt_first_i = 0;

  struct Pass {
    int enter, begin, pixels, end;  // cycles
    std::vector<std::vector<int>> w, index;
  };
  std::vector<Pass> list;
  int enter = 3, begin = 0;
  for (int i = 0; i < passes; ++i) {
    Pass pass;
    pass.enter = enter;
    pass.begin = std::max(begin, enter + kLanes / 2 + 1) + (tight ? 0 : uniform(0, 5));
    pass.pixels = tight ? kLanes : uniform(1, kLanes + 6);
    pass.end = pass.begin + std::max(kLanes, pass.pixels + pass.pixels % 2);
    enter = std::max(enter + kLanes, pass.begin + 1) + (tight ? 0 : uniform(0, 3));
    begin = pass.end;
    const int extreme = uniform(0, 3);
    for (int n = 0; n < kLanes; ++n) {
      pass.w.emplace_back();
      pass.index.emplace_back();
      for (int k = 0; k < kLanes; ++k) {
        pass.w.back().push_back(extreme == 0 ? -128 : extreme == 1 ? 127 : uniform(-128, 127));
        pass.index.back().push_back(dense ? k % 4 : uniform(0, 3));
      }
    }
    list.push_back(std::move(pass));
  }

  std::map<int, FedTwo> fed;
  int wrong = 0;
  std::size_t at = 0;
  for (int cycle = 0; cycle < begin + 4 * kLanes; ++cycle) {
    while (at < list.size() && cycle >= list[at].end) ++at;
    const Pass* pass = at < list.size() && cycle >= list[at].begin ? &list[at] : nullptr;
    m.act_swap_i = pass != nullptr && cycle == pass->begin;
    m.act_odd_i = pass != nullptr && (cycle - pass->begin) % 2 == 1;
    m.act_present_i = static_cast<std::uint8_t>(uniform(0, 4) != 0 ? 3 : uniform(0, 3));
    std::array<std::int8_t, 2 * kLanes> act{};
    const int extreme = uniform(0, 3);
    for (auto& value : act) {
      value = static_cast<std::int8_t>(extreme == 0   ? -128
                                       : extreme == 1 ? 127
                                                      : uniform(-128, 127));
    }
    if (dense) {
      std::copy_n(act.begin(), kLanes, act.begin() + kLanes);
      m.act_present_i = m.act_present_i != 0 ? 3 : 0;
    }
    const int zx = extreme == 0 ? 127 : extreme == 1 ? -128 : uniform(-128, 127);
    m.act_zx_i = static_cast<std::uint8_t>(zx);
    std::memcpy(&m.act_data_i, act.data(), 2 * kLanes);
    m.wgt_first_i = 0;
    std::array<std::int8_t, kLanes> wgt{};
    std::uint32_t index = static_cast<std::uint32_t>(random());
    for (auto& value : wgt) value = static_cast<std::int8_t>(uniform(-128, 127));
    for (const Pass& p : list) {
      const int n = cycle - p.enter;
      if (n < 0 || n >= kLanes) continue;
      m.wgt_first_i = n == 0;
      index = 0;
      for (int k = 0; k < kLanes; ++k) {
        wgt[static_cast<std::size_t>(k)] =
            static_cast<std::int8_t>(p.w[static_cast<std::size_t>(n)][static_cast<std::size_t>(k)]);
        index |= static_cast<std::uint32_t>(
                     p.index[static_cast<std::size_t>(n)][static_cast<std::size_t>(k)])
                 << (2 * k);
      }
    }
    std::memcpy(&m.wgt_data_i, wgt.data(), kLanes);
    m.wgt_index_i = static_cast<decltype(m.wgt_index_i + 0U)>(index & ((1ULL << 2 * kLanes) - 1));
    m.en_i = 1;
    if (pass != nullptr && cycle < pass->begin + pass->pixels) {
      FedTwo& word = fed[cycle];
      word.w = pass->w;
      word.channel = pass->index;
      for (auto& column : word.channel) {
        for (int k = 0; k < kLanes; ++k) {
          auto& c = column[static_cast<std::size_t>(k)];
          c += k / 2 % 2 * kLanes + k / 4 * 4;
        }
      }
      for (int c = 0; c < 2 * kLanes; ++c) {
        const bool present = (m.act_present_i >> (c / kLanes) & 1) != 0;
        word.x.push_back(present ? act[static_cast<std::size_t>(c)] - zx : 0);
      }
    }
    m.clk_i = 0;
    m.eval();
    for (int j = 0; j < kLanes / 2; ++j) {
      const auto word = fed.find(cycle - kLanes - 5 - j);
      if (word == fed.end()) continue;
      for (int column = 2 * j; column < 2 * j + 2; ++column) {
        int sum = error;
        const auto& w = word->second.w[static_cast<std::size_t>(column)];
        const auto& channel = word->second.channel[static_cast<std::size_t>(column)];
        for (std::size_t k = 0; k < w.size(); ++k) {
          sum += w[k] * word->second.x[static_cast<std::size_t>(channel[k])];
        }
        std::uint32_t bits = 0;
        for (int bit = 0; bit < kSumBits; ++bit) {
          const int where = column * kSumBits + bit;
          bits |= (m.sums_o[where / 32] >> (where % 32) & 1U) << bit;
        }
        const int got = static_cast<std::int32_t>(bits << (32 - kSumBits)) >> (32 - kSumBits);
        wrong += got != sum;
      }
    }
    m.clk_i = 1;
    m.eval();
  }
  CHECK(fed.size() >= static_cast<std::size_t>(passes));
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

TEMPLATE_TEST_CASE_SIG("fine array: passes of any length at any distance, fine and dense", "",
                       ((class Model, int kLanes), Model, kLanes), (Vrtl_array_fine, 8),
                       (Vrtl_array_fine_packed, 8), (Vrtl_array_fine_packed_16, 16),
                       (Vrtl_array_fine_joined, 8), (Vrtl_array_fine_joined_16, 16)) {
  for (std::uint64_t round = 0; round < 20; ++round) {
    const std::uint64_t seed = espalier::tests::seed() + round;
    CHECK(wrong_fine_sums<Model, kLanes>(seed, 50, round % 3 == 0, round % 4 == 1, 0) == 0);
  }
  CHECK(wrong_fine_sums<Model, kLanes>(espalier::tests::seed(), 10, true, false, 1) ==
        10 * kLanes * kLanes);
}
