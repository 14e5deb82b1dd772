// The clip stage, PACK and the layer table in the simulator, instruction by instruction.

#include <algorithm>
#include <random>

#include "catch.hpp"
#include "isa/clip.hpp"
#include "iss/iss.hpp"
#include "iss/pack.hpp"
#include "seed.hpp"

using namespace espalier;
using Catch::Matchers::Contains;

namespace {

const isa::Config& machine() { return *isa::find_config("nano"); }  // L = 4, bus of 4 bytes

/// A layer of k x n blocks in units of kc x nb, and its row where so many are live.
struct TestLayer {
  std::uint32_t k = 5, n = 3, kc = 2, nb = 2, kh = 3, kw = 3;
  bool tapwise = false;

  [[nodiscard]] std::uint32_t piece(std::uint32_t blocks_n, std::uint32_t blocks_k) const {
    return blocks_n * 4 * blocks_k * (tapwise ? 1 : kh * kw);
  }
  [[nodiscard]] isa::LayerRow row(std::uint32_t k_live, std::uint32_t n_live) const {
    isa::LayerRow row;
    row.k_live = k_live;
    row.n_live = n_live;
    row.piece = piece(nb, kc);
    row.piece_k = piece(nb, k_live % kc);
    row.piece_n = piece(n_live % nb, kc);
    row.piece_nk = piece(n_live % nb, k_live % kc);
    return row;
  }
  /// The CONV of a group and a chunk, as the compiler writes it.
  [[nodiscard]] isa::Conv conv(std::uint32_t group, std::uint32_t chunk, bool stays) const {
    isa::Conv x;
    x.layer = 7;
    x.dep0_engine = 1;
    x.dep0_count = 9;
    x.kh = kh;
    x.kw = kw;
    x.k_blocks = std::min(kc, k - chunk * kc);
    x.n_blocks = std::min(nb, n - group * nb);
    x.first = chunk == 0 ? 1 : 0;
    x.last = (chunk + 1) * kc >= k ? 1 : 0;
    x.w_tapwise = tapwise ? 1 : 0;
    x.w_release = stays ? 0 : 1;
    x.w_piece = piece(x.n_blocks, x.k_blocks);
    x.w_n_stride = tapwise ? x.k_blocks : x.k_blocks * kh * kw;
    x.w_tap_stride = tapwise ? x.w_piece : x.k_blocks;
    x.clip.emplace();
    x.clip->k0 = chunk * kc;
    x.clip->n0 = group * nb;
    x.clip->kc = kc;
    x.clip->nb = nb;
    x.clip->last_taps = 1;
    x.clip->w_start = group == 0 && chunk == 0 ? 1 : 0;
    return x;
  }
};

isa::Instruction clipped(const isa::Instruction& x, const isa::LayerRow& row) {
  isa::ClipState state;
  return isa::clip(x, row, machine(), state);
}

bool is_nop(const isa::Instruction& x, isa::Engine engine) {
  const auto* nop = std::get_if<isa::Nop>(&x);
  return nop != nullptr && static_cast<isa::Engine>(nop->engine) == engine;
}

template <typename Transfer>
Transfer transfer(isa::ClipDim dim, std::uint32_t y, std::uint32_t z) {
  Transfer t;
  t.offset = 4096;
  t.x_words = 5;
  t.y_count = y;
  t.z_count = z;
  t.clip.emplace();
  t.clip->dim = static_cast<std::uint32_t>(dim);
  return t;
}

}  // namespace

