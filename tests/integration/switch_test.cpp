// Programs whose weights an environment chooses from as they are loaded: several environments in
// memory, one set of weights, on the simulator and on the verilated machine.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/integers.hpp"
#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "environment/environment.hpp"
#include "flows/compile.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "random_environment.hpp"
#include "runtime/device.hpp"
#include "seed.hpp"
#include "skip.hpp"
#include "tb/simulation.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

using environment::Environment;
using environment::Kind;
using runtime::DeviceKind;

/// A program, and what its graph is with each of some environments.
struct Switched {
  program::Program program;
  std::vector<ir::QuantGraph> graphs;
  std::vector<std::size_t> bytes;  ///< of the environments' files
};

/// None where random biases leave too little room in int32, or the compiler refuses the graph.
std::optional<Switched> switched(const ir::QuantGraph& graph, const std::string& config,
                                 const std::vector<Kind>& kinds, std::uint64_t seed,
                                 std::uint64_t vary) {
  std::vector<Environment> environments;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    environments.push_back(random_environment(graph, kinds[i], seed + i));
    if (!environment::apply(environments.back(), graph, "u")) return std::nullopt;
  }
  compiler::Options options;
  options.vary = vary;
  options.switched = flows::switched_by(environments.front());
  auto program = compiler::compile(graph, *isa::find_config(config), options);
  if (!program && program.error().code == ErrorCode::kCapacity) return std::nullopt;
  if (!program) FAIL(program.error().text());
  Switched out{std::move(*program), {}, {}};
  for (const Environment& environment : environments) {
    auto applied = environment::apply(environment, out.program.graph, "u");
    REQUIRE(applied.ok());
    out.graphs.push_back(std::move(*applied));
    out.bytes.push_back(environment::serialise(environment).size());
  }
  return out;
}

runtime::DeviceOptions with_environments(const Switched& s) {
  runtime::DeviceOptions options;
  options.keep_tensors = true;
  options.masks.assign(s.graphs.size(), program::all_channels(s.program.graph));
  options.graphs = s.graphs;
  return options;
}

/// Runs an image with each environment, the last one first, and compares the stored tensors that
/// something reads with golden's. Cycles by environment; of the simulator none.
std::vector<std::uint64_t> run(const Switched& s, DeviceKind kind, std::uint64_t seed,
                               const runtime::DeviceOptions& options) {
  auto devices = runtime::open(s.program, kind, options);
  if (!devices) FAIL(devices.error().text());
  runtime::Device& device = *(*devices)[0];
  std::vector<std::uint64_t> cycles(s.graphs.size());
  for (std::size_t e = s.graphs.size(); e-- > 0;) {
    if (!options.masks.empty()) device.use(e);
    const auto image = random_image(s.program.graph, seed + e);
    const auto runs = device.run(image);
    if (!runs) FAIL(runs.error().text());
    const auto expected = golden::run(s.graphs[e], image);
    int compared = 0;
    for (const runtime::StoredTensor& stored : (*runs)[0].stored) {
      if (!is_read(s.program.graph, stored.tensor)) continue;
      INFO("environment " << e << ", tensor " << stored.tensor);
      CHECK(stored.values == expected[index(stored.tensor)]);
      ++compared;
    }
    CHECK(compared > 0);
    if ((*runs)[0].timing) cycles[e] = (*runs)[0].timing->cycles;
  }
  return cycles;
}

/// The model as it is, by the same program.
Switched without(const Switched& s) {
  return {program::without_environment(s.program), {s.program.graph}, {}};
}

bool built(const std::string& config) { return std::ranges::count(tb::fast_models(), config) > 0; }

double error(const program::Program& program, std::uint64_t cycles,
             const timing::Memory& memory = {}) {
  const auto estimate = timing::estimate(program, memory);
  if (!estimate) FAIL(estimate.error().text());
  return std::abs(static_cast<double>(estimate->cycles) / static_cast<double>(cycles) - 1);
}

const std::vector<std::string> kMachines{"tiny", "edge", "zynq", "wide"};

}  // namespace

