#include "runtime/rtl_host.hpp"

#include "runtime/devices.hpp"

namespace espalier::runtime {

Status SimulationBus::reserve(std::uint64_t bytes) {
  simulation_->memory().assign(kPage + bytes, 0);
  return {};
}

std::span<std::uint8_t> SimulationBus::memory() {
  return std::span<std::uint8_t>(simulation_->memory()).subspan(kPage);
}

std::uint32_t SimulationBus::address() const { return kPage; }

Result<WaitEnd> SimulationBus::wait() {
  waited_ = simulation_->wait(hook_);
  return waited_.stopped     ? WaitEnd::kStopped
         : waited_.timed_out ? WaitEnd::kTimeout
                             : WaitEnd::kInterrupt;
}

Result<std::unique_ptr<RtlHost>> RtlHost::open(const program::Program& program,
                                               const DeviceOptions& options,
                                               std::span<const program::Masked> masks) {
  tb::SimulationOptions simulation;
  simulation.memory = {options.read_latency, options.write_latency, options.stall, options.seed};
  simulation.wave = options.wave;
  simulation.wave_cycles = options.wave_cycles;
  simulation.wave_start = options.wave_start;
  auto made = tb::make_simulation(program.machine(), simulation);
  if (!made) return made.error();
  std::unique_ptr<RtlHost> rtl(new RtlHost(program, std::move(made).value()));
  auto host = Host::open(program, rtl->bus_, options.watchdog, masks);
  if (!host) return host.error();
  rtl->host_ = std::move(host).value();
  return rtl;
}

void RtlHost::put_image(std::span<const std::int8_t> image) {
  ESP_CHECK(host_->put_image(image, true).ok());
}

Result<tb::RunResult> RtlHost::run(tb::RetireHook on_retire) {
  bus_.set_hook(std::move(on_retire));
  const auto run = host_->run();
  if (!run) return run.error();
  return tb::RunResult(run->outcome, bus_.take_waited());
}

void RtlHost::measure(const tb::RunResult& result, Execution& execution) const {
  Timing timing;
  timing.cycles = result.cycles;
  timing.cycles_by_layer = result.cycles_by_layer;
  timing.counters = result.counters;
  timing.cpu_seconds = result.cpu_seconds;
  timing.cycles_by_layer.resize(program_.layers.size());
  execution.timing = std::move(timing);
  execution.traffic = host_->traffic(result);
}

}  // namespace espalier::runtime
