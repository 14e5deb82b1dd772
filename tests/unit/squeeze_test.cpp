// The squeezer: what it makes of words and maps, and LOADs and STOREs of it in the simulator.

#include <algorithm>
#include <random>

#include "catch.hpp"
#include "isa/maps.hpp"
#include "iss/iss.hpp"
#include "iss/squeeze.hpp"
#include "seed.hpp"

using namespace espalier;
using Catch::Matchers::Contains;

namespace {

const isa::Config& machine() { return *isa::find_config("nano"); }  // L = 4, bus of 4 bytes

/// The live channels of one side, segment by segment.
struct Side {
  std::vector<std::vector<bool>> segments;

  Side(std::mt19937_64& random, std::uint32_t count) {
    for (std::uint32_t s = 0; s < count; ++s) {
      std::vector<bool> live(1 + random() % 11);
      const auto keep = random() % 5;  // 0: nothing of it, 4: all
      for (std::size_t c = 0; c < live.size(); ++c) live[c] = random() % 4 < keep;
      segments.push_back(live);
    }
  }
  [[nodiscard]] std::vector<std::uint8_t> maps() const {
    std::vector<std::uint8_t> out;
    for (const auto& live : segments) {
      for (std::size_t from = 0; from < live.size(); from += 4) {
        std::uint64_t map = from + 4 >= live.size() ? std::uint64_t{1} << isa::kSegmentEnd : 0;
        for (std::size_t c = from; c < std::min(from + 4, live.size()); ++c) {
          if (live[c]) map |= std::uint64_t{1} << (c - from);
        }
        for (unsigned i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(map >> 8 * i));
      }
    }
    out[out.size() - 4] |= 2;  // the last of all
    return out;
  }
  /// Dense lanes in the order of packed ones, -1 where a block is filled up.
  [[nodiscard]] std::vector<int> order() const {
    std::vector<int> out;
    int lane = 0;
    for (const auto& live : segments) {
      for (const bool stays : live) {
        if (stays) out.push_back(lane);
        ++lane;
      }
      lane = (lane + 3) / 4 * 4;
      while (out.size() % 4 != 0) out.push_back(-1);
    }
    return out;
  }
};

std::vector<std::uint8_t> random_bytes(std::mt19937_64& random, std::size_t count) {
  std::vector<std::uint8_t> out(count);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

/// What LOADs of the live rows give, each of some of them, the last of a segment with its end.
std::vector<std::uint8_t> squeezed(std::mt19937_64& random, const Side& n, const isa::Maps& k,
                                   std::size_t taps, const std::vector<std::uint8_t>& dense) {
  const std::size_t row = taps * k.live.size() * 4;
  std::vector<std::uint8_t> out;
  std::size_t lane = 0, filled = 0;
  for (const auto& live : n.segments) {
    std::vector<std::uint8_t> rows;
    std::size_t left = static_cast<std::size_t>(std::count(live.begin(), live.end(), true));
    for (const bool stays : live) {
      const auto from = dense.begin() + static_cast<std::ptrdiff_t>(lane++ * row);
      if (!stays) continue;
      rows.insert(rows.end(), from, from + static_cast<std::ptrdiff_t>(row));
      if (--left != 0 && random() % 2 == 0) continue;
      const auto part = iss::squeeze_rows(rows, k, taps, left == 0, filled);
      REQUIRE(part.ok());
      out.insert(out.end(), part->begin(), part->end());
      rows.clear();
    }
    REQUIRE(filled == 0);
    lane = (lane + 3) / 4 * 4;
  }
  return out;
}

}  // namespace

TEST_CASE("squeeze: live rows and lanes move to the front, segments fill up with zeros") {
  for (std::uint64_t i = 0; i < 200; ++i) {
    INFO("seed " << tests::seed() + i);
    std::mt19937_64 random(tests::seed() + i);
    const Side k(random, 1 + static_cast<std::uint32_t>(i % 3));
    const Side n(random, 1 + static_cast<std::uint32_t>(i % 2));
    auto bytes = n.maps();
    const std::size_t n_lanes = bytes.size() / 8 * 4;
    bytes.resize(bytes.size() + 40, 0xFF);  // behind the last map: not looked at
    const auto k_maps = isa::read_maps(k.maps(), 4), n_maps = isa::read_maps(bytes, 4);
    REQUIRE(k_maps.ok());
    REQUIRE(n_maps.ok());
    const std::size_t taps = 1 + random() % 4, k_lanes = k_maps->live.size() * 4;
    const auto dense = random_bytes(random, n_lanes * taps * k_lanes);
    const auto packed = squeezed(random, n, *k_maps, taps, dense);
    std::vector<std::uint8_t> want;
    for (const int row : n.order()) {
      for (std::size_t tap = 0; tap < taps; ++tap) {
        for (const int lane : k.order()) {
          const auto from = (static_cast<std::size_t>(std::max(row, 0)) * taps + tap) * k_lanes +
                            static_cast<std::size_t>(std::max(lane, 0));
          want.push_back(row < 0 || lane < 0 ? 0 : dense[from]);
        }
      }
    }
    REQUIRE(packed == want);
    const auto params = random_bytes(random, n_lanes * 8);
    const auto kept = iss::squeeze_params(params, *n_maps);
    REQUIRE(kept.ok());
    want.clear();
    for (const int row : n.order()) {
      for (int b = 0; b < 8; ++b) {
        want.push_back(row < 0 ? 0 : params[static_cast<std::size_t>(row * 8 + b)]);
      }
    }
    REQUIRE(*kept == want);
    std::size_t rows = 0;
    const std::vector<std::uint8_t> more(taps * k_lanes + 1, 0);
    CHECK_FALSE(iss::squeeze_rows(more, *k_maps, taps, false, rows).ok());
  }
}

TEST_CASE("squeeze: a list of maps without a last one is refused") {
  CHECK_THAT(isa::read_maps(std::vector<std::uint8_t>(24, 0), 4).error().message,
             Contains("none of 3 bit maps is the last"));
}

TEST_CASE("squeeze: STOREs take the words that LOADs squeeze, and all of them") {
  // Rows of two k blocks; of the n blocks row 2 lives, of k blocks lanes 1 and 7.
  std::vector<std::uint8_t> maps(4096, 0);
  maps[0] = 0b0010;
  maps[8] = 0b1000;
  maps[12] = 3;
  isa::Load rows, map;
  rows.target = map.target = static_cast<std::uint32_t>(isa::LoadTarget::kLayerTable);
  rows.region = static_cast<std::uint32_t>(isa::Region::kMask);
  rows.x_words = 8;
  map.region = 2;
  map.x_words = 1024;
  map.sram_address = isa::k_maps_word(machine());
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kSqueezer);
  load.offset = 2 * 8;
  load.x_words = 2;
  load.sram_address = 1 | isa::kSqueezeFill;  // taps
  load.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kLoadW);
  load.dep0_count = 2;
  isa::Store store;
  store.source = static_cast<std::uint32_t>(isa::StoreSource::kPool);
  store.region = 1;
  store.x_words = 2;
  store.z_count = 2;
  store.z_stride = 64;
  const auto pack = [&](const std::vector<isa::Instruction>& program) {
    iss::Regions regions;
    regions[0].resize(4096);
    for (std::size_t b = 0; b < 4096; ++b) regions[0][b] = static_cast<std::uint8_t>(b);
    regions[1].assign(4096, 0xA5);
    regions[2] = maps;
    regions[4].assign(32, 0);
    iss::Iss machine_under_test(machine(), {});
    const Status status = machine_under_test.run(program, regions, {});
    INFO((status.ok() ? "" : status.error().text()));
    if (status.ok()) {
      // One row of one word, and three of zeros: two words to each place.
      CHECK(regions[1][0] == 2 * 8 + 1);
      CHECK(regions[1][1] == 2 * 8 + 7);
      CHECK(regions[1][2] == 0);
      CHECK(regions[1][7] == 0);
      CHECK(regions[1][8] == 0xA5);
      CHECK(regions[1][64] == 0);
      CHECK(regions[1][72] == 0xA5);
    }
    return status.ok() ? std::string() : status.error().message;
  };
  CHECK(pack({rows, map, load, store, isa::End{}}) == "");
  store.z_count = 1;
  CHECK_THAT(pack({rows, map, load, store, isa::End{}}), Contains("the squeezer has 2 words left"));
  store.z_count = 3;
  CHECK_THAT(pack({rows, map, load, store, isa::End{}}), Contains("store holds instruction 3"));
  load.x_words = 3;
  CHECK_THAT(pack({rows, map, load, store, isa::End{}}),
             Contains("illegal_field: squeezes 12 bytes; by its maps a row has 8"));
}
