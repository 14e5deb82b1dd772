// Programs of the compiler, run by the functional simulator, against the golden model.

#include "compiler/compiler.hpp"

#include <algorithm>
#include <catch.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <string_view>

#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

/// Compiles, checks the dependencies, runs, and compares every stored tensor. Empty, or what is
/// wrong.
std::string check(const ir::QuantGraph& graph, const isa::Config& config,
                  const compiler::Options& options, std::uint64_t seed) {
  const auto program = compiler::compile(graph, config, options);
  if (!program) return "compile: " + program.error().text();
  if (const Status s = iss::check_hazards(config, program::decode_all(*program)); !s)
    return "hazard: " + s.error().text();
  const auto image = random_image(program->graph, seed);
  iss::Options order;
  order.order_seed = seed % 2 == 0 ? 0 : seed;
  const auto outputs = iss::run(*program, image, order);
  if (!outputs) return "run: " + outputs.error().text();
  const auto expected = golden::run(program->graph, image);
  for (std::size_t i = 0; i < program->placements.size(); ++i) {
    const auto tensor = static_cast<std::size_t>(program->placements[i].tensor);
    if (outputs->stored[i] != expected[tensor])
      return "tensor " + program->graph.tensors[tensor].name + " differs";
  }
  // Copies change no value: the program's output is that of the graph as it was given.
  if (outputs->output != golden::run(graph, image)[static_cast<std::size_t>(graph.output)])
    return "the output differs";
  return {};
}

const isa::Config& config(std::string_view name) { return *isa::find_config(name); }

/// Graphs that each configuration ran.
using Ran = std::map<std::string_view, int>;

/// check(), but a machine without pool refuses graphs with one, and a machine of few addresses what
/// takes more memory.
std::string check_or_refused(const ir::QuantGraph& graph, const isa::Config& machine,
                             const compiler::Options& options, std::uint64_t seed, Ran& ran) {
  const bool pools = std::any_of(
      graph.nodes.begin(), graph.nodes.end(),
      [](const ir::QuantNode& n) { return std::holds_alternative<ir::QuantPool>(n.op); });
  const std::string memory = "configuration " + std::string(machine.name) + " addresses " +
                             std::to_string(1ULL << machine.address_bits);
  std::string trouble = check(graph, machine, options, seed);
  if (machine.address_bits < 32 && trouble.ends_with(memory)) return {};
  const std::string refusal = "is a pool; configuration " + std::string(machine.name) + " has none";
  if (machine.pool_lanes == 0 && pools && trouble.ends_with(refusal)) return {};
  ++ran[machine.name];
  return trouble;
}

/// All graphs ran, or some on a machine that refuses others.
void check_shares(Ran& ran, int graphs) {
  for (const isa::Config& machine : isa::kConfigs) {
    INFO(machine.name << " ran " << ran[machine.name] << " of " << graphs << " graphs");
    const bool whole = machine.pool_lanes > 0 && machine.address_bits >= 32;
    CHECK(ran[machine.name] >= (whole ? graphs : 1));
  }
}

}  // namespace

TEST_CASE("compiler: random graphs give golden's tensors on every configuration") {
  const std::uint64_t base = seed(1);
  Ran ran;
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph graph = random_graph(s);
    compiler::Options options;
    options.refine = i % 12 == 0;  // takes most of the time
    for (const isa::Config& machine : isa::kConfigs) {
      INFO("seed " << s << ", " << machine.name);
      CHECK(check_or_refused(graph, machine, options, s, ran) == "");
    }
  }
  check_shares(ran, compiled_rounds(60));
}

TEST_CASE("compiler: any tiles that fit give the same outputs") {
  const std::uint64_t base = seed(2);
  Ran ran;
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph graph = random_graph(s);
    for (const isa::Config& machine : isa::kConfigs) {
      compiler::Options options;
      options.vary = s + 1;
      options.relay_input = s % 3 != 0;
      INFO("seed " << s << ", " << machine.name);
      REQUIRE(check_or_refused(graph, machine, options, s, ran) == "");
    }
  }
  check_shares(ran, compiled_rounds(60));
}

TEST_CASE("compiler: the CIFAR networks give golden's tensors on every configuration") {
  for (const auto& [name, graph] :
       {std::pair{"resnet8", resnet8()}, std::pair{"resnet20", cifar_resnet(3)}}) {
    for (const isa::Config& machine : isa::kConfigs) {
      INFO(name << ", " << machine.name);
      REQUIRE(check(graph, machine, {}, 5) == "");
    }
  }
  REQUIRE(check(cifar_resnet(9), config("edge"), {}, 5) == "");
}

TEST_CASE("compiler: ImageNet networks on small images give golden's tensors") {
  for (const char* name : {"tiny", "edge", "wide"}) {
    INFO(name);
    CHECK(check(resnet50(64), config(name), {}, 3) == "");
    CHECK(check(inception_v3(139), config(name), {}, 4) == "");
  }
}

TEST_CASE("compiler: ImageNet networks compile for every configuration and keep the array busy") {
  for (const auto& [name, graph] :
       {std::pair{"resnet50", resnet50()}, std::pair{"inception_v3", inception_v3()}}) {
    for (const isa::Config& machine : isa::kConfigs) {
      INFO(name << ", " << machine.name);
      compiler::Options options;
      options.refine = machine.name == "edge";  // takes most of the time
      const auto program = compiler::compile(graph, machine, options);
      if (!machine.timing_model) {
        CHECK_FALSE(program.ok());  // pools, and 25 MB of weights
        continue;
      }
      REQUIRE(program.ok());
      const auto times = timing::estimate(*program);
      REQUIRE(times.ok());
      CHECK(timing::utilisation(*program, times->cycles) > 0.85);
    }
  }
}

TEST_CASE("compiler: the timing model finds ResNet-20 for CIFAR above 95 % on edge") {
  const auto program = compiler::compile(cifar_resnet(3), config("edge"));
  REQUIRE(program.ok());
  const auto times = timing::estimate(*program);
  REQUIRE(times.ok());
  CHECK(timing::utilisation(*program, times->cycles) > 0.95);
  CHECK(timing::utilisation(*program, times->cycles) <= 1.0);
}

}  // namespace espalier::tests