TEST_CASE("clip: by a dense row every instruction stays what it was") {
  for (const bool tapwise : {false, true}) {
    for (const bool stays : {false, true}) {
      TestLayer layer;
      layer.tapwise = tapwise;
      const isa::LayerRow row = layer.row(layer.k, layer.n);
      isa::ClipState state;
      std::uint32_t offset = 0;
      for (std::uint32_t group = 0; group < 2; ++group) {
        for (std::uint32_t chunk = 0; chunk < 3; ++chunk) {
          isa::Conv x = layer.conv(group, chunk, stays);
          x.w_offset = stays ? offset : 0;
          offset += x.w_piece * (tapwise ? 9 : 1);
          isa::Conv plain = x;
          plain.clip.reset();
          INFO("group " << group << ", chunk " << chunk);
          CHECK(std::get<isa::Conv>(isa::clip(x, row, machine(), state)) == plain);
        }
      }
    }
  }
  isa::LayerRow row = TestLayer{}.row(5, 3);
  row.dense = 1;
  auto load = transfer<isa::Load>(isa::ClipDim::kZ, 2, 5);
  for (const std::uint32_t shift : {0U, 1U, 2U, 3U}) {
    load.clip->shift = shift;
    auto plain = load;
    plain.clip.reset();
    CHECK(std::get<isa::Load>(clipped(load, row)) == plain);
  }
  isa::Pool pool;
  pool.blocks = 3;
  pool.clip.emplace();
  CHECK(std::get<isa::Pool>(clipped(pool, row)).blocks == 3);
}

TEST_CASE("clip: instructions without the word are left alone") {
  const isa::Load load;
  CHECK(std::get<isa::Load>(clipped(load, {})) == load);
}

TEST_CASE("clip: the sum ends with the last live chunk, and chunks behind it are nops") {
  const TestLayer layer;
  for (std::uint32_t live = 1; live <= layer.k; ++live) {
    const isa::LayerRow row = layer.row(live, layer.n);
    isa::ClipState state;
    std::uint32_t blocks = 0, lasts = 0, words = 0;
    for (std::uint32_t chunk = 0; chunk < 3; ++chunk) {
      const isa::Instruction x = isa::clip(layer.conv(0, chunk, true), row, machine(), state);
      CHECK(isa::dependencies(x)[0] == isa::Dependency{isa::Engine::kLoadA, 9});
      CHECK(isa::layer(x) == 7);
      const auto* conv = std::get_if<isa::Conv>(&x);
      if (conv == nullptr) {
        CHECK(is_nop(x, isa::Engine::kExec));
        CHECK(lasts == 1);
        continue;
      }
      CHECK(conv->w_offset == words);
      CHECK(conv->w_piece == conv->k_blocks * conv->n_blocks * 4 * 9);
      CHECK(conv->w_n_stride == conv->k_blocks * 9);
      words += conv->w_piece;
      blocks += conv->k_blocks;
      lasts += conv->last;
    }
    INFO(live << " live k blocks");
    CHECK(blocks == live);
    CHECK(lasts == 1);
  }
}

TEST_CASE("clip: a chunk of taps that is not the last of its k blocks does not end the sum") {
  isa::Conv x = TestLayer{}.conv(0, 0, false);
  x.clip->last_taps = 0;
  CHECK(std::get<isa::Conv>(clipped(x, TestLayer{}.row(2, 3))).last == 0);
}

TEST_CASE("clip: a group without live channels is one empty CONV for post") {
  const TestLayer layer;
  const isa::LayerRow row = layer.row(1, 2);
  CHECK(is_nop(clipped(layer.conv(1, 0, false), row), isa::Engine::kExec));
  CHECK(is_nop(clipped(layer.conv(1, 1, false), row), isa::Engine::kExec));
  const auto x = std::get<isa::Conv>(clipped(layer.conv(1, 2, false), row));
  CHECK(x.last == 1);
  CHECK(x.n_blocks == 0);
  CHECK(x.w_piece == 0);
}

