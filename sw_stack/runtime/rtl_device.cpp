#include <algorithm>

#include "runtime/capture.hpp"
#include "runtime/devices.hpp"

#ifdef ESPALIER_HAVE_RTL
#include "isa/generated/registers.hpp"
#include "tb/simulation.hpp"
#endif

namespace espalier::runtime {

#ifndef ESPALIER_HAVE_RTL

bool has_rtl(const isa::Config&) { return false; }
std::vector<std::string> wave_configs() { return {}; }
Result<DevicePtr> make_rtl(const program::Program&, const DeviceOptions&) {
  return fail(ErrorCode::kUsage,
              "this build has no verilated machine; build with ESPALIER_RTL=ON, "
              "or take golden or iss",
              "device rtl");
}

#else

namespace {

std::uint64_t round_up(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

class RtlDevice final : public Device {
 public:
  RtlDevice(const program::Program& program, const DeviceOptions& options,
            std::unique_ptr<tb::Simulation> simulation)
      : program_(program),
        simulation_(std::move(simulation)),
        capture_(program, options.keep_tensors, [this](isa::Region region) {
          const auto r = static_cast<std::size_t>(region);
          return std::span<const std::uint8_t>(simulation_->memory()).subspan(base_[r], size_[r]);
        }) {
    size_ = {program.constant_bytes(), program.activation_bytes, program.input_bytes,
             program.output_bytes};
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
    set(isa::reg::kProgramAddress, base_[0] + program.code_offset());
    set(isa::reg::kProgramWords, program.instructions.size() / 16);
    set(isa::reg::kIrqEnable, 3);
  }

  Result<std::vector<Execution> > run(std::span<const std::int8_t> images) override {
    const ir::QuantGraph& graph = program_.graph;
    const auto count = static_cast<std::size_t>(
        graph.tensors[static_cast<std::size_t>(graph.input)].shape.count());
    std::vector<Execution> list;
    for (std::size_t at = 0; at + count <= images.size(); at += count) {
      auto execution = run_one(images.subspan(at, count));
      if (!execution) return execution.error();
      list.push_back(std::move(execution).value());
    }
    return list;
  }

 private:
  void set(std::uint32_t reg, std::uint64_t value) {
    simulation_->write_register(reg, static_cast<std::uint32_t>(value));
  }
  std::span<std::uint8_t> bytes(std::size_t region) {
    return std::span<std::uint8_t>(simulation_->memory()).subspan(base_[region], size_[region]);
  }

  Result<Execution> run_one(std::span<const std::int8_t> image) {
    std::ranges::fill(bytes(1), kPoison);
    std::ranges::copy(program::pack_input(program_, image), bytes(2).begin());
    std::ranges::fill(bytes(3), kPoison);
    capture_.start();
    set(isa::reg::kIrqStatus, 3);
    const tb::RunResult result = simulation_->run(
        [this](isa::Engine engine, std::uint64_t count) { capture_.retired(engine, count); });
    if (result.fault != isa::Fault::kNone) return describe(result);
    if (result.timed_out) {
      return fail(ErrorCode::kDevice,
                  "no interrupt after " + std::to_string(result.cycles) + " cycles", "device rtl");
    }
    Execution execution;
    capture_.finish(execution);
    Timing timing{result.cycles, result.cycles_by_layer, result.counters, result.cpu_seconds};
    timing.cycles_by_layer.resize(program_.layers.size());
    execution.timing = std::move(timing);
    const auto bus = static_cast<std::uint64_t>(program_.machine().bus_bytes);
    execution.traffic =
        Traffic{counter(result, "read_beats") * bus, counter(result, "write_beats") * bus};
    return execution;
  }

  static std::uint64_t counter(const tb::RunResult& result, std::string_view wanted) {
    const auto at = std::ranges::find(isa::kCounterNames, wanted);
    ESP_CHECK(at != isa::kCounterNames.end());
    return result.counters[static_cast<std::size_t>(at - isa::kCounterNames.begin())];
  }

  /// The fault with its instruction, as `inspect --disassemble` numbers them.
  [[nodiscard]] Diagnostic describe(const tb::RunResult& result) const {
    std::string message = "fault " + std::string(isa::name(result.fault));
    if (result.fault_engine != 0) {
      message += " in " + std::string(isa::name(static_cast<isa::Engine>(result.fault_engine)));
    }
    const std::uint64_t code = base_[0] + program_.code_offset();
    std::size_t offset = 0, index = 0;
    while (offset < program_.instructions.size()) {
      const std::size_t start = offset;
      const auto instruction = isa::decode(program_.instructions, offset);
      ESP_CHECK(instruction.ok());
      if (code + start == result.fault_address) {
        message += ": " + isa::disassemble(*instruction);
        return fail(ErrorCode::kDevice, message, "instruction " + std::to_string(index));
      }
      ++index;
    }
    return fail(ErrorCode::kDevice, message, "device rtl");
  }

  const program::Program& program_;
  std::unique_ptr<tb::Simulation> simulation_;
  Capture capture_;
  std::array<std::uint64_t, 4> base_{}, size_{};
};

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

}  // namespace

bool has_rtl(const isa::Config& config) { return contains(tb::fast_models(), config.name); }
std::vector<std::string> wave_configs() { return tb::traced_models(); }

Result<DevicePtr> make_rtl(const program::Program& program, const DeviceOptions& options) {
  tb::SimulationOptions simulation;
  simulation.memory = {options.read_latency, options.write_latency, options.stall, options.seed};
  simulation.wave = options.wave;
  simulation.wave_cycles = options.wave_cycles;
  auto made = tb::make_simulation(program.machine(), simulation);
  if (!made) return made.error();
  return DevicePtr(std::make_unique<RtlDevice>(program, options, std::move(made).value()));
}

#endif

}  // namespace espalier::runtime
