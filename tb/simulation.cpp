#include "tb/simulation.hpp"

#include <fstream>

#include "tb/models.hpp"

namespace espalier::tb {
namespace {

std::vector<std::string> names(Purpose purpose) {
  std::vector<std::string> list;
  for (const ModelEntry& entry : models()) {
    if (entry.purpose == purpose) list.emplace_back(entry.config);
  }
  return list;
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& item : list) text += (text.empty() ? "" : ", ") + item;
  return text.empty() ? "none" : text;
}

}  // namespace

RunResult::RunResult(const driver::Outcome& outcome, Waited waited)
    : Outcome(outcome),
      cycles(counter(isa::Counter::kCycles)),
      cycles_by_layer(waited.layers.finish(waited.clocks, cycles)),
      laps(std::move(waited.laps)),
      timed_out(waited.timed_out),
      stopped(waited.stopped),
      cpu_seconds(waited.cpu_seconds) {}

RetireHook list_events(const Simulation& simulation, std::vector<isa::Event>& into) {
  return [&](isa::Engine engine, std::uint64_t count) {
    into.push_back({static_cast<std::int64_t>(simulation.cycle()), engine, count});
  };
}

RunResult Simulation::run(const RetireHook& on_retire) {
  ESP_CHECK(driver::make_ready(*this, "machine").ok());
  driver::start(*this);
  Waited waited = wait(on_retire);
  return {driver::outcome(*this), std::move(waited)};
}

std::vector<std::string> fast_models() { return names(Purpose::kFast); }
std::vector<std::string> traced_models() { return names(Purpose::kTraced); }
std::vector<std::string> asserting_models() { return names(Purpose::kAsserting); }
std::vector<std::string> maskless_models() { return names(Purpose::kMaskless); }

Result<std::unique_ptr<Simulation>> make_simulation(const isa::Config& config,
                                                    const SimulationOptions& options) {
  const std::string place = "machine " + std::string(config.name);
  if (options.memory.read_latency < 1 || options.memory.write_latency < 1) {
    return fail(ErrorCode::kUsage, "a memory latency is below 1 cycle", place);
  }
  if (!(options.memory.stall >= 0.0 && options.memory.stall <= 0.99)) {
    return fail(
        ErrorCode::kUsage,
        "stall probability is " + std::to_string(options.memory.stall) + "; it goes from 0 to 0.99",
        place);
  }
  if ((options.asserting || !options.masks) && !options.wave.empty()) {
    return fail(ErrorCode::kUsage, "a model with assertions or without masks writes no wave",
                place);
  }
  const Purpose purpose = !options.masks          ? Purpose::kMaskless
                          : !options.wave.empty() ? Purpose::kTraced
                          : options.asserting     ? Purpose::kAsserting
                                                  : Purpose::kFast;
  for (const ModelEntry& entry : models()) {
    if (entry.config != config.name || entry.purpose != purpose) continue;
    if (!options.wave.empty() && !std::ofstream(options.wave, std::ios::binary)) {
      return fail(ErrorCode::kUsage, "cannot write the wave", options.wave);
    }
    return entry.make(options);
  }
  return fail(ErrorCode::kUsage,
              purpose == Purpose::kTraced
                  ? "no model that writes waves; this build has " + joined(traced_models())
              : purpose == Purpose::kAsserting
                  ? "no model with assertions; this build has " + joined(asserting_models())
              : purpose == Purpose::kMaskless
                  ? "no model without masks; this build has " + joined(maskless_models())
                  : "no model; this build has " + joined(fast_models()),
              place);
}

}  // namespace espalier::tb
