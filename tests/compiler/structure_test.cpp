// What the passes decide: layers, memory, lanes of the input, instructions, and named errors.

#include <algorithm>
#include <catch.hpp>
#include <map>
#include <set>

#include "compiler/compiler.hpp"
#include "compiler/geometry.hpp"
#include "compiler/plan.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"

namespace espalier::tests {
namespace {

const isa::Config& config(std::string_view name) { return *isa::find_config(name); }

program::Program compiled(const ir::QuantGraph& graph, std::string_view machine = "edge",
                          const compiler::Options& options = {}) {
  auto program = compiler::compile(graph, config(machine), options);
  if (!program) FAIL(program.error().text());
  return *program;
}

std::vector<std::string> ops(const program::Program& program) {
  std::vector<std::string> list;
  for (const program::Layer& layer : program.layers) list.push_back(layer.op);
  return list;
}

std::string complaint(const ir::QuantGraph& graph, std::string_view machine = "edge") {
  const auto program = compiler::compile(graph, config(machine));
  return program.ok() ? "" : program.error().text();
}

/// Compares every stored tensor with golden's.
void require_equal(const program::Program& program) {
  const auto image = random_image(program.graph, 1);
  const auto outputs = iss::run(program, image);
  REQUIRE(outputs.ok());
  const auto expected = golden::run(program.graph, image);
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    REQUIRE(outputs->stored[i] == expected[static_cast<std::size_t>(program.placements[i].tensor)]);
  }
}

ir::Window pool_window(int kernel, int stride, int pad) {
  ir::Window w;
  w.kh = w.kw = kernel;
  w.stride_h = w.stride_w = stride;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = pad;
  return w;
}

}  // namespace

TEST_CASE("fuse: residual adds and the global average join their convolutions") {
  const program::Program program = compiled(resnet8());
  CHECK(ops(program) == std::vector<std::string>{"conv", "conv", "conv+add", "conv", "conv",
                                                 "conv+add", "conv", "conv", "conv+add+gap",
                                                 "conv"});
  // What lives inside post is not stored: two convolutions of each block are, the sum is.
  CHECK(program.placements.size() == program.layers.size());
}

TEST_CASE("fuse: an add without a convolution of its own gets a copy") {
  GraphBuilder g(1);
  g.share_quants(1);
  const int x = g.conv(g.input(3, 9, 9), 20, 3);
  const int pooled = g.pool(x, ir::PoolKind::kMax, pool_window(3, 1, 1));
  const int other = g.pool(x, ir::PoolKind::kAverage, pool_window(3, 1, 1));
  const program::Program program = compiled(g.finish(g.add(pooled, other)));
  CHECK(program.graph.nodes.size() == 5);
  CHECK(ops(program).back() == "conv+add");
  require_equal(program);
}

TEST_CASE("layout: a concatenation costs no instruction, and ragged parts keep their lanes") {
  GraphBuilder g(2);
  g.share_quants(1);
  const int x = g.conv(g.input(3, 8, 8), 16, 3);
  const int a = g.conv(x, 5, 1), b = g.conv(x, 20, 1), c = g.conv(x, 16, 1);
  const int joined = g.concat({g.concat({a, b}), c});
  const program::Program program = compiled(g.finish(g.conv(joined, 7, 3)));
  CHECK(program.layers.size() == 5);
  // Parts of one and two blocks: a tile of the last convolution reads four.
  std::uint32_t k_blocks = 0;
  for (const auto& instruction : program::decode_all(program)) {
    const auto* conv = std::get_if<isa::Conv>(&instruction);
    if (conv == nullptr || conv->layer != 4) continue;
    k_blocks += conv->k_blocks;
    if (conv->last != 0) break;
  }
  CHECK(k_blocks == 4);
  require_equal(program);
}

TEST_CASE("layout: an input or a tensor that is concatenated twice is copied") {
  GraphBuilder g(3);
  g.share_quants(1);
  const int x = g.input(6, 8, 8);
  const int a = g.conv(x, 16, 3);
  const program::Program program = compiled(g.finish(g.concat({a, x, a, x})));
  // Three copies, and one of the whole because its lanes have gaps.
  CHECK(program.layers.size() == 5);
  require_equal(program);
}

TEST_CASE("memory: tensors that do not live together share addresses") {
  const program::Program program = compiled(cifar_resnet(9));
  // Three tensors of 16 KiB live at once: a block's input, its inside and its output.
  CHECK(program.activation_bytes == 3 * 16 * 1024);
  CHECK(program.output_bytes == 16);
  for (const auto& placement : program.placements) CHECK(placement.offset % 16 == 0);
}

