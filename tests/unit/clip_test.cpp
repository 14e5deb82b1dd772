// The clip stage and the layer table in the simulator, instruction by instruction.

#include <algorithm>

#include "catch.hpp"
#include "isa/clip.hpp"
#include "iss/iss.hpp"
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
    row.n_stride = k_live % kc * (tapwise ? 1 : kh * kw);
    row.block_words = 4 * k_live * (tapwise ? 1 : kh * kw);
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

/// A transfer of z blocks, cut to the live n blocks from 0 on.
template <typename Transfer>
Transfer transfer(std::uint32_t y, std::uint32_t z) {
  Transfer t;
  t.offset = 4096;
  t.x_words = 5;
  t.y_count = y;
  t.z_count = z;
  t.clip.emplace();
  t.clip->nb = z;
  t.clip->cut = t.clip->need_n = 1;
  return t;
}

/// The same of activations, cut to the live k blocks, for n blocks from 0 on.
isa::Load tile(std::uint32_t y, std::uint32_t z) {
  auto load = transfer<isa::Load>(y, z);
  load.clip->kc = z;
  load.clip->nb = 1;
  load.clip->by_k = load.clip->need_k = 1;
  return load;
}

}  // namespace

TEST_CASE("clip: by a dense row every instruction stays what it was") {
  for (const bool tapwise : {false, true}) {
    for (const bool stays : {false, true}) {
      if (tapwise && stays) continue;  // no program has both
      TestLayer layer;
      layer.tapwise = tapwise;
      const isa::LayerRow row = layer.row(layer.k, layer.n);
      isa::ClipState state;
      std::uint32_t offset = 0;
      for (std::uint32_t group = 0; group < 2; ++group) {
        for (std::uint32_t chunk = 0; chunk < 3; ++chunk) {
          isa::Conv x = layer.conv(group, chunk, stays);
          x.w_offset = stays ? offset : 0;
          offset += x.w_piece;
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
  auto load = tile(2, 5);
  for (const std::uint32_t shift : {0U, 1U, 2U, 3U}) {
    load.clip->shift = shift;
    auto plain = load;
    plain.clip.reset();
    CHECK(std::get<isa::Load>(clipped(load, row)) == plain);
  }
  isa::Pool pool;
  pool.blocks = 3;
  pool.clip.emplace();
  pool.clip->nb = 3;
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
  CHECK(x.w_piece == layer.conv(1, 2, false).w_piece);
}

TEST_CASE("clip: transfers lose blocks in the dimension that counts them, and move") {
  isa::LayerRow row = TestLayer{}.row(4, 2);
  row.in_shift = -3;
  row.operand_shift = 8;
  row.out_shift = 5;
  auto load = tile(2, 3);
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
  load.clip->cut = load.clip->need_k = 0;
  load.clip->k0 = 4;
  load.clip->n0 = 1;
  CHECK(std::get<isa::Load>(clipped(load, row)).z_count == 3);

  auto operand = transfer<isa::Load>(1, 2);
  operand.clip->shift = static_cast<std::uint32_t>(isa::ClipShift::kOperand);
  operand.clip->n0 = 1;
  out = std::get<isa::Load>(clipped(operand, row));
  CHECK(out.z_count == 1);
  CHECK(out.offset == 4096 + 8 * 4);

  auto store = transfer<isa::Store>(1, 2);
  store.clip->shift = static_cast<std::uint32_t>(isa::ClipShift::kOut);
  store.clip->n0 = 1;
  CHECK(std::get<isa::Store>(clipped(store, row)).z_count == 1);
  CHECK(std::get<isa::Store>(clipped(store, row)).offset == 4096 + 5 * 4);
  store.clip->n0 = 2;
  CHECK(is_nop(clipped(store, row), isa::Engine::kStore));

  isa::Pool pool;
  pool.blocks = 3;
  pool.clip.emplace();
  pool.clip->nb = 3;
  pool.clip->need_n = 1;
  pool.clip->n0 = 1;
  CHECK(std::get<isa::Pool>(clipped(pool, row)).blocks == 1);
  pool.clip->n0 = 2;
  CHECK(is_nop(clipped(pool, row), isa::Engine::kPool));
}

TEST_CASE("clip: weights and parameters are as many as are live, from the packed image") {
  const TestLayer layer;
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  load.x_words = 2;
  load.y_count = 4 * 9;
  load.y_stride = 5 * 4;
  load.z_count = 2;
  load.clip = layer.conv(1, 1, false).clip;
  load.clip->cut = load.clip->need_k = load.clip->need_n = load.clip->image = 1;
  load.clip->rows = 1;
  isa::LayerRow row = layer.row(3, 3);
  auto out = std::get<isa::Load>(clipped(load, row));
  CHECK(out.x_words == 1);
  CHECK(out.y_count == 4 * 9);
  CHECK(out.y_stride == 3 * 4);
  CHECK(out.z_count == 1);
  CHECK(out.region == 4);
  row.dense = 1;
  CHECK(std::get<isa::Load>(clipped(load, row)).region == 0);
  CHECK(is_nop(clipped(load, layer.row(2, 3)), isa::Engine::kLoadW));
  CHECK(is_nop(clipped(load, layer.row(3, 2)), isa::Engine::kLoadW));
  load.clip->rows = 0;
  load.clip->words = 1;
  load.clip->k0 = 0;
  load.clip->kc = 5;
  load.y_count = 1;
  out = std::get<isa::Load>(clipped(load, layer.row(3, 3)));
  CHECK(out.x_words == 4 * 9 * 3);
  CHECK(out.y_stride == 5 * 4);
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kParameters);
  load.x_words = 8;
  load.clip->words = load.clip->need_k = 0;
  out = std::get<isa::Load>(clipped(load, layer.row(0, 3)));
  CHECK(out.x_words == 8);
  CHECK(out.z_count == 1);
  CHECK(is_nop(clipped(load, layer.row(1, 2)), isa::Engine::kLoadW));
}

TEST_CASE("clip: what an instruction takes a count of, it needs without a bit for it") {
  const TestLayer layer;
  const isa::LayerRow none_k = layer.row(0, 3), none_n = layer.row(5, 0);
  isa::Conv conv = layer.conv(0, 0, false);
  conv.last = 0;
  CHECK(is_nop(clipped(conv, none_k), isa::Engine::kExec));
  CHECK(is_nop(clipped(conv, none_n), isa::Engine::kExec));

  auto load = transfer<isa::Load>(1, 3);  // cut to n blocks
  load.clip->kc = 3;
  load.clip->need_n = 0;
  CHECK(is_nop(clipped(load, none_n), isa::Engine::kLoadA));
  CHECK_FALSE(is_nop(clipped(load, none_k), isa::Engine::kLoadA));
  load.clip->by_k = 1;
  CHECK(is_nop(clipped(load, none_k), isa::Engine::kLoadA));
  CHECK_FALSE(is_nop(clipped(load, none_n), isa::Engine::kLoadA));
  load.clip->cut = load.clip->by_k = 0;
  CHECK_FALSE(is_nop(clipped(load, none_k), isa::Engine::kLoadA));
  load.clip->rows = 1;
  CHECK(is_nop(clipped(load, none_k), isa::Engine::kLoadA));

  auto store = transfer<isa::Store>(1, 3);
  store.clip->kc = 3;
  store.clip->need_n = 0;
  CHECK(is_nop(clipped(store, none_n), isa::Engine::kStore));
  store.clip->cut = 0;
  CHECK_FALSE(is_nop(clipped(store, none_n), isa::Engine::kStore));
  store.clip->words = 1;
  CHECK(is_nop(clipped(store, none_k), isa::Engine::kStore));

  isa::Pool pool;
  pool.clip.emplace();
  pool.clip->kc = pool.clip->nb = 3;
  CHECK(is_nop(clipped(pool, none_n), isa::Engine::kPool));
  CHECK_FALSE(is_nop(clipped(pool, none_k), isa::Engine::kPool));
  pool.clip->need_k = 1;
  CHECK(is_nop(clipped(pool, none_k), isa::Engine::kPool));
}

TEST_CASE("clip: what means nothing in a clip word is named") {
  const auto trouble = [](auto x, auto change) {
    change(x);
    return isa::clip_trouble(x, machine());
  };
  using isa::Conv;
  using isa::Load;
  using isa::Pool;
  using isa::Store;
  const auto load = tile(1, 3);
  const auto store = transfer<Store>(1, 3);
  const Conv conv = TestLayer().conv(0, 0, false);
  Pool pool;
  pool.clip.emplace();
  pool.clip->nb = 1;
  CHECK(isa::clip_trouble(load, machine()).empty());
  CHECK(isa::clip_trouble(store, machine()).empty());
  CHECK(isa::clip_trouble(conv, machine()).empty());
  CHECK(isa::clip_trouble(pool, machine()).empty());
  CHECK(isa::clip_trouble(Conv{}, machine()).empty());
  CHECK(isa::clip_trouble(isa::Nop{}, machine()).empty());

  CHECK(trouble(load, [](Load& x) { x.clip->image = 1; }) == "has image in its clip word");
  CHECK(trouble(load, [](Load& x) { x.clip->w_start = 1; }) == "has w_start in its clip word");
  CHECK(trouble(load, [](Load& x) {
          x.target = 2;
          x.clip->image = 1;
        }).empty());
  CHECK(trouble(load, [](Load& x) { x.clip->words = x.clip->rows = 1; }) ==
        "has words beside rows in its clip word");
  CHECK(trouble(load, [](Load& x) { x.clip->words = x.clip->shift = 1; }) ==
        "has words beside shift in its clip word");
  CHECK(trouble(load, [](Load& x) { x.clip->kc = 0; }) == "needs k blocks of the 0 in kc");
  CHECK(trouble(load, [](Load& x) {
          x.clip->rows = 1;
          x.y_stride = 4096 * 4;
        }) == "y_stride is 16384; with its clip word it may be 16383");
  CHECK(trouble(store, [](Store& x) { x.clip->rows = 1; }) == "has rows in its clip word");
  CHECK(trouble(store, [](Store& x) { x.clip->nb = 0; }) == "needs n blocks of the 0 in nb");
  CHECK(trouble(pool, [](Pool& x) { x.clip->cut = 1; }) == "has cut in its clip word");
  CHECK(trouble(pool, [](Pool& x) { x.clip->shift = 3; }) == "has shift in its clip word");
  CHECK(trouble(pool, [](Pool& x) { x.clip->nb = 0; }) == "needs n blocks of the 0 in nb");
  CHECK(trouble(conv, [](Conv& x) { x.clip->by_k = 1; }) == "has by_k in its clip word");
  CHECK(trouble(conv, [](Conv& x) { x.clip->kc = 0; }) == "needs k blocks of the 0 in kc");
  CHECK(trouble(conv, [](Conv& x) { x.clip->nb = 256; }) ==
        "nb is 256; with its clip word it may be 255");
  CHECK(trouble(conv, [](Conv& x) { x.w_n_stride = 2048; }) ==
        "w_n_stride is 2048; with its clip word it may be 2047");
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
  auto load = transfer<isa::Load>(1, 1);
  load.offset = 0;
  isa::Conv conv;
  conv.last = 1;
  conv.y_step = conv.tap_step = conv.row_pitch = 1;
  conv.clip.emplace();
  conv.clip->kc = conv.clip->nb = 1;
  conv.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
  conv.dep0_count = 1;
  auto store = transfer<isa::Store>(1, 1);
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
  pool.layer = 65;  // row 1
  CHECK_THAT(run({table(1), pool, isa::End{}}, {}, 0).status.error().message,
             Contains("illegal_field") && Contains("the table has 32 bytes"));
  CHECK_THAT(run({table(2), isa::End{}}, {}, 0).status.error().message, Contains("read_window"));
  isa::Load large = table(64);
  large.region = 1;
  large.sram_address = 4096 / 4 + 1;
  CHECK_THAT(run({large, isa::End{}}, {}, 0).status.error().message,
             Contains("capacity: the layer table and its bit maps have 1536 words"));
}