TEST_CASE("clip: transfers lose blocks in the dimension that counts them, and move") {
  isa::LayerRow row = TestLayer{}.row(4, 2);
  row.in_shift = -3;
  row.operand_shift = 8;
  row.out_shift = 5;
  auto load = transfer<isa::Load>(isa::ClipDim::kZ, 2, 3);
  load.clip->k0 = 2;
  load.clip->shift = static_cast<std::uint32_t>(isa::ClipShift::kIn);
  auto out = std::get<isa::Load>(clipped(load, row));
  CHECK(out.z_count == 2);
  CHECK(out.y_count == 2);
  CHECK(out.offset == 4096 - 3 * 4);
  load.clip->k0 = 4;
  CHECK(is_nop(clipped(load, row), isa::Engine::kLoadA));
  load.clip->k0 = 0;
  load.clip->n0 = 2;  // for a group that is not there
  CHECK(is_nop(clipped(load, row), isa::Engine::kLoadA));
  load.clip->dim = 0;
  load.clip->n0 = 1;
  CHECK(std::get<isa::Load>(clipped(load, row)).z_count == 3);

  auto operand = transfer<isa::Load>(isa::ClipDim::kY, 2, 1);
  operand.clip->bound = static_cast<std::uint32_t>(isa::ClipBound::kOutput);
  operand.clip->shift = static_cast<std::uint32_t>(isa::ClipShift::kOperand);
  operand.clip->n0 = 1;
  out = std::get<isa::Load>(clipped(operand, row));
  CHECK(out.y_count == 1);
  CHECK(out.offset == 4096 + 8 * 4);

  auto store = transfer<isa::Store>(isa::ClipDim::kZ, 1, 2);
  store.clip->shift = static_cast<std::uint32_t>(isa::ClipShift::kOut);
  store.clip->n0 = 1;
  CHECK(std::get<isa::Store>(clipped(store, row)).z_count == 1);
  CHECK(std::get<isa::Store>(clipped(store, row)).offset == 4096 + 5 * 4);
  store.clip->n0 = 2;
  CHECK(is_nop(clipped(store, row), isa::Engine::kStore));

  isa::Pool pool;
  pool.blocks = 3;
  pool.clip.emplace();
  pool.clip->n0 = 1;
  CHECK(std::get<isa::Pool>(clipped(pool, row)).blocks == 1);
  pool.clip->n0 = 2;
  CHECK(is_nop(clipped(pool, row), isa::Engine::kPool));
}

TEST_CASE("clip: weights and parameters are as many as are live, from the packed image") {
  const TestLayer layer;
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  load.x_words = layer.piece(2, 2);
  load.clip = layer.conv(1, 1, false).clip;
  load.clip->bound = static_cast<std::uint32_t>(isa::ClipBound::kWeights);
  isa::LayerRow row = layer.row(3, 3);
  auto out = std::get<isa::Load>(clipped(load, row));
  CHECK(out.x_words == layer.piece(1, 1));
  CHECK(out.region == 4);
  row.dense = 1;
  CHECK(std::get<isa::Load>(clipped(load, row)).region == 0);
  CHECK(is_nop(clipped(load, layer.row(2, 3)), isa::Engine::kLoadW));
  CHECK(is_nop(clipped(load, layer.row(3, 2)), isa::Engine::kLoadW));
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kParameters);
  load.clip->bound = static_cast<std::uint32_t>(isa::ClipBound::kParameters);
  CHECK(std::get<isa::Load>(clipped(load, layer.row(1, 3))).x_words == 8);
  CHECK(is_nop(clipped(load, layer.row(1, 2)), isa::Engine::kLoadW));
}

namespace {

/// A layer's weights in memory, and its live channels with their segments.
struct PackTester {
  isa::Pack pack;
  std::vector<std::vector<bool>> k_segments, n_segments;  // live channels of each
  std::vector<std::uint8_t> dense, packed;
  std::mt19937_64 random;

  PackTester(std::uint64_t seed, bool tapwise) : random(seed) {
    const auto draw = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    pack.taps = draw(1, 4);
    pack.kc = draw(1, 3);
    pack.nb = draw(1, 3);
    pack.tapwise = tapwise ? 1 : 0;
    pack.k_blocks = segments(k_segments, draw(1, 3));
    pack.n_blocks = segments(n_segments, draw(1, 2));
    const std::uint32_t groups = (pack.n_blocks + pack.nb - 1) / pack.nb;
    const std::uint32_t chunks = (pack.k_blocks + pack.kc - 1) / pack.kc;
    const std::uint32_t tap = pack.nb * 4 * pack.kc * 4;
    pack.tap_stride = tapwise ? tap : 0;
    pack.chunk_stride = tap * pack.taps;
    pack.group_stride = pack.chunk_stride * chunks;
    pack.weights = 64;
    pack.params = pack.weights + pack.group_stride * groups;
    pack.masks = pack.params + pack.n_blocks * 4 * 8;
    dense.resize(pack.masks);
    for (auto& byte : dense) byte = static_cast<std::uint8_t>(random());
    packed.assign(pack.masks, 0xA5);
    put_masks(k_segments);
    put_masks(n_segments);
  }

