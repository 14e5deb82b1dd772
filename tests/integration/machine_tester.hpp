#pragma once
// A machine with a program of a few instructions: registers set by hand, faults and memory checked.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catch.hpp"
#include "isa/generated/registers.hpp"
#include "isa/instruction.hpp"
#include "tb/simulation.hpp"

namespace espalier::tests {

class MachineTester {
 public:
  static constexpr std::uint32_t kCode = 0x1000, kData = 0x4000, kOut = 0x8000, kEnd = 0xC000;

  explicit MachineTester(std::string_view config = "nano", double stall = 0, bool asserting = true,
                         bool masks = true)
      : config_(*isa::find_config(config)) {
    tb::SimulationOptions options;
    options.memory.stall = stall;
    options.asserting = asserting;
    options.masks = masks;
    options.max_cycles = 200'000;
    auto made = tb::make_simulation(config_, options);
    INFO((made.ok() ? std::string() : made.error().text()));
    REQUIRE(made.ok());
    machine_ = std::move(made).value();
    machine_->memory().assign(kEnd, 0xA5);
    set(isa::reg::kBase0, kData);
    set(isa::reg::kBase1, kOut);
    set(isa::reg::kReadLow, kCode);
    set(isa::reg::kReadHigh, kOut);
    set(isa::reg::kWriteLow, kOut);
    set(isa::reg::kWriteHigh, kEnd);
    set(isa::reg::kProgramHash, config_.hash);
    set(isa::reg::kProgramAddress, kCode);
    set(isa::reg::kWatchdog, 2000);
    set(isa::reg::kIrqEnable, 3);
  }

  MachineTester& set(std::uint32_t reg, std::uint32_t value) {
    machine_->write_register(reg, value);
    return *this;
  }
  std::uint32_t get(std::uint32_t reg) { return machine_->read_register(reg); }
  tb::Simulation& machine() { return *machine_; }
  [[nodiscard]] const isa::Config& config() const { return config_; }
  std::uint8_t& byte(std::uint32_t address) { return machine_->memory()[address]; }

  /// Replaces the program.
  MachineTester& program(const std::vector<isa::Instruction>& instructions) {
    std::vector<std::uint8_t> code;
    address_.clear();
    for (const auto& instruction : instructions) {
      address_.push_back(kCode + static_cast<std::uint32_t>(code.size()));
      isa::encode(instruction, code);
    }
    return raw(code);
  }
  MachineTester& raw(const std::vector<std::uint8_t>& code) {
    std::copy(code.begin(), code.end(), machine_->memory().begin() + kCode);
    return set(isa::reg::kProgramWords, static_cast<std::uint32_t>(code.size() / 16));
  }
  /// Address of the program's instruction.
  [[nodiscard]] std::uint32_t address(std::size_t index) const { return address_[index]; }

  tb::RunResult run(const tb::RetireHook& hook = {}) { return machine_->run(hook); }

 private:
  const isa::Config& config_;
  std::unique_ptr<tb::Simulation> machine_;
  std::vector<std::uint32_t> address_;
};

/// Copies `words` words of region 0 at `from` to region 1 at `to`, through a POOL of one position.
inline std::vector<isa::Instruction> copy_words(std::uint32_t from, std::uint32_t to,
                                                std::uint32_t words, std::uint32_t sram = 0) {
  isa::Load load;
  load.offset = from;
  load.x_words = words;
  load.sram_address = sram;
  isa::Pool pool;
  pool.layer = 1;
  pool.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
  pool.dep0_count = 1;
  pool.act_base = sram;
  pool.in_cols = pool.cols = words;
  pool.row_pitch = pool.y_step = pool.plane = words & 0xFFFFU;
  pool.lo = -128;
  pool.hi = 127;
  pool.scale = 0x3F800000;
  isa::Store store;
  store.layer = 1;
  store.source = 1;
  store.region = 1;
  store.offset = to;
  store.x_words = words;
  return {load, pool, store, isa::End{}};
}

}  // namespace espalier::tests
