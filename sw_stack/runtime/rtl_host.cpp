#include "runtime/rtl_host.hpp"

#include <algorithm>

#include "isa/generated/registers.hpp"
#include "runtime/devices.hpp"

namespace espalier::runtime {
namespace {

std::uint64_t round_up(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

std::uint64_t counter(const tb::RunResult& result, isa::Counter wanted) {
  return result.counters[static_cast<std::size_t>(wanted)];
}

}  // namespace

Result<std::unique_ptr<RtlHost>> RtlHost::open(const program::Program& program,
                                               const DeviceOptions& options) {
  tb::SimulationOptions simulation;
  simulation.memory = {options.read_latency, options.write_latency, options.stall, options.seed};
  simulation.wave = options.wave;
  simulation.wave_cycles = options.wave_cycles;
  simulation.wave_start = options.wave_start;
  auto made = tb::make_simulation(program.machine(), simulation);
  if (!made) return made.error();
  return std::unique_ptr<RtlHost>(new RtlHost(program, options, std::move(made).value()));
}

RtlHost::RtlHost(const program::Program& program, const DeviceOptions& options,
                 std::unique_ptr<tb::Simulation> simulation)
    : program_(program),
      simulation_(std::move(simulation)),
      size_{program.constant_bytes(), program.activation_bytes, program.input_bytes,
            program.output_bytes} {
  // The first page stays unmapped by the windows; what may be written lies together at the end.
  std::uint64_t at = kPage;
  for (const std::size_t region : {0U, 2U, 1U, 3U}) {
    base_[region] = at;
    at += round_up(size_[region]);
  }
  auto& memory = simulation_->memory();
  memory.assign(at, 0);
  const std::vector<std::uint8_t> constants = constant_region(program);
  std::ranges::copy(constants, memory.begin() + static_cast<std::ptrdiff_t>(base_[0]));
  simulation_->reset();
  for (const std::uint32_t region : {0U, 1U, 2U, 3U}) {
    set(isa::reg::kBase0 + 4 * region, base_[region]);
  }
  set(isa::reg::kReadLow, base_[0]);
  set(isa::reg::kReadHigh, at);
  set(isa::reg::kWriteLow, base_[1]);
  set(isa::reg::kWriteHigh, at);
  set(isa::reg::kWatchdog, options.watchdog);
  set(isa::reg::kProgramHash, program.config_hash);
  set(isa::reg::kProgramAddress, code());
  set(isa::reg::kProgramWords, program.instructions.size() / 16);
  set(isa::reg::kIrqEnable, 3);
}

void RtlHost::put_image(std::span<const std::int8_t> image) {
  std::ranges::fill(bytes(isa::Region::kActivations), kPoison);
  std::ranges::copy(program::pack_input(program_, image), bytes(isa::Region::kInput).begin());
  std::ranges::fill(bytes(isa::Region::kOutput), kPoison);
}

Result<tb::RunResult> RtlHost::run(const tb::RetireHook& on_retire) {
  set(isa::reg::kIrqStatus, 3);
  const tb::RunResult result = simulation_->run(on_retire);
  if (result.fault != isa::Fault::kNone) return describe(result);
  if (result.timed_out) {
    return fail(ErrorCode::kDevice,
                "no interrupt after " + std::to_string(result.cycles) + " cycles", "device rtl");
  }
  return result;
}

void RtlHost::measure(const tb::RunResult& result, Execution& execution) const {
  Timing timing{result.cycles, result.cycles_by_layer, result.counters, result.cpu_seconds};
  timing.cycles_by_layer.resize(program_.layers.size());
  execution.timing = std::move(timing);
  const auto bus = static_cast<std::uint64_t>(program_.machine().bus_bytes);
  execution.traffic = Traffic{counter(result, isa::Counter::kReadBeats) * bus,
                              counter(result, isa::Counter::kWriteBeats) * bus};
}

Diagnostic RtlHost::describe(const tb::RunResult& result) const {
  std::string message = "fault " + std::string(isa::name(result.fault));
  if (result.fault_engine != 0) {
    message += " in " + std::string(isa::name(static_cast<isa::Engine>(result.fault_engine)));
  }
  std::size_t offset = 0, index = 0;
  while (offset < program_.instructions.size()) {
    const std::size_t start = offset;
    const auto instruction = isa::decode(program_.instructions, offset);
    ESP_CHECK(instruction.ok());
    if (code() + start == result.fault_address) {
      message += ": " + isa::disassemble(*instruction);
      return fail(ErrorCode::kDevice, message, "instruction " + std::to_string(index));
    }
    ++index;
  }
  return fail(ErrorCode::kDevice, message, "device rtl");
}

}  // namespace espalier::runtime
