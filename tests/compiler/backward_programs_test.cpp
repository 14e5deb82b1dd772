// Backward passes as programs: the functional simulator against golden, every tensor.

#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "personal/backward.hpp"
#include "personal/importance.hpp"
#include "seed.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

/// The backward graph of a forward one, with an image's input: scales that fit it.
struct Pass {
  ir::QuantGraph graph;
  std::vector<std::int8_t> input;
};
std::optional<Pass> make_pass(const ir::QuantGraph& forward, std::uint64_t seed) {
  std::vector<bool> scored(forward.tensors.size(), true);
  scored[index(forward.input)] = false;
  auto backward = personal::Backward::make(forward, scored);
  if (!backward) {
    CHECK(backward.error().message == "no tensor that is to be scored has a gradient");
    return {};
  }
  const auto tensors = golden::run(forward, random_image(forward, seed));
  Pass pass;
  pass.input = random_image(forward, seed + 1);
  pass.input.resize(tensors[index(forward.output)].size(), 50);
  for (auto& g : pass.input) g = std::max<std::int8_t>(g, -127);
  for (const int t : backward->kept())
    pass.input.insert(pass.input.end(), tensors[index(t)].begin(), tensors[index(t)].end());
  (void)personal::fit_scales(*backward, pass.input);
  pass.graph = backward->graph();
  return pass;
}

/// Empty, or what is wrong.
std::string check(const Pass& pass, const isa::Config& config, const compiler::Options& options,
                  std::uint64_t seed) {
  const auto program = compiler::compile(pass.graph, config, options);
  if (!program) return "compile: " + program.error().text();
  if (const Status s = iss::check_hazards(config, program::decode_all(*program)); !s)
    return "hazard: " + s.error().text();
  iss::Options order;
  order.order_seed = seed % 2 == 0 ? 0 : seed;
  const auto outputs = iss::run(*program, pass.input, order);
  if (!outputs) return "run: " + outputs.error().text();
  const auto expected = golden::run(program->graph, pass.input);
  for (std::size_t i = 0; i < program->placements.size(); ++i) {
    const int tensor = program->placements[i].tensor;
    if (outputs->stored[i] != expected[index(tensor)])
      return "tensor " + program->graph.tensors[index(tensor)].name + " differs";
  }
  // What must be stored is, and the copies change no value.
  const auto plain = golden::run(pass.graph, pass.input);
  for (const int tensor : pass.graph.keep) {
    if (expected[index(tensor)] != plain[index(tensor)]) return "a copy changes a value";
    if (std::ranges::none_of(program->placements,
                             [&](const auto& p) { return p.tensor == tensor; }))
      return "tensor " + pass.graph.tensors[index(tensor)].name + " is not stored";
  }
  return {};
}

}  // namespace

TEST_CASE("backward programs: random graphs give golden's gradients and scores") {
  const std::uint64_t base = seed(1);
  int compared = 0;
  for (int i = 0; i < compiled_rounds(40); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const auto pass = make_pass(random_graph(s), s);
    if (!pass) continue;
    ++compared;
    for (const isa::Config& machine : isa::kConfigs) {
      if (!machine.timing_model) continue;
      compiler::Options options;
      options.vary = i % 2 == 0 ? 0 : s + 1;
      options.refine = i % 8 == 0;
      INFO("seed " << s << ", " << machine.name);
      CHECK(check(*pass, machine, options, s) == "");
    }
  }
  CHECK(4 * compared > 3 * compiled_rounds(40));
}

TEST_CASE("backward programs: other scales, written in, give what compiling again gives") {
  const std::uint64_t base = seed(2);
  int compared = 0, changed = 0;
  for (int i = 0; i < compiled_rounds(20); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph forward = i == 0 ? resnet8() : random_graph(s);
    std::vector<bool> scored(forward.tensors.size(), true);
    scored[index(forward.input)] = false;
    auto backward = personal::Backward::make(forward, scored);
    if (!backward) continue;
    const isa::Config& machine = *isa::find_config(i % 2 == 0 ? "edge" : "nano");
    INFO("seed " << s << ", " << machine.name);
    compiler::Options options;
    options.refine = i % 4 == 0;
    auto program = compiler::Rescalable::compile(backward->graph(), machine, options);
    REQUIRE(program.ok());
    std::mt19937_64 random(s);
    for (int round = 0; round < 2; ++round) {
      const auto before = program::serialise(program->program());
      std::vector<float> scales = backward->scales();
      for (std::size_t slot = 1; slot < scales.size(); ++slot)
        scales[slot] *= std::uniform_real_distribution<float>(0.2F, 4.0F)(random);
      backward->set_scales(scales);
      REQUIRE(program->rescale(backward->graph()).ok());
      const auto fresh = compiler::compile(backward->graph(), machine, options);
      REQUIRE(fresh.ok());
      const auto bytes = program::serialise(program->program());
      CHECK(bytes == program::serialise(*fresh));
      CHECK(program::verify(program->program()).ok());
      ++compared;
      changed += bytes != before ? 1 : 0;
    }
  }
  CHECK(2 * compared > 3 * compiled_rounds(20));
  CHECK(2 * changed > compared);
}

TEST_CASE("backward programs: pools with scales of their own are rescaled as well") {
  GraphBuilder g(3);
  const int x = g.conv(g.input(8, 9, 9), 8, 3);
  ir::Window w;
  w.kh = w.kw = 3;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 1;
  ir::QuantGraph graph = g.finish(g.pool(x, ir::PoolKind::kAverage, w));
  const isa::Config& machine = *isa::find_config("edge");
  auto program = compiler::Rescalable::compile(graph, machine);
  REQUIRE(program.ok());
  graph.tensors[index(graph.output)].quant.scale *= 1.7F;
  REQUIRE(program->rescale(graph).ok());
  const auto fresh = compiler::compile(graph, machine);
  REQUIRE(fresh.ok());
  CHECK(program::serialise(program->program()) == program::serialise(*fresh));
}

TEST_CASE("backward programs: the usual networks give golden's gradients and scores") {
  const isa::Config& edge = *isa::find_config("edge");
  const std::pair<const char*, ir::QuantGraph> networks[] = {
      {"resnet8", resnet8()},
      {"resnet20", cifar_resnet(3)},
      {"resnet50", resnet50(64)},
      {"inception_v3", inception_v3(139)},
  };
  for (const auto& [name, graph] : networks) {
    const auto pass = make_pass(graph, 3);
    REQUIRE(pass);
    INFO(name);
    compiler::Options options;
    options.refine = false;  // as scoring compiles them
    CHECK(check(*pass, edge, options, 5) == "");
  }
}

}  // namespace espalier::tests