TEST_CASE("switch: one program computes what golden does with each of its environments") {
  const std::uint64_t base = seed(41);
  int selected = 0, masked = 0, ran = 0;
  for (int i = 0; i < compiled_rounds(24); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const std::string& config = kMachines[s % kMachines.size()];
    INFO("ESPALIER_SEED, seed " << s << ", " << config);
    const Kind kind = i % 3 == 2 ? Kind::kWeights : Kind::kTwoOfFour;
    const auto made =
        switched(random_graph(s), config, {kind, kind, kind}, s, i % 2 == 0 ? 0 : s * 2 + 1);
    if (!made) continue;
    ++ran;
    for (const isa::Instruction& x : program::decode_all(made->program)) {
      const auto* load = std::get_if<isa::Load>(&x);
      if (load == nullptr) continue;
      selected += static_cast<isa::LoadForm>(load->form) == isa::LoadForm::kSelected ? 1 : 0;
      masked += static_cast<isa::LoadForm>(load->form) == isa::LoadForm::kMasked ? 1 : 0;
    }
    run(*made, DeviceKind::kIss, s, with_environments(*made));
    const Switched clean = without(*made);
    runtime::DeviceOptions plain;
    plain.keep_tensors = true;
    run(clean, DeviceKind::kIss, s, plain);
    if (!built(config)) continue;
    CHECK(error(clean.program, run(clean, DeviceKind::kRtl, s, plain)[0]) < 0.01);
    runtime::DeviceOptions options = with_environments(*made);
    options.read_latency = static_cast<int>(5 + s * 37 % 100);
    options.write_latency = static_cast<int>(2 + s * 53 % 50);
    for (const std::uint64_t cycles : run(*made, DeviceKind::kRtl, s, options))
      CHECK(error(made->program, cycles, {options.read_latency, options.write_latency}) < 0.01);
    options.stall = 0.3;
    run(*made, DeviceKind::kRtl, s, options);
  }
  CHECK(ran > 10);
  CHECK(selected > 0);
  CHECK(masked > 0);
}

TEST_CASE("switch: programs survive their file, and are refused by name where they are not right") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto made = switched(graph, "edge", {Kind::kTwoOfFour}, 3, 0);
  REQUIRE(made);
  const auto bytes = program::serialise(made->program);
  const auto again = program::parse(bytes, "p");
  if (!again) FAIL(again.error().text());
  CHECK(again->switchable == made->program.switchable);
  CHECK(program::serialise(*again) == bytes);

  const auto refused = [&](auto change) {
    program::Program program = made->program;
    change(program);
    const Status status = program::verify(program);
    return status.ok() ? std::string("accepted") : status.error().text();
  };
  using Catch::Matchers::Contains;
  const auto layer = [&](auto change) {
    return refused([&](program::Program& p) { change(p.switchable->layers[2]); });
  };
  using Layer = program::Switchable::Layer;
  CHECK_THAT(layer([](Layer& l) { l.node = 9999; }), Contains("is not in the graph"));
  CHECK_THAT(layer([](Layer& l) { l.rows.pop_back(); }), Contains("rows out of range"));
  CHECK_THAT(layer([](Layer& l) { l.rows[0] = 1 << 20; }), Contains("rows out of range"));
  CHECK_THAT(layer([](Layer& l) { l.runs[0].offset += 1 << 20; }), Contains("past their row"));
  CHECK_THAT(layer([](Layer& l) { l.runs.clear(); }), Contains("other weights"));
  CHECK_THAT(layer([](Layer& l) { l.order.parts[0].kx = -1; }), Contains("part out of range"));
  CHECK_THAT(layer([](Layer& l) { l.params_at = 1U << 30; }), Contains("past region 4"));
  CHECK_THAT(layer([](Layer& l) { l.bits_at = 1U << 30; }), Contains("past region 4"));
  CHECK_THAT(refused([](auto& p) { p.switchable.reset(); }), Contains("only the layer table"));
  const auto load = [&](auto change) {
    return refused([&](program::Program& program) {
      const auto list = program::decode_all(program);
      program.instructions.clear();
      for (isa::Instruction x : list) {
        if (auto* l = std::get_if<isa::Load>(&x)) change(*l);
        isa::encode(x, program.instructions);
      }
    });
  };
  const auto of = [](isa::LoadForm form, auto change) {
    return [=](isa::Load& l) {
      if (static_cast<isa::LoadForm>(l.form) == form) change(l);
    };
  };
  CHECK_THAT(load(of(isa::LoadForm::kBits, [](isa::Load& l) { l.region = 0; })),
             Contains("an environment's from region 0"));
  CHECK_THAT(load(of(isa::LoadForm::kSelected, [](isa::Load& l) { l.region = 4; })),
             Contains("only what is an environment's is there"));
  CHECK_THAT(load(of(isa::LoadForm::kBits, [](isa::Load& l) { l.x_words = 1; })),
             Contains("want bits"));
  CHECK_THAT(load(of(isa::LoadForm::kBits, [](isa::Load& l) { l.x_words = 65; })),
             Contains("64 are kept"));
  CHECK_THAT(load(of(isa::LoadForm::kSelected, [](isa::Load& l) { l.x_words = 3; })),
             Contains("in pairs"));
}

