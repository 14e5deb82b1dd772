// Backward passes on the verilated machine: every gradient and sum as golden has it, in the cycles
// that the timing model says.

#include <algorithm>
#include <optional>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "personal/backward.hpp"
#include "runtime/check.hpp"
#include "runtime/device.hpp"
#include "seed.hpp"
#include "skip.hpp"
#include "timing/timing.hpp"

using namespace espalier;

namespace {

constexpr const char* kNoMachine = "this build has no machine that takes backward passes";

/// Whether backward passes run on it here.
bool runs(const isa::Config& machine) { return runtime::has_rtl(machine) && machine.timing_model; }

/// The backward graph; nothing where no tensor has a gradient.
std::optional<ir::QuantGraph> backward_of(const ir::QuantGraph& forward) {
  std::vector<bool> scored(forward.tensors.size(), true);
  scored[static_cast<std::size_t>(forward.input)] = false;
  const auto backward = personal::Backward::make(forward, scored);
  if (backward) return backward->graph();
  CHECK(backward.error().message == "no tensor that is to be scored has a gradient");
  return {};
}

/// Runs a backward pass of random activations; empty, or what is wrong.
std::string check(const ir::QuantGraph& backward, const isa::Config& machine, std::uint64_t seed,
                  double stall) {
  // As scoring compiles it.
  const auto program = compiler::compile(backward, machine, {.refine = false});
  if (!program) return program.error().text();
  runtime::DeviceOptions options;
  options.keep_tensors = true;
  options.stall = stall;
  auto devices = runtime::open(*program, runtime::DeviceKind::kRtl, options);
  if (!devices) return devices.error().text();
  auto image = tests::random_image(program->graph, seed);
  for (auto& v : image) v = std::max<std::int8_t>(v, -127);
  const auto ran = devices->front()->run(image);
  if (!ran) return ran.error().text();
  const auto found =
      runtime::compare(*program, ran->front(), golden::run(program->graph, image), 0);
  if (found.first) return found.first->text("rtl");
  if (found.values == 0) return "nothing was compared";
  if (stall > 0) return {};
  const auto estimate = timing::estimate(*program);
  if (!estimate) return estimate.error().text();
  const auto cycles = static_cast<double>(ran->front().timing->cycles);
  if (std::abs(static_cast<double>(estimate->cycles) - cycles) > 2 + 0.01 * cycles)
    return "the timing model says " + std::to_string(estimate->cycles) +
           " cycles; the machine took " + std::to_string(ran->front().timing->cycles);
  return {};
}

}  // namespace

TEST_CASE("backward: random graphs on the machine give golden's gradients and scores") {
  if (std::ranges::none_of(isa::kConfigs, runs)) return tests::skip(kNoMachine);
  for (const isa::Config& machine : isa::kConfigs) {
    if (!runs(machine)) continue;
    int compared = 0;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(12)); ++i) {
      const std::uint64_t seed = tests::seed(900) + i;
      INFO(machine.name.view() << " ESPALIER_SEED=" << seed);
      const auto backward = backward_of(tests::random_graph(seed));
      if (!backward) continue;
      ++compared;
      CHECK(check(*backward, machine, seed, i % 3 == 2 ? 0.3 : 0) == "");
    }
    CHECK(2 * compared > tests::compiled_rounds(12));
  }
}

TEST_CASE("backward: ResNet-8 on the machine gives golden's gradients and scores") {
  if (std::ranges::none_of(isa::kConfigs, runs)) return tests::skip(kNoMachine);
  const auto backward = backward_of(tests::resnet8());
  REQUIRE(backward);
  for (const isa::Config& machine : isa::kConfigs) {
    if (!runs(machine)) continue;
    INFO(machine.name.view());
    CHECK(check(*backward, machine, 1, 0) == "");
  }
}