TEST_CASE("relay: a first convolution of few channels takes fewer passes") {
  GraphBuilder g(4);
  const int x = g.input(3, 64, 64);
  const ir::QuantGraph graph = g.finish(g.conv(x, 16, 7, 2));
  const auto passes = [](const program::Program& program) {
    std::uint64_t count = 0;
    for (const auto& instruction : program::decode_all(program)) {
      if (const auto* conv = std::get_if<isa::Conv>(&instruction))
        count += conv->kh * conv->kw * conv->k_blocks * conv->n_blocks;
    }
    return count;
  };
  compiler::Options plain;
  plain.relay_input = false;
  const program::Program packed = compiled(graph), unpacked = compiled(graph, "edge", plain);
  CHECK(packed.input.stride_y * packed.input.stride_x > 1);
  CHECK(unpacked.input.blocks == 1);
  CHECK(unpacked.input.w == 64);
  CHECK(passes(packed) * 2 < passes(unpacked));
  CHECK(packed.input_bytes <= 2 * unpacked.input_bytes + 1024);
  require_equal(packed);
  require_equal(unpacked);
}

TEST_CASE("plan: shares of a number are its distinct quotients") {
  CHECK(compiler::shares(8, 8) == std::vector<int>{8, 4, 3, 2, 1});
  CHECK(compiler::shares(8, 3) == std::vector<int>{3, 2, 1});
  CHECK(compiler::shares(1, 100) == std::vector<int>{1});
  CHECK(compiler::shares(7, 1) == std::vector<int>{1});
}

TEST_CASE("geometry: a tile's reach is clipped to the image and never empty") {
  const compiler::Axis axis{10, 10, 3, 1, 1, 1};
  const compiler::Reach first = compiler::reach(axis, 0, 4, 0, 3);
  CHECK(first.pixels.low == 0);
  CHECK(first.pixels.high == 5);
  CHECK(first.origin == -1);
  const compiler::Reach last = compiler::reach(axis, 8, 2, 0, 3);
  CHECK(last.pixels.low == 7);
  CHECK(last.pixels.high == 10);
  CHECK(last.origin == 0);
  const compiler::Axis padded{4, 20, 1, 1, 1, 10};
  CHECK(compiler::reach(padded, 0, 2, 0, 1).pixels.size() == 1);
  CHECK(compiler::reach(padded, 0, 2, 0, 1).origin == -10);
  CHECK(compiler::reach(padded, 18, 2, 0, 1).origin == 5);
}

TEST_CASE("geometry: transfers that lie end to end merge") {
  const compiler::Transfer whole = compiler::merge(8, 4, 8, 3, 32);
  CHECK(whole.x == 96);
  CHECK(whole.y == 1);
  const compiler::Transfer rows = compiler::merge(8, 4, 8, 3, 100);
  CHECK(rows.x == 32);
  CHECK(rows.y == 3);
  CHECK(rows.y_stride == 100);
  const compiler::Transfer none = compiler::merge(5, 4, 8, 3, 100);
  CHECK((none.x == 5 && none.y == 4 && none.z == 3));
}

TEST_CASE("compiler: random tiles use every mode of the instructions") {
  std::map<std::string, int> seen;
  for (std::uint64_t s = 1; s <= 40; ++s) {
    GraphLimits limits;
    limits.max_channels = 90;
    compiler::Options options;
    options.vary = s;
    const auto program = compiler::compile(random_graph(s, limits), config("nano"), options);
    REQUIRE(program.ok());
    for (const auto& instruction : program::decode_all(*program)) {
      if (const auto* c = std::get_if<isa::Conv>(&instruction)) {
        seen["tapwise"] += c->w_tapwise != 0 ? 1 : 0;
        seen["stays"] += c->w_release == 0 ? 1 : 0;
        seen["offset"] += c->w_offset != 0 ? 1 : 0;
        seen["chunk"] += c->first == 0 && c->last == 0 ? 1 : 0;
        seen["groups"] += c->n_blocks > 1 ? 1 : 0;
        seen["sum over tiles"] += c->gap != 0 && c->gap_first == 0 ? 1 : 0;
        seen["residual"] += c->add;
        seen["parameters stay"] += c->last != 0 && c->p_release == 0 ? 1 : 0;
      } else if (const auto* p = std::get_if<isa::Pool>(&instruction)) {
        seen["table"] += p->use_table;
        seen["pool tiles"] += p->rows > 1 ? 1 : 0;
      }
    }
  }
  for (const auto& [mode, count] : seen) {
    INFO(mode);
    CHECK(count > 0);
  }
}

TEST_CASE("compiler: the same graph gives the same program") {
  CHECK(program::fingerprint(compiled(random_graph(12))) ==
        program::fingerprint(compiled(random_graph(12))));
}

TEST_CASE("compiler: the checks see a dropped dependency and a wrong weight") {
  program::Program program = compiled(resnet8());
  auto list = program::decode_all(program);
  const auto conv = std::find_if(
      list.begin(), list.end(), [](const auto& x) { return std::holds_alternative<isa::Conv>(x); });
  REQUIRE(conv != list.end());
  isa::set_dependencies(*conv, {});
  CHECK_FALSE(iss::check_hazards(config("edge"), list).ok());

  program.constants[3] ^= 0x55;
  const auto image = random_image(program.graph, 1);
  const auto outputs = iss::run(program, image);
  REQUIRE(outputs.ok());
  CHECK(outputs->stored[0] !=
        golden::run(program.graph, image)[static_cast<std::size_t>(program.placements[0].tensor)]);
}