TEST_CASE("switch: environments that do not fit a program are refused by name") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto made = switched(graph, "edge", {Kind::kTwoOfFour, Kind::kWeights}, 3, 0);
  REQUIRE(made);
  using Catch::Matchers::Contains;
  const auto complaint = [&](const ir::QuantGraph& with) {
    const auto applied = program::apply_environment(made->program, with);
    return applied.ok() ? std::string("accepted") : applied.error().text();
  };
  CHECK(complaint(made->graphs[0]) == "accepted");
  CHECK_THAT(complaint(made->graphs[1]), Contains("more than two stay"));
  CHECK_THAT(complaint(made->program.graph), Contains("more than two stay"));
  ir::QuantGraph other = made->graphs[0];
  const auto conv = [](ir::QuantGraph& g, std::size_t from) -> ir::QuantConv& {
    for (std::size_t n = from; n < g.nodes.size(); ++n)
      if (auto* c = std::get_if<ir::QuantConv>(&g.nodes[n].op)) return *c;
    throw std::logic_error("no convolution");
  };
  conv(other, 0).weights.assign(conv(other, 0).weights.size(), 0);
  CHECK_THAT(complaint(other), Contains("masks its weights"));
  other = made->graphs[0];
  auto& weights = conv(other, 1).weights;
  *std::ranges::find_if(weights, [](std::int8_t w) { return w != 0 && w != 1; }) = 1;
  CHECK_THAT(complaint(other), Contains("other weights"));
}

namespace {

/// Bytes of a program with its environments' files, and of a program for each environment.
void measure_storage(const Switched& s, const std::string& config) {
  const std::size_t shared = program::serialise(s.program).size();
  std::size_t with = shared, apart = 0;
  for (std::size_t e = 0; e < s.graphs.size(); ++e) {
    compiler::Options options;
    options.refine = false;
    const auto own = compiler::compile(s.graphs[e], *isa::find_config(config), options);
    REQUIRE(own.ok());
    apart += program::serialise(*own).size();
    with += s.bytes[e];
  }
  std::printf("  %zu bytes, of which the program %zu; %zu programs %zu bytes; region 4 %u bytes\n",
              with, shared, s.graphs.size(), apart, s.program.switchable->bytes);
  CHECK(with < apart);
}

/// Cycles of a network with environments, and of the same whole.
void measure(const ir::QuantGraph& graph, const std::string& config, double least) {
  const auto made =
      switched(graph, config, {Kind::kTwoOfFour, Kind::kTwoOfFour, Kind::kTwoOfFour}, 7, 0);
  REQUIRE(made);
  auto dense = compiler::compile(graph, *isa::find_config(config), {});
  REQUIRE(dense.ok());
  const auto whole = timing::estimate(*dense);
  REQUIRE(whole.ok());
  runtime::DeviceOptions options = with_environments(*made);
  const auto cycles = run(*made, DeviceKind::kRtl, 1, options);
  runtime::DeviceOptions plain;
  plain.keep_tensors = true;
  const std::uint64_t clean = run(without(*made), DeviceKind::kRtl, 1, plain)[0];
  std::printf("%s, %s: %llu cycles by selection, %llu without an environment, dense %lld\n",
              graph.name.c_str(), config.c_str(), static_cast<unsigned long long>(cycles[0]),
              static_cast<unsigned long long>(clean), static_cast<long long>(whole->cycles));
  measure_storage(*made, config);
  for (const std::uint64_t one : cycles) {
    CHECK(error(made->program, one) < 0.01);
    // What an environment's bits are is nothing to the clock.
    CHECK(one == cycles[0]);
  }
  CHECK(static_cast<double>(whole->cycles) / static_cast<double>(cycles[0]) >= least);
}

}  // namespace

TEST_CASE("switch: ResNet-20 with three environments, on the machine") {
  if (!built("edge") || !built("zynq")) return skip("this build has no edge or no zynq");
  measure(cifar_resnet(3), "edge", 1.6);
  measure(cifar_resnet(3), "zynq", 1.5);
}

TEST_CASE("switch: ResNet-50 with environments, on the machine") {
  if (!long_run()) return skip("ESPALIER_LONG is not set");
  if (!built("edge") || !built("zynq")) return skip("this build has no edge or no zynq");
  measure(resnet50(), "edge", 1.8);
  measure(resnet50(), "zynq", 1.65);
}

}  // namespace espalier::tests
