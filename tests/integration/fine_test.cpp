// Fine CONVs on the verilated machine: outputs of golden, cycles of the timing model, and of layers
// bound by their products little more than half.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "runtime/device.hpp"
#include "seed.hpp"
#include "skip.hpp"
#include "tb/simulation.hpp"
#include "timing/timing.hpp"
#include "two_of_four.hpp"

using namespace espalier;

namespace {

program::Program compiled(const ir::QuantGraph& graph, const std::string& config,
                          const compiler::Options& options = {}) {
  auto program = compiler::compile(graph, *isa::find_config(config), options);
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

/// Runs an image, and compares the stored tensors that something reads with golden's.
std::uint64_t run(const program::Program& program, std::uint64_t seed,
                  runtime::DeviceOptions options = {}) {
  options.keep_tensors = true;
  auto devices = runtime::open(program, runtime::DeviceKind::kRtl, options);
  REQUIRE(devices.ok());
  const auto image = tests::random_image(program.graph, seed);
  const auto runs = (*devices)[0]->run(image);
  if (!runs) FAIL(runs.error().text());
  const auto expected = golden::run(program.graph, image);
  for (const runtime::StoredTensor& stored : (*runs)[0].stored) {
    if (!tests::is_read(program.graph, stored.tensor)) continue;
    INFO("tensor " << stored.tensor);
    CHECK(stored.values == expected[static_cast<std::size_t>(stored.tensor)]);
  }
  return (*runs)[0].timing->cycles;
}

double error(const program::Program& program, std::uint64_t cycles,
             const timing::Memory& memory = {}) {
  const auto estimate = timing::estimate(program, memory);
  if (!estimate) FAIL(estimate.error().text());
  return std::abs(static_cast<double>(estimate->cycles) / static_cast<double>(cycles) - 1);
}

/// Those of the machines with fine CONVs that this build has.
std::vector<std::string> built(const std::vector<std::string>& wanted) {
  std::vector<std::string> list;
  std::ranges::copy_if(wanted, std::back_inserter(list), [](const std::string& name) {
    return std::ranges::count(tb::fast_models(), name) > 0;
  });
  return list;
}

/// How many times faster a network of which two weights of four are left is for it.
double speed_up(ir::QuantGraph graph, const std::string& config) {
  tests::two_of_four(graph, 5, true);
  compiler::Options whole;
  whole.fine = false;
  const program::Program fine = compiled(graph, config), dense = compiled(graph, config, whole);
  const std::uint64_t cycles = run(fine, 1), before = run(dense, 1);
  INFO(config << ": " << cycles << " of " << before);
  std::printf("%s, %s: %llu cycles, dense %llu\n", graph.name.c_str(), config.c_str(),
              static_cast<unsigned long long>(cycles), static_cast<unsigned long long>(before));
  CHECK(error(fine, cycles) < 0.01);
  CHECK(error(dense, before) < 0.01);
  return static_cast<double>(before) / static_cast<double>(cycles);
}

}  // namespace

TEST_CASE("fine: random graphs on the machine, at any memory") {
  const auto models = built({"tiny", "edge", "zynq", "wide"});
  if (models.empty()) return tests::skip("this build has no machine with fine CONVs");
  const std::uint64_t base = tests::seed(23);
  for (int i = 0; i < tests::compiled_rounds(16); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const std::string& config = models[s % models.size()];
    ir::QuantGraph graph = tests::random_graph(s);
    tests::two_of_four(graph, s, s % 3 == 0);
    compiler::Options options;
    options.vary = i % 2 == 0 ? 0 : s * 2 + 1;
    runtime::DeviceOptions device;
    device.read_latency = static_cast<int>(5 + s * 37 % 100);
    device.write_latency = static_cast<int>(2 + s * 53 % 50);
    INFO("ESPALIER_SEED, seed " << s << ", " << config << ", vary " << options.vary);
    const program::Program program = compiled(graph, config, options);
    CHECK(error(program, run(program, s, device), {device.read_latency, device.write_latency}) <
          0.01);
    device.stall = 0.3;
    run(program, s, device);
  }
}

TEST_CASE("fine: ResNet-20 with two weights of four, on the machine") {
  const auto models = built({"edge", "zynq"});
  if (models.empty()) return tests::skip("this build has no edge and no zynq");
  for (const std::string& config : models) CHECK(speed_up(tests::cifar_resnet(3), config) >= 1.6);
}

TEST_CASE("fine: ResNet-56 with two weights of four, on the machine") {
  const auto models = built({"edge", "zynq"});
  if (models.empty()) return tests::skip("this build has no edge and no zynq");
  for (const std::string& config : models) CHECK(speed_up(tests::cifar_resnet(9), config) >= 1.65);
}

TEST_CASE("fine: Inception-V3 with two weights of four, on the machine") {
  if (!tests::long_run()) return tests::skip("ESPALIER_LONG is not set");
  const auto models = built({"edge", "zynq"});
  if (models.empty()) return tests::skip("this build has no edge and no zynq");
  for (const std::string& config : models) CHECK(speed_up(tests::inception_v3(), config) >= 1.8);
}

TEST_CASE("fine: ResNet-50 with two weights of four, on the machine") {
  if (!tests::long_run()) return tests::skip("ESPALIER_LONG is not set");
  const auto models = built({"edge", "zynq"});
  if (models.empty()) return tests::skip("this build has no edge and no zynq");
  for (const std::string& config : models)
    CHECK(speed_up(tests::resnet50(), config) >= (config == "edge" ? 1.85 : 1.8));
}