// In most programs other dependencies imply this one; it must not depend on luck.
TEST_CASE("compiler: a STORE over memory that was read waits for the last LOAD of it") {
  const auto words = [](const auto& transfer) {
    std::vector<std::uint64_t> list;
    for (std::uint64_t z = 0; z < transfer.z_count; ++z) {
      for (std::uint64_t y = 0; y < transfer.y_count; ++y) {
        for (std::uint64_t x = 0; x < transfer.x_words; ++x) {
          list.push_back(transfer.offset + z * transfer.z_stride + y * transfer.y_stride + x * 16);
        }
      }
    }
    return list;
  };
  std::map<std::uint64_t, int> readers;  // of a word: load_a's count with its last LOAD
  int loads = 0, overwrites = 0;
  for (const isa::Instruction& instruction : program::decode_all(compiled(resnet8()))) {
    if (isa::queue_of(instruction) == isa::Engine::kLoadA) ++loads;
    if (const auto* load = std::get_if<isa::Load>(&instruction); load != nullptr) {
      if (load->region != 1) continue;
      for (const std::uint64_t word : words(*load)) readers[word] = loads;
    } else if (const auto* store = std::get_if<isa::Store>(&instruction); store != nullptr) {
      if (store->region != 1) continue;
      int last = 0;
      for (const std::uint64_t word : words(*store)) {
        last = std::max(last, readers.contains(word) ? readers[word] : 0);
        readers.erase(word);
      }
      if (last == 0) continue;
      ++overwrites;
      const auto waits = isa::dependencies(instruction);
      INFO(isa::disassemble(instruction) << " overwrites what LOAD " << last << " reads");
      CHECK(std::any_of(waits.begin(), waits.end(), [&](const isa::Dependency& wait) {
        return wait.engine == isa::Engine::kLoadA && wait.count >= last;
      }));
    }
  }
  CHECK(overwrites > 0);
}

TEST_CASE("compiler: what the machine cannot do is named") {
  using Catch::Matchers::Contains;
  const auto with = [](auto&& change) {
    GraphBuilder g(5);
    ir::Window w = pool_window(3, 1, 1);
    change(w);
    const int x = g.input(4, 200, 200);
    return g.finish(g.conv(x, 4, w));
  };
  CHECK_THAT(complaint(with([](ir::Window& w) { w.stride_h = 16; })),
             Contains("stride along the height is 16") && Contains("15"));
  CHECK_THAT(complaint(with([](ir::Window& w) { w.dilation_w = 40; })),
             Contains("dilation along the width is 40") && Contains("31"));
  CHECK_THAT(complaint(with([](ir::Window& w) { w.pad_top = 5000; })),
             Contains("padding along the height is 5000"));

  GraphBuilder g(6);
  const int x = g.input(4, 100, 100);
  ir::Window w = pool_window(3, 1, 2);
  w.dilation_h = w.dilation_w = 2;
  CHECK_THAT(complaint([&] {
               GraphBuilder h(7);
               const int y = h.input(4, 20, 20);
               ir::Window d = pool_window(3, 1, 0);
               const int z = h.pool(y, ir::PoolKind::kMax, d);
               ir::QuantGraph graph = h.finish(z);
               auto& pool = std::get<ir::QuantPool>(graph.nodes[0].op);
               pool.window.dilation_h = pool.window.dilation_w = 2;
               graph.tensors[1].shape = {4, 16, 16};
               return graph;
             }()),
             Contains("a pool with dilation 2"));
  CHECK_THAT(complaint(g.finish(g.pool(x, ir::PoolKind::kMax, pool_window(100, 1, 0)))),
             Contains("10000 words"));

  ir::QuantGraph broken = resnet8();
  broken.nodes[0].output = 999;
  CHECK_FALSE(compiler::compile(broken, config("edge")).ok());
}

TEST_CASE("compiler: odd shapes work") {
  const auto build = [](int c, int h, int width, int channels, const ir::Window& w) {
    GraphBuilder g(9);
    const int x = g.input(c, h, width);
    return g.finish(g.conv(x, channels, w));
  };
  ir::Window one;
  ir::Window wide = pool_window(1, 1, 0);
  wide.kw = 40;
  ir::Window whole;
  whole.kh = 7;
  whole.kw = 7;
  ir::Window far = pool_window(3, 15, 40);
  ir::Window sparse = pool_window(11, 1, 0);
  sparse.dilation_h = sparse.dilation_w = 31;
  for (const char* machine : {"nano", "edge"}) {
    INFO(machine);
    require_equal(compiled(build(1, 1, 1, 1, one), machine));
    require_equal(compiled(build(3, 2, 200, 5, wide), machine));
    require_equal(compiled(build(300, 7, 7, 70, whole), machine));
    require_equal(compiled(build(9, 50, 30, 20, far), machine));
    require_equal(compiled(build(2, 311, 311, 3, sparse), machine));
    require_equal(compiled(build(2000, 1, 1, 1000, one), machine));
    require_equal(compiled(build(1, 1, 20000, 1, one), machine));
  }
}

}  // namespace espalier::tests
