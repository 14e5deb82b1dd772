#include "driver/driver.hpp"

#include <chrono>
#include <cstdio>

#include "isa/generated/registers.hpp"

namespace espalier::driver {
namespace {

namespace reg = isa::reg;

constexpr std::uint32_t kStart = 1, kReset = 2;       // CONTROL
constexpr std::uint32_t kBusy = 1, kFaulted = 4;      // STATUS
constexpr std::uint32_t kDone = 1, kFaultRaised = 2;  // IRQ_STATUS
constexpr std::chrono::seconds kPatience{5};

std::string hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08X", value);
  return text;
}

/// Reads until the bits are clear. Errors: kDevice.
Status wait_clear(Registers& registers, std::uint32_t offset, std::uint32_t bits, const char* name,
                  const std::string& place) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  std::uint32_t value = 0;
  while (((value = registers.read_register(offset)) & bits) != 0) {
    if (std::chrono::steady_clock::now() < end) continue;
    return fail(ErrorCode::kDevice,
                std::string(name) + " reads " + hex(value) + " 5 seconds after a reset", place);
  }
  return {};
}

std::string config_of(std::uint32_t hash) {
  for (const isa::Config& config : isa::kConfigs) {
    if (config.hash == hash) return std::string(config.name) + " (" + hex(hash) + ")";
  }
  return hex(hash) + ", which this build does not know";
}

}  // namespace

Status identify(Registers& registers, const isa::Config& config, const std::string& place) {
  if (const std::uint32_t id = registers.read_register(reg::kId); id != reg::kIdValue) {
    return fail(ErrorCode::kDevice,
                "no machine answers: ID reads " + hex(id) + "; it should be " + hex(reg::kIdValue),
                place);
  }
  if (const std::uint32_t version = registers.read_register(reg::kVersion);
      version != isa::kIsaVersion) {
    return fail(ErrorCode::kMismatch,
                "the machine runs instructions of version " + std::to_string(version) +
                    "; the program has version " + std::to_string(isa::kIsaVersion),
                place);
  }
  if (const std::uint32_t hash = registers.read_register(reg::kConfigHash); hash != config.hash) {
    return fail(ErrorCode::kMismatch,
                "the program is for configuration " + config_of(config.hash) +
                    "; the machine is configuration " + config_of(hash),
                place);
  }
  return {};
}

Status make_ready(Registers& registers, const std::string& place) {
  if ((registers.read_register(reg::kStatus) & (kBusy | kFaulted)) != 0) {
    registers.write_register(reg::kControl, kReset);
    Status reset = wait_clear(registers, reg::kStatus, kBusy | kFaulted, "STATUS", place);
    if (!reset) return reset;
  }
  registers.write_register(reg::kIrqStatus, kDone | kFaultRaised);
  return wait_clear(registers, reg::kIrqStatus, kDone | kFaultRaised, "IRQ_STATUS", place);
}

void start(Registers& registers) { registers.write_register(reg::kControl, kStart); }

std::uint32_t interrupts(Registers& registers) {
  return registers.read_register(reg::kIrqStatus) & (kDone | kFaultRaised);
}

Outcome outcome(Registers& registers) {
  Outcome outcome;
  for (std::uint32_t i = 0; i < isa::kCounters; ++i) {
    const std::uint64_t low = registers.read_register(reg::kCountersBase + 8 * i);
    const std::uint64_t high = registers.read_register(reg::kCountersBase + 8 * i + 4);
    outcome.counters[i] = low | high << 32;
  }
  outcome.fault = static_cast<isa::Fault>(registers.read_register(reg::kFaultCause));
  outcome.fault_address = registers.read_register(reg::kFaultAddress);
  outcome.fault_engine = registers.read_register(reg::kFaultEngine);
  return outcome;
}

}  // namespace espalier::driver