  std::uint32_t segments(std::vector<std::vector<bool>>& list, std::uint32_t count) {
    std::uint32_t blocks = 0;
    for (std::uint32_t s = 0; s < count; ++s) {
      std::vector<bool> live(1 + random() % 11);
      const auto keep = random() % 5;  // 0: nothing of it, 4: all
      for (std::size_t c = 0; c < live.size(); ++c) live[c] = random() % 4 < keep;
      blocks += static_cast<std::uint32_t>(live.size() + 3) / 4;
      list.push_back(live);
    }
    return blocks;
  }
  void put_masks(const std::vector<std::vector<bool>>& list) {
    for (const auto& live : list) {
      for (std::size_t from = 0; from < live.size(); from += 4) {
        std::vector<std::uint8_t> word(iss::kMaskBytes, 0);
        for (std::size_t c = from; c < std::min(from + 4, live.size()); ++c) {
          if (live[c]) word[0] = static_cast<std::uint8_t>(word[0] | 1U << (c - from));
        }
        if (from + 4 >= live.size()) word[4] = 1;
        packed.insert(packed.end(), word.begin(), word.end());
      }
    }
  }
  /// Dense channels in the order of packed ones, -1 where a block is filled up.
  static std::vector<int> order(const std::vector<std::vector<bool>>& list) {
    std::vector<int> out;
    int lane = 0;
    for (const auto& live : list) {
      for (const bool stays : live) {
        if (stays) out.push_back(lane);
        ++lane;
      }
      lane = (lane + 3) / 4 * 4;
      while (out.size() % 4 != 0) out.push_back(-1);
    }
    return out;
  }
  /// Where a weight lies in an image of `k_all` blocks.
  [[nodiscard]] std::size_t place(std::uint32_t k_all, int row, std::uint32_t tap, int k) const {
    const auto r = static_cast<std::uint32_t>(row), block = static_cast<std::uint32_t>(k) / 4;
    const std::uint32_t chunk = block / pack.kc;
    const std::uint32_t width = std::min(pack.kc, k_all - chunk * pack.kc);
    const std::uint32_t in_group = r % (pack.nb * 4);
    std::uint32_t at = pack.weights + r / (pack.nb * 4) * pack.group_stride;
    at += chunk * pack.chunk_stride;
    at += pack.tapwise != 0 ? tap * pack.tap_stride + in_group * width * 4
                            : (in_group * pack.taps + tap) * width * 4;
    return at + block % pack.kc * 4 + static_cast<std::uint32_t>(k) % 4;
  }
};

}  // namespace

TEST_CASE("pack: live rows and lanes move to the front, segments fill up with zeros") {
  for (std::uint64_t i = 0; i < 200; ++i) {
    PackTester t(tests::seed() + i, i % 2 == 1);
    INFO("seed " << tests::seed() + i);
    const auto masks = std::vector(t.packed.begin() + t.pack.masks, t.packed.end());
    REQUIRE(iss::pack(t.pack, machine(), t.dense, t.packed).ok());
    const auto k = PackTester::order(t.k_segments), n = PackTester::order(t.n_segments);
    const auto k_live = static_cast<std::uint32_t>(k.size() / 4);
    for (std::size_t row = 0; row < n.size(); ++row) {
      for (std::uint32_t tap = 0; tap < t.pack.taps; ++tap) {
        for (std::size_t lane = 0; lane < k.size(); ++lane) {
          const int value = n[row] < 0 || k[lane] < 0
                                ? 0
                                : t.dense[t.place(t.pack.k_blocks, n[row], tap, k[lane])];
          REQUIRE(t.packed[t.place(k_live, static_cast<int>(row), tap, static_cast<int>(lane))] ==
                  value);
        }
      }
      for (std::uint32_t b = 0; b < 8; ++b) {
        const std::size_t from = t.pack.params + static_cast<std::size_t>(n[row]) * 8 + b;
        REQUIRE(t.packed[t.pack.params + row * 8 + b] == (n[row] < 0 ? 0 : t.dense[from]));
      }
    }
    REQUIRE(std::equal(masks.begin(), masks.end(), t.packed.begin() + t.pack.masks));
  }
}

