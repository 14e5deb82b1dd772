// Several images by one start: ordered, equal to golden, and without a gap.

#include "program/chain.hpp"

#include <algorithm>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "runtime/device.hpp"
#include "seed.hpp"
#include "tb/simulation.hpp"

using namespace espalier;

namespace {

program::Program compiled(const ir::QuantGraph& graph, const std::string& config) {
  // Nothing here is about how tiles are chosen, and the search takes most of the time.
  auto program = compiler::compile(graph, *isa::find_config(config), {.refine = false});
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

std::vector<std::int8_t> images_of(const ir::QuantGraph& graph, std::size_t count) {
  std::vector<std::int8_t> images;
  for (std::size_t i = 0; i < count; ++i) {
    const auto image = tests::random_image(graph, 50 + i);
    images.insert(images.end(), image.begin(), image.end());
  }
  return images;
}

/// Runs the images in one go and compares every stored tensor; gives the cycles of all.
std::uint64_t check(const program::Program& program, std::size_t count, double stall) {
  INFO(program.graph.name << " for " << program.config.name.view() << ", " << count << " images");
  runtime::DeviceOptions options;
  options.keep_tensors = true;
  options.stall = stall;
  auto devices = runtime::open(program, runtime::DeviceKind::kRtl, options);
  REQUIRE(devices.ok());
  const auto images = images_of(program.graph, count);
  std::size_t finished = 0;
  const auto runs = (*devices)[0]->run(images, [&](std::size_t done) { finished = done; });
  if (!runs) FAIL(runs.error().text());
  CHECK(finished == count);
  REQUIRE(runs->size() == count);
  std::uint64_t cycles = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const runtime::Execution& run = (*runs)[i];
    const std::size_t size = images.size() / count;
    const auto expected = golden::run(program.graph, std::span(images).subspan(i * size, size));
    CHECK(run.output == expected[static_cast<std::size_t>(program.graph.output)]);
    REQUIRE(run.stored.size() == program.placements.size());
    for (const runtime::StoredTensor& stored : run.stored) {
      if (!tests::is_read(program.graph, stored.tensor)) continue;  // written again at once
      CHECK(stored.values == expected[static_cast<std::size_t>(stored.tensor)]);
    }
    std::uint64_t sum = 0;
    for (const std::uint64_t layer : run.timing->cycles_by_layer) sum += layer;
    CHECK(sum == run.timing->cycles);
    cycles += run.timing->cycles;
  }
  return cycles;
}

/// The machines that run pools, and a network in a second or so.
std::vector<std::string> machines() {
  std::vector<std::string> names;
  for (const std::string& name : tb::fast_models()) {
    if (isa::find_config(name)->timing_model) names.push_back(name);
  }
  REQUIRE_FALSE(names.empty());  // nothing would be compared
  return names;
}

}  // namespace

TEST_CASE("chain: the images' accesses are ordered, and would not be without the barrier") {
  bool needed = false;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(20)); ++i) {
    const std::uint64_t seed = tests::seed(300) + i;
    INFO("ESPALIER_SEED=" << seed);
    const auto program = compiled(tests::random_graph(seed), i % 2 == 0 ? "nano" : "edge");
    const auto chain = program::chain(program, 3);
    REQUIRE(chain.ok());
    auto list = program::decode_all(chain->program);
    const Status ordered = iss::check_hazards(program.machine(), list);
    if (!ordered) FAIL(ordered.error().text());
    const std::size_t barrier = program::decode_all(program).size() - 1;
    REQUIRE(std::holds_alternative<isa::Nop>(list[barrier]));
    isa::set_dependencies(list[barrier], {});
    needed = needed || !iss::check_hazards(program.machine(), list).ok();
  }
  CHECK(needed);
}

TEST_CASE("chain: several images on the machine give golden's tensors, each its own") {
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(6)); ++i) {
    const std::uint64_t seed = tests::seed(400) + i;
    INFO("ESPALIER_SEED=" << seed);
    for (const std::string& config : machines()) {
      check(compiled(tests::random_graph(seed), config), 3, i % 2 == 0 ? 0.0 : 0.4);
    }
  }
}

// Small rings make small tiles, which bigger ones may have, too.
TEST_CASE("chain: one image through tiles that were searched for gives golden's tensors") {
  int ran = 0;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(8)); ++i) {
    const std::uint64_t seed = tests::seed(7100) + i;
    const ir::QuantGraph graph = tests::random_graph(seed);
    for (const std::string& config : machines()) {
      if (config != "nano" && config != "edge") continue;
      for (const int share : {1, 8}) {
        INFO("ESPALIER_SEED=" << seed << ", a ring of weights of 1/" << share);
        isa::Config machine = *isa::find_config(config);
        machine.weight_words /= share;
        auto program = compiler::compile(graph, machine);
        if (!program) continue;
        program->config = *isa::find_config(config);  // the ring that there is has more room
        check(*program, 1, i % 2 == 0 ? 0.0 : 0.4);
        ++ran;
      }
    }
  }
  CHECK(ran > 8);
}

TEST_CASE("chain: four images take less time than one four times") {
  for (const std::string& config : machines()) {
    const auto program = compiled(tests::resnet8(), config);
    const std::uint64_t one = check(program, 1, 0), four = check(program, 4, 0);
    INFO(config << ": one " << one << ", four " << four);
    CHECK(four < 4 * one);
  }
}

TEST_CASE("chain: a region that would outgrow the address space is refused") {
  const auto program = compiled(tests::resnet8(), "edge");
  const auto chain = program::chain(program, 1U << 20);
  REQUIRE_FALSE(chain.ok());
  CHECK(chain.error().code == ErrorCode::kCapacity);
}
