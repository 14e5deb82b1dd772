// Zero tiles of weights left out: programs in the functional simulator against golden.

#include <algorithm>
#include <catch.hpp>
#include <sstream>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "program/tile_codes.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"
#include "zero_tiles.hpp"

namespace espalier::tests {
namespace {

const isa::Config& config(std::string_view name) { return *isa::find_config(name); }

program::Program compiled(const ir::QuantGraph& graph, const isa::Config& machine,
                          const compiler::Options& options = {}) {
  auto program = compiler::compile(graph, machine, options);
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

/// Empty, or what is wrong with a program's outputs.
std::string check(const program::Program& program, std::uint64_t seed) {
  const std::vector<isa::Instruction> list = program::decode_all(program);
  if (const Status s = iss::check_hazards(program.machine(), list); !s) return s.error().text();
  const auto image = random_image(program.graph, seed);
  const auto outputs = iss::run(program, image, {seed % 2 == 0 ? 0 : seed});
  if (!outputs) return outputs.error().text();
  const auto expected = golden::run(program.graph, image);
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    const auto tensor = static_cast<std::size_t>(program.placements[i].tensor);
    if (outputs->stored[i] != expected[tensor])
      return "tensor " + program.graph.tensors[tensor].name + " differs";
  }
  return {};
}

/// Tiles of sparse layers, and those that run.
std::pair<std::uint64_t, std::uint64_t> tiles_of(const program::Program& program) {
  const auto estimate = timing::estimate(program);
  if (!estimate) FAIL(estimate.error().text());
  std::pair<std::uint64_t, std::uint64_t> sum{0, 0};
  for (const timing::LayerEstimate& layer : estimate->layers) {
    sum.first += layer.tiles;
    sum.second += layer.tiles_run;
  }
  return sum;
}

/// Instructions of a program, and the first sparse CONV among them.
struct Listing {
  std::vector<isa::Instruction> list;
  std::size_t sparse = 0;
  explicit Listing(const program::Program& program) : list(program::decode_all(program)) {
    while (sparse < list.size()) {
      const auto* conv = std::get_if<isa::Conv>(&list[sparse]);
      if (conv != nullptr && conv->w_sparse != 0) break;
      ++sparse;
    }
    REQUIRE(sparse < list.size());
  }
  isa::Conv& conv() { return std::get<isa::Conv>(list[sparse]); }
  void put(program::Program& program) const {
    program.instructions.clear();
    for (const isa::Instruction& instruction : list) isa::encode(instruction, program.instructions);
  }
};

/// Two convolutions, half of whose tiles are zero.
ir::QuantGraph two_convolutions() {
  GraphBuilder g(5);
  const int x = g.input(32, 8, 8);
  ir::QuantGraph graph = g.finish(g.conv(g.conv(x, 32, 3), 32, 1));
  zero_tiles(graph, 4, 0.5, 1);
  return graph;
}

}  // namespace

TEST_CASE("tiles: random graphs with any share of zero tiles give golden's tensors") {
  const std::uint64_t base = seed(11);
  const auto index = GENERATE(range(0, compiled_rounds(40)));
  const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(index);
  constexpr double kShares[] = {0, 0.05, 0.5, 0.9, 1};
  for (const char* name : {"nano", "edge", "wide"}) {
    const isa::Config& machine = config(name);
    ir::QuantGraph graph = random_graph(s);
    zero_tiles(graph, machine.lanes, kShares[s % 5], s, true);
    compiler::Options options;
    options.vary = index % 2 == 0 ? 0 : s + 1;
    INFO("seed " << s << ", " << name);
    CHECK(check(compiled(graph, machine, options), s) == "");
  }
}

TEST_CASE("tiles: networks with half of their tiles zero give golden's tensors in fewer cycles") {
  for (const char* name : {"nano", "tiny", "edge"}) {
    const isa::Config& machine = config(name);
    ir::QuantGraph graph = cifar_resnet(1);
    zero_tiles(graph, machine.lanes, 0.5, 7);
    INFO(name);
    const program::Program program = compiled(graph, machine);
    CHECK(check(program, 2) == "");
    const auto [tiles, run] = tiles_of(program);
    CHECK(tiles > 100);
    CHECK(run * 100 < tiles * 60);
    compiler::Options dense;
    dense.dense_tiles = true;
    const program::Program whole = compiled(graph, machine, dense);
    CHECK(tiles_of(whole).first == 0);
    CHECK(program.constants.size() < whole.constants.size());
    CHECK(timing::estimate(program)->cycles < timing::estimate(whole)->cycles);
  }
}

TEST_CASE("tiles: weights without zero tiles, masks and small machines stay dense") {
  const auto sparse = [](const program::Program& program) {
    const auto list = program::decode_all(program);
    return std::any_of(list.begin(), list.end(), [](const isa::Instruction& x) {
      const auto* conv = std::get_if<isa::Conv>(&x);
      return conv != nullptr && conv->w_sparse != 0;
    });
  };
  GraphBuilder g(5);
  const int x = g.input(32, 8, 8);
  CHECK_FALSE(sparse(compiled(g.finish(g.conv(x, 32, 3)), config("nano"))));
  CHECK(sparse(compiled(two_convolutions(), config("nano"))));
  CHECK_FALSE(sparse(compiled(two_convolutions(), config("pico"))));
  compiler::Options maskable;
  maskable.maskable = true;
  CHECK_FALSE(sparse(compiled(two_convolutions(), config("nano"), maskable)));
}

TEST_CASE("tiles: streams that contradict their instructions are refused by name") {
  const program::Program right = compiled(two_convolutions(), config("nano"));
  REQUIRE(program::verify(right).ok());
  const auto refused = [&right](auto change) {
    program::Program program = right;
    Listing listing(program);
    change(listing);
    listing.put(program);
    const Status status = program::verify(program);
    return status.ok() ? std::string("accepted") : status.error().text();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(refused([](Listing& x) { x.conv().w_piece += 4; }), Contains("its tiles take"));
  CHECK_THAT(refused([](Listing& x) { x.conv().w_n_stride = 2; }), Contains("w_n_stride 2"));
  CHECK_THAT(refused([](Listing& x) { ++x.conv().w_tap_stride; }), Contains("rows x cols"));
  CHECK_THAT(refused([](Listing& x) { x.conv().w_tapwise = 1; }), Contains("w_tapwise"));
  CHECK_THAT(refused([](Listing& x) {
               isa::Clip& clip = x.conv().clip.emplace();
               clip.kc = x.conv().k_blocks;
               clip.nb = x.conv().n_blocks;
               clip.need_k = clip.need_n = 1;
             }),
             Contains("clip word"));
  CHECK_THAT(refused([](Listing& x) {
               for (isa::Instruction& instruction : x.list) {
                 auto* load = std::get_if<isa::Load>(&instruction);
                 if (load != nullptr && isa::queue_of(instruction) == isa::Engine::kLoadW)
                   load->target = static_cast<std::uint32_t>(isa::LoadTarget::kParameters);
               }
             }),
             Contains("no constants are loaded"));

  // Codes: the first LOAD of weights holds the first header.
  const auto with_code = [&right](std::size_t tile, unsigned code) {
    program::Program program = right;
    for (const isa::Instruction& instruction : program::decode_all(program)) {
      const auto* load = std::get_if<isa::Load>(&instruction);
      if (load == nullptr || load->target != 2) continue;
      std::uint8_t& byte = program.constants[load->offset + tile / 4];
      const auto shift = static_cast<unsigned>(tile % 4 * 2);
      byte = static_cast<std::uint8_t>((byte & ~(3U << shift)) | code << shift);
      break;
    }
    return program;
  };
  const program::Program three = with_code(0, 3);
  CHECK_THAT(program::verify(three).error().text(), Contains("tile 0 has code 3"));
  Listing listing(right);
  const auto codes = program::tile_codes(listing.list, right.constants, right.machine());
  REQUIRE(codes.ok());
  const program::TileCodes& first = (*codes)[listing.sparse];
  std::size_t overwrites = 0;
  while (first[overwrites] != 3) ++overwrites;
  REQUIRE(overwrites < 16);
  CHECK_THAT(program::verify(with_code(overwrites, 1)).error().text(),
             Contains("no tile has overwritten"));
  std::size_t skipped = 0;
  while (first[skipped] != 0) ++skipped;
  REQUIRE(skipped < 16);
  const program::Program longer = with_code(skipped, 1);
  CHECK_FALSE(program::verify(longer).ok());
  // The simulator says so as well.
  const auto run = iss::run(longer, random_image(right.graph, 1));
  REQUIRE_FALSE(run.ok());
  CHECK_THAT(run.error().text(), Contains("its tiles take"));
}

TEST_CASE("tiles: the comparison sees a tile that is skipped and should not be") {
  program::Program program = compiled(two_convolutions(), config("nano"));
  CHECK(check(program, 4) == "");
  // A value of the last tile of the first stream: it always runs.
  Listing listing(program);
  for (const isa::Instruction& instruction : listing.list) {
    const auto* load = std::get_if<isa::Load>(&instruction);
    if (load == nullptr || load->target != 2) continue;
    program.constants[load->offset + std::size_t{load->x_words} * 4 - 1] ^= 0x40U;
    break;
  }
  CHECK(check(program, 4) != "");
}

}  // namespace espalier::tests