TEST_CASE("pack: more bit maps than the machine has are a fault") {
  PackTester t(tests::seed(), false);
  t.pack.k_blocks = 500;
  t.pack.n_blocks = 13;
  CHECK_THAT(iss::pack(t.pack, machine(), t.dense, t.packed).error().message,
             Contains("capacity: 513 bit maps; the machine has 512"));
}

TEST_CASE("pack: regions that end too early are faults") {
  PackTester t(tests::seed(), false);
  auto shorter = t.packed;
  shorter.pop_back();
  CHECK_THAT(iss::pack(t.pack, machine(), t.dense, shorter).error().message,
             Contains("read_window: masks reach byte"));
  t.dense.resize(t.pack.params);
  CHECK_THAT(iss::pack(t.pack, machine(), t.dense, t.packed).error().message,
             Contains("read_window: reaches byte"));
}

namespace {

struct Run {
  Status status;
  std::vector<std::uint64_t> retired = std::vector<std::uint64_t>(7, 0);
};

/// Runs instructions with a table of one row in region 4.
Run run(const std::vector<isa::Instruction>& program, const isa::LayerRow& row,
        std::uint64_t order) {
  iss::Regions regions;
  for (auto& region : regions) region.assign(4096, 1);
  regions[4].clear();
  isa::encode(row, regions[4]);
  Run out;
  iss::Iss machine_under_test(machine(), {order});
  out.status = machine_under_test.run(program, regions, [&](isa::Engine engine, std::uint64_t n) {
    out.retired[static_cast<std::size_t>(engine)] = n;
  });
  return out;
}

isa::Load table(std::uint32_t rows) {
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kLayerTable);
  load.region = static_cast<std::uint32_t>(isa::Region::kMask);
  load.x_words = rows * 8;
  return load;
}

}  // namespace

TEST_CASE("clip: what a mask leaves out retires in its queue, and post counts the empty CONV") {
  auto load = transfer<isa::Load>(isa::ClipDim::kZ, 1, 1);
  load.offset = 0;
  isa::Conv conv;
  conv.last = 1;
  conv.y_step = conv.tap_step = conv.row_pitch = 1;
  conv.clip.emplace();
  conv.clip->kc = conv.clip->nb = 1;
  conv.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
  conv.dep0_count = 1;
  auto store = transfer<isa::Store>(isa::ClipDim::kZ, 1, 1);
  store.offset = 0;
  store.region = 1;
  store.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kPost);
  store.dep0_count = 1;
  for (std::uint64_t order = 0; order < 20; ++order) {
    const Run result = run({table(1), load, conv, store, isa::End{}}, {}, order);
    INFO(result.status.ok());
    REQUIRE(result.status.ok());
    CHECK(result.retired == std::vector<std::uint64_t>{0, 1, 1, 1, 1, 0, 1});
  }
}

TEST_CASE("clip: faults of the layer table") {
  isa::Pool pool;
  pool.clip.emplace();
  CHECK_THAT(run({pool, isa::End{}}, {}, 0).status.error().message,
             Contains("illegal_field") && Contains("the table has 0 bytes"));
  pool.layer = 1;
  CHECK_THAT(run({table(1), pool, isa::End{}}, {}, 0).status.error().message,
             Contains("illegal_field") && Contains("the table has 32 bytes"));
  pool.layer = 64;
  CHECK_THAT(run({table(1), pool, isa::End{}}, {}, 0).status.error().message,
             Contains("capacity: the layer table has 64 rows"));
  CHECK_THAT(run({table(2), isa::End{}}, {}, 0).status.error().message, Contains("read_window"));
  isa::Load large = table(65);
  large.region = 1;
  CHECK_THAT(run({large, isa::End{}}, {}, 0).status.error().message,
             Contains("capacity: the layer table has 64 rows"));
  isa::Pack pack;
  pack.masks = 32;
  CHECK_THAT(run({pack, isa::End{}}, {}, 0).status.error().message, Contains("masks reach byte"));
}
