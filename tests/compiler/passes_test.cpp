// The compiler's passes, one by one.

#include "compiler/passes.hpp"

#include <algorithm>
#include <catch.hpp>

#include "graphs.hpp"

namespace espalier::tests {
namespace {

compiler::State begin(const ir::QuantGraph& graph, const char* config) {
  compiler::State state;
  state.given = &graph;
  state.config = *isa::find_config(config);
  return state;
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

}  // namespace

TEST_CASE(
    "passes: one after the other they make what compile() makes, and each tells what it found") {
  const ir::QuantGraph graph = cifar_resnet(1);
  compiler::State state = begin(graph, "tiny");
  std::size_t nodes = 0, layers = 0, steps = 0, instructions = 0;
  for (const compiler::Pass& pass : compiler::passes()) {
    REQUIRE(pass.run(state).ok());
    const std::string text = pass.dump(state);
    INFO(pass.name << ":\n" << text);
    CHECK(lines(text) > 0);
    if (pass.name == "rewrite") nodes = lines(text);
    if (pass.name == "fuse") layers = lines(text);
    if (pass.name == "plan") CHECK(lines(text) == layers + 1);
    if (pass.name == "order") steps = lines(text);
    if (pass.name == "emit") instructions = lines(text);
  }
  CHECK(nodes == state.program.graph.nodes.size());
  CHECK(layers == state.program.layers.size());
  CHECK(steps == state.schedule.order.size());
  CHECK(instructions == program::decode_all(state.program).size());
  const auto whole = compiler::compile(graph, state.config);
  REQUIRE(whole.ok());
  CHECK(program::serialise(state.program) == program::serialise(*whole));
}

TEST_CASE("passes: refine can be left out, and is then what it is without the search") {
  const ir::QuantGraph graph = resnet8();
  compiler::State state = begin(graph, "edge");
  for (const compiler::Pass& pass : compiler::passes()) {
    if (pass.name != "refine") REQUIRE(pass.run(state).ok());
  }
  compiler::Options plain;
  plain.refine = false;
  const auto unrefined = compiler::compile(graph, state.config, plain);
  REQUIRE(unrefined.ok());
  CHECK(program::serialise(state.program) == program::serialise(*unrefined));
  const auto refined = compiler::compile(graph, state.config);
  REQUIRE(refined.ok());
  CHECK(program::serialise(state.program) != program::serialise(*refined));
}

TEST_CASE("passes: compile() names each as it ends, and makes a text only when asked") {
  std::vector<std::string> ended;
  std::string plan;
  const auto made = compiler::compile(cifar_resnet(1), *isa::find_config("nano"), {},
                                      [&](std::string_view pass, const auto& dump) {
                                        ended.emplace_back(pass);
                                        if (pass == "plan") plan = dump();
                                      });
  REQUIRE(made.ok());
  const auto names = compiler::pass_names();
  CHECK(std::ranges::equal(ended, names));
  CHECK(plan.find("layer 0: conv") == 0);
}

}  // namespace espalier::tests
