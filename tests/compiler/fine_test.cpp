// Layers of which every four channels have two weights at most: programs in the functional
// simulator against golden.

#include <algorithm>
#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"
#include "two_of_four.hpp"

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

/// CONVs by what their second word is.
struct Kinds {
  int dense = 0, blocks = 0, taps = 0;
};
Kinds kinds(const program::Program& program) {
  Kinds out;
  for (const isa::Instruction& instruction : program::decode_all(program)) {
    const auto* conv = std::get_if<isa::Conv>(&instruction);
    if (conv == nullptr) continue;
    ++(conv->fine == 0 ? out.dense : conv->pair_cols == 0 ? out.blocks : out.taps);
  }
  return out;
}

}  // namespace

TEST_CASE("fine: random graphs with two weights of four give golden's tensors") {
  const std::uint64_t base = seed(17);
  const auto index = GENERATE(range(0, compiled_rounds(40)));
  const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(index);
  for (const char* name : {"tiny", "edge", "wide"}) {
    ir::QuantGraph graph = random_graph(s);
    two_of_four(graph, s, s % 3 == 0, s % 5 == 0 ? 1 : 2);
    compiler::Options options;
    options.vary = index % 2 == 0 ? 0 : s + 1;
    INFO("seed " << s << ", " << name);
    CHECK(check(compiled(graph, config(name), options), s) == "");
  }
}

TEST_CASE("fine: blocks and taps go two by two, whatever the depth and the window") {
  for (const int depth : {8, 16, 24, 40}) {
    for (const int kernel : {1, 2, 3, 5}) {
      for (const int stride : {1, 2}) {
        GraphBuilder g(static_cast<std::uint64_t>(depth * 10 + kernel));
        const int x = g.input(depth, 9, 9);
        ir::QuantGraph graph = g.finish(g.conv(g.conv(x, depth, 1), 24, kernel, stride));
        two_of_four(graph, 3, true);
        compiler::Options options;
        options.relay_input = false;
        const program::Program program = compiled(graph, config("tiny"), options);
        INFO(depth << " channels, window " << kernel << ", stride " << stride);
        CHECK(check(program, 2) == "");
        const Kinds found = kinds(program);
        CHECK((found.blocks > 0) == (depth > 8));
        CHECK((found.taps > 0) == (depth % 16 != 0 && kernel > 1));
      }
    }
  }
}

TEST_CASE(
    "fine: a network takes fewer cycles and bytes, and the same dense ones where they are asked "
    "for") {
  ir::QuantGraph graph = cifar_resnet(1);
  two_of_four(graph, 7, true);
  for (const char* name : {"tiny", "edge", "zynq", "wide"}) {
    INFO(name);
    const isa::Config& machine = config(name);
    const program::Program program = compiled(graph, machine);
    CHECK(check(program, 2) == "");
    compiler::Options options;
    options.fine = false;
    const program::Program whole = compiled(graph, machine, options);
    CHECK(check(whole, 2) == "");
    CHECK(kinds(whole).blocks + kinds(whole).taps == 0);
    CHECK(kinds(program).blocks > 0);
    CHECK((kinds(program).taps > 0) == (machine.lanes > 8));
    CHECK(program.constants.size() < whole.constants.size());
    CHECK(timing::estimate(program)->cycles < timing::estimate(whole)->cycles);
  }
}

TEST_CASE("fine: weights of three of four, masks and machines without it stay dense") {
  const auto fine = [](const program::Program& program) {
    return kinds(program).blocks + kinds(program).taps > 0;
  };
  const auto graph = [](int most) {
    GraphBuilder g(5);
    const int x = g.input(32, 8, 8);
    ir::QuantGraph made = g.finish(g.conv(g.conv(x, 32, 3), 32, 1));
    two_of_four(made, 1, false, most);
    return made;
  };
  CHECK(fine(compiled(graph(2), config("tiny"))));
  CHECK_FALSE(fine(compiled(graph(3), config("tiny"))));
  CHECK_FALSE(fine(compiled(graph(2), config("nano"))));
  compiler::Options maskable;
  maskable.maskable = true;
  CHECK_FALSE(fine(compiled(graph(2), config("tiny"), maskable)));
}

TEST_CASE("fine: instructions that no machine runs are refused by name") {
  GraphBuilder g(5);
  const int x = g.input(32, 8, 8);
  ir::QuantGraph graph = g.finish(g.conv(g.conv(x, 32, 3), 32, 1));
  two_of_four(graph, 1);
  const program::Program right = compiled(graph, config("tiny"));
  REQUIRE(program::verify(right).ok());
  const auto refused = [&right](auto change) {
    program::Program program = right;
    std::vector<isa::Instruction> list = program::decode_all(program);
    program.instructions.clear();
    for (isa::Instruction& instruction : list) {
      std::visit([&](auto& x) { change(x); }, instruction);
      isa::encode(instruction, program.instructions);
    }
    const Status status = program::verify(program);
    return status.ok() ? std::string("accepted") : status.error().text();
  };
  const auto conv = [&refused](auto change) {
    return refused([&](auto& x) {
      if constexpr (std::is_same_v<std::decay_t<decltype(x)>, isa::Conv>) {
        if (x.fine != 0) change(x);
      }
    });
  };
  const auto load = [&refused](auto change) {
    return refused([&](auto& x) {
      if constexpr (std::is_same_v<std::decay_t<decltype(x)>, isa::Load>) change(x);
    });
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(conv([](isa::Conv& c) { c.pair += 1; }), Contains("it is odd"));
  CHECK_THAT(conv([](isa::Conv& c) { c.fine = 0; }), Contains("second word"));
  CHECK_THAT(conv([](isa::Conv& c) { c.w_sparse = 1, c.w_tapwise = 0; }), Contains("no indices"));
  CHECK_THAT(conv([](isa::Conv& c) { c.w_piece = 2048; }), Contains("2040 for a fine CONV"));
  CHECK_THAT(load([](isa::Load& l) { l.skip = 1; }), Contains("activation buffer only"));
  CHECK_THAT(load([](isa::Load& l) { l.form = 1; }), Contains("only weights have a form"));
  CHECK_THAT(load([](isa::Load& l) { l.x_words -= l.form; }), Contains("in 5s"));
  // The same program on a machine without fine CONVs.
  isa::Config plain = config("tiny");
  plain.fine = 0;
  const Status status = program::verify(right, plain);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().text(), Contains("no fine CONVs") || Contains("weights of one form") ||
                                        Contains("leaves no words out"));
}

}  // namespace espalier::tests
