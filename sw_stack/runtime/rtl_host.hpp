#pragma once
// The verilated machine with a program in its memory and its registers set: what a driver does.

#include <array>
#include <memory>
#include <span>

#include "runtime/device.hpp"
#include "tb/simulation.hpp"

namespace espalier::runtime {

class RtlHost {
 public:
  /// Errors: kUsage, where this build has no such machine or cannot write the wave.
  static Result<std::unique_ptr<RtlHost>> open(const program::Program& program,
                                               const DeviceOptions& options);

  tb::Simulation& simulation() { return *simulation_; }
  /// Memory behind a base register.
  std::span<std::uint8_t> bytes(isa::Region region) {
    const auto r = static_cast<std::size_t>(region);
    return std::span<std::uint8_t>(simulation_->memory()).subspan(base_[r], size_[r]);
  }
  [[nodiscard]] std::uint64_t base(isa::Region region) const {
    return base_[static_cast<std::size_t>(region)];
  }
  /// Where the instructions lie.
  [[nodiscard]] std::uint64_t code() const { return base_[0] + program_.code_offset(); }

  /// Puts an image where the program expects it, and poison where it must not look.
  void put_image(std::span<const std::int8_t> image);
  /// Runs the program. Errors: kDevice for a fault, with its instruction as `inspect` numbers it.
  Result<tb::RunResult> run(const tb::RetireHook& on_retire);
  /// Timing and traffic of a run.
  void measure(const tb::RunResult& result, Execution& execution) const;

 private:
  RtlHost(const program::Program& program, const DeviceOptions& options,
          std::unique_ptr<tb::Simulation> simulation);
  void set(std::uint32_t reg, std::uint64_t value) {
    simulation_->write_register(reg, static_cast<std::uint32_t>(value));
  }
  [[nodiscard]] Diagnostic describe(const tb::RunResult& result) const;

  const program::Program& program_;
  std::unique_ptr<tb::Simulation> simulation_;
  std::array<std::uint64_t, 4> base_{}, size_{};
};

}  // namespace espalier::runtime
