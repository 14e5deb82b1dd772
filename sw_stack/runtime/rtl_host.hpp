#pragma once
// The verilated machine with a program in its memory, and what only a simulation can tell.

#include <memory>
#include <span>

#include "runtime/host.hpp"
#include "tb/simulation.hpp"

namespace espalier::runtime {

/// A verilated machine as a Bus. Memory begins at the second page; the first stays unmapped.
class SimulationBus final : public Bus {
 public:
  explicit SimulationBus(std::unique_ptr<tb::Simulation> simulation)
      : simulation_(std::move(simulation)) {}

  tb::Simulation& simulation() { return *simulation_; }
  /// For the wait to come.
  void set_hook(tb::RetireHook hook) { hook_ = std::move(hook); }
  /// What the last wait saw, once.
  tb::Waited take_waited() { return std::move(waited_); }

  void write_register(std::uint32_t offset, std::uint32_t value) override {
    simulation_->write_register(offset, value);
  }
  std::uint32_t read_register(std::uint32_t offset) override {
    return simulation_->read_register(offset);
  }
  [[nodiscard]] std::string place() const override { return "device rtl"; }
  Status reserve(std::uint64_t bytes) override;
  std::span<std::uint8_t> memory() override;
  [[nodiscard]] std::uint32_t address() const override;
  Status to_machine(std::uint64_t, std::uint64_t) override { return {}; }
  Status from_machine(std::uint64_t, std::uint64_t) override { return {}; }
  Status arm() override { return {}; }
  Result<WaitEnd> wait() override;

 private:
  std::unique_ptr<tb::Simulation> simulation_;
  tb::RetireHook hook_;
  tb::Waited waited_;
};

class RtlHost {
 public:
  /// Errors: kUsage, where this build has no such machine or cannot write the wave.
  static Result<std::unique_ptr<RtlHost>> open(const program::Program& program,
                                               const DeviceOptions& options,
                                               std::span<const program::Masked> masks = {});

  tb::Simulation& simulation() { return bus_.simulation(); }
  std::span<std::uint8_t> bytes(isa::Region region) { return host_->bytes(region); }
  [[nodiscard]] std::uint64_t base(isa::Region region) const { return host_->base(region); }
  [[nodiscard]] std::uint64_t code() const { return host_->code(); }

  void use(std::size_t mask) { host_->use(mask); }
  [[nodiscard]] const std::vector<Packing>& packings() const { return host_->packings(); }

  /// Puts an image where the program expects it, and poison where it must not look.
  void put_image(std::span<const std::int8_t> image);
  /// Runs the program. Errors: kDevice for a fault, with its instruction as `inspect` numbers it.
  Result<tb::RunResult> run(tb::RetireHook on_retire);
  /// Timing and traffic of a run.
  void measure(const tb::RunResult& result, Execution& execution) const;

 private:
  RtlHost(const program::Program& program, std::unique_ptr<tb::Simulation> simulation)
      : program_(program), bus_(std::move(simulation)) {}

  const program::Program& program_;
  SimulationBus bus_;
  std::unique_ptr<Host> host_;
};

}  // namespace espalier::runtime
