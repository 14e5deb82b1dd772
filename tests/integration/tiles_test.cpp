// Zero tiles of weights on the verilated machine: outputs of golden, cycles of the timing model,
// and of layers bound by their products nearly the share that is left.

#include <algorithm>
#include <cmath>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "runtime/device.hpp"
#include "seed.hpp"
#include "skip.hpp"
#include "tb/simulation.hpp"
#include "timing/timing.hpp"
#include "zero_tiles.hpp"

using namespace espalier;

namespace {

program::Program compiled(const ir::QuantGraph& graph, const std::string& config,
                          const compiler::Options& options = {}) {
  auto program = compiler::compile(graph, *isa::find_config(config), options);
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

/// Runs an image, and compares the stored tensors with golden's: those that something reads, since
/// the memory of others is written again at once.
runtime::Timing run(const program::Program& program, std::uint64_t seed,
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
  return *(*runs)[0].timing;
}

timing::Estimate estimated(const program::Program& program, const timing::Memory& memory = {}) {
  auto estimate = timing::estimate(program, memory);
  if (!estimate) FAIL(estimate.error().text());
  return std::move(estimate).value();
}

/// Those of the machines that this build has.
std::vector<std::string> built(const std::vector<std::string>& wanted) {
  std::vector<std::string> list;
  std::ranges::copy_if(wanted, std::back_inserter(list), [](const std::string& name) {
    return std::ranges::count(tb::fast_models(), name) > 0;
  });
  return list;
}

double error(std::int64_t estimate, std::uint64_t real) {
  return std::abs(static_cast<double>(estimate) / static_cast<double>(real) - 1);
}

/// Runs a graph with and without its zero tiles, and checks the cycles of the layers that are bound
/// by their products. Returns how many these are.
int bound_by_products(const ir::QuantGraph& graph, const std::string& config) {
  compiler::Options dense;
  dense.dense_tiles = true;
  const program::Program sparse = compiled(graph, config), whole = compiled(graph, config, dense);
  const runtime::Timing fast = run(sparse, 1), slow = run(whole, 1);
  const auto by_model = estimated(sparse), before = estimated(whole);
  INFO(config << ": " << fast.cycles << " of " << slow.cycles << ", estimated " << by_model.cycles);
  CHECK(error(by_model.cycles, fast.cycles) < 0.002);
  int count = 0;
  std::uint64_t took = 0, took_dense = 0;
  for (std::size_t l = 0; l < sparse.layers.size(); ++l) {
    const timing::LayerEstimate& layer = by_model.layers[l];
    if (layer.tiles == 0) continue;
    const auto& causes = before.layers[l].by_cause;
    const double work =
        static_cast<double>(causes[0] + causes[1]) / static_cast<double>(before.layers[l].cycles);
    const double share =
        static_cast<double>(fast.cycles_by_layer[l]) / static_cast<double>(slow.cycles_by_layer[l]);
    const double left = static_cast<double>(layer.tiles_run) / static_cast<double>(layer.tiles);
    INFO(sparse.layers[l].name << ": " << fast.cycles_by_layer[l] << " of "
                               << slow.cycles_by_layer[l] << " cycles, tiles " << left
                               << ", passes dense " << work);
    // What is half as much to compute may wait for memory or post.
    const auto& now = layer.by_cause;
    const double still = static_cast<double>(now[0] + now[1]) / static_cast<double>(layer.cycles);
    if (work < 0.97 || still < 0.9) continue;
    ++count;
    took += fast.cycles_by_layer[l];
    took_dense += slow.cycles_by_layer[l];
    CHECK(share < std::max(0.55, left + 0.03));
    CHECK(error(layer.cycles, fast.cycles_by_layer[l]) < 0.02);
  }
  // A layer of few taps and k blocks may keep more than half: the last tile of a CONV always runs.
  CHECK(static_cast<double>(took) < 0.55 * static_cast<double>(took_dense));
  return count;
}

}  // namespace

TEST_CASE("tiles: random graphs on the machine, at any share and any memory") {
  const std::uint64_t base = tests::seed(21);
  constexpr double kShares[] = {0, 0.1, 0.5, 0.9, 1};
  for (int i = 0; i < tests::compiled_rounds(20); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    ir::QuantGraph graph = tests::random_graph(s);
    tests::zero_tiles(graph, 4, kShares[s % 5], s, true);
    compiler::Options options;
    options.vary = i % 2 == 0 ? 0 : s * 2 + 1;
    runtime::DeviceOptions device;
    device.read_latency = static_cast<int>(5 + s * 37 % 100);
    device.write_latency = static_cast<int>(2 + s * 53 % 50);
    INFO("ESPALIER_SEED, seed " << s << ", vary " << options.vary);
    const program::Program program = compiled(graph, "nano", options);
    const runtime::Timing measured = run(program, s, device);
    const auto estimate = estimated(program, {device.read_latency, device.write_latency});
    INFO("total " << estimate.cycles << " of " << measured.cycles);
    CHECK(error(estimate.cycles, measured.cycles) < 0.005);
    device.stall = 0.3;
    run(program, s, device);
  }
}

TEST_CASE("tiles: with half of them zero, layers bound by their products take 0.55 of the cycles") {
  const auto models = built({"edge", "zynq"});
  if (models.empty()) return tests::skip("this build has no edge and no zynq");
  for (const std::string& config : models) {
    tests::GraphBuilder g(77);
    int x = g.input(64, 28, 28);
    x = g.conv(x, 64, 3);
    x = g.conv(x, 128, 3, 2);
    x = g.conv(x, 128, 3);
    x = g.conv(x, 256, 1);
    x = g.conv(x, 128, 1);
    x = g.conv(x, 256, 3);
    ir::QuantGraph graph = g.finish(x);
    tests::zero_tiles(graph, 16, 0.5, 5);
    CHECK(bound_by_products(graph, config) >= 5);
  }
}

TEST_CASE("tiles: ResNet-50 with half of them zero, on the machine") {
  if (!tests::long_run()) return tests::skip("ESPALIER_LONG is not set");
  const auto models = built({"edge"});
  if (models.empty()) return tests::skip("this build has no edge");
  for (const std::string& config : models) {
    ir::QuantGraph graph = tests::resnet50();
    tests::zero_tiles(graph, 16, 0.5, 5);
    CHECK(bound_by_products(graph, config) >= 30);
  }
}
