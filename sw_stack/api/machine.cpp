#include <algorithm>

#include "api/impl.hpp"
#include "images/input.hpp"
#include "images/output.hpp"
#include "timing/timing.hpp"

namespace espalier {
namespace {

runtime::DeviceKind kind(Engine engine) {
  switch (engine) {
    case Engine::kGolden:
      return runtime::DeviceKind::kGolden;
    case Engine::kSimulator:
      return runtime::DeviceKind::kIss;
    case Engine::kVerilated:
      break;
  }
  return runtime::DeviceKind::kRtl;
}

}  // namespace

struct Machine::Impl {
  Program program;  // which the device looks at
  std::size_t masks = 0;
  std::unique_ptr<runtime::Device> device;
};

bool has(Engine engine, const Program& program) {
  return engine != Engine::kVerilated || runtime::has_rtl(program.impl().program.machine());
}

std::size_t Answer::best() const {
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

Machine::Machine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<Machine> Machine::open(const Program& program, Engine engine,
                              const std::vector<Mask>& masks) {
  auto options = api::resident(program, masks, engine != Engine::kGolden);
  if (!options) return options.error();
  auto devices = runtime::open(program.impl().program, kind(engine), *options);
  if (!devices) return devices.error();
  return Machine(std::make_shared<Impl>(Impl{program, masks.size(), std::move(devices->front())}));
}

Result<Answer> Machine::run(std::span<const float> pixels, std::size_t mask) {
  const ir::QuantGraph& graph = impl_->program.impl().program.graph;
  if (const std::size_t count = impl_->program.input().count(); pixels.size() != count) {
    return fail(
        ErrorCode::kShape,
        std::to_string(pixels.size()) + " pixels; the network takes " + std::to_string(count),
        impl_->program.network());
  }
  if (mask >= std::max<std::size_t>(impl_->masks, 1)) {
    return fail(ErrorCode::kRange,
                std::to_string(mask) + "; " + std::to_string(impl_->masks) + " are resident",
                "mask");
  }
  if (impl_->masks > 0) impl_->device->use(mask);
  const auto done = impl_->device->run(images::quantise_input(graph, pixels, false));
  if (!done) return done.error();
  const runtime::Execution& execution = done->front();
  Answer answer;
  answer.scores = images::output_scores(graph, execution.output);
  if (execution.timing) answer.cycles = execution.timing->cycles;
  return answer;
}

Result<Profile> profile(const Program& program, const Mask* mask) {
  const program::Program& of = program.impl().program;
  if (!of.machine().timing_model) {
    return fail(ErrorCode::kUnsupported, "has no timing model",
                "configuration " + program.configuration());
  }
  std::vector<std::uint8_t> table;
  ir::ChannelMask live;
  if (mask != nullptr) {
    const auto options = api::resident(program, {mask, 1}, true);
    if (!options) return options.error();
    table = options->applied->front().table;
    live = options->masks.front();
  }
  const auto estimate = timing::estimate(of, {}, table, live);
  if (!estimate) return estimate.error();
  Profile out;
  out.cycles = estimate->cycles;
  out.bound = timing::bound(of, live);
  for (std::size_t l = 0; l < of.layers.size(); ++l) {
    const timing::LayerEstimate& layer = estimate->layers[l];
    const auto of_cause = [&](timing::Cause cause) {
      return layer.by_cause[static_cast<std::size_t>(cause)];
    };
    using timing::Cause;
    out.layers.push_back(
        {of.layers[l].name, layer.cycles, timing::bound(of, of.layers[l], live),
         of_cause(Cause::kCompute), of_cause(Cause::kRagged),
         of_cause(Cause::kWeights) + of_cause(Cause::kActivations) + of_cause(Cause::kPost),
         of_cause(Cause::kPool) + of_cause(Cause::kStartEnd)});
  }
  return out;
}

}  // namespace espalier
