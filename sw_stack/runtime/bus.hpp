#pragma once
// What leads to a machine: its registers, memory that host and machine share, and its interrupt.
// Behind it stands a verilated machine or a board; the host's work is the same (runtime/host.hpp).

#include <cstdint>
#include <span>
#include <string>

#include "driver/driver.hpp"

namespace espalier::runtime {

enum class WaitEnd {
  kInterrupt,
  kTimeout,
  kStopped,  ///< somebody asked for the run to end
};

class Bus : public driver::Registers {
 public:
  /// For messages: a device file, or `device rtl`.
  [[nodiscard]] virtual std::string place() const = 0;
  /// Sees to it that memory() has `bytes` bytes. Call it once. Errors: kCapacity.
  virtual Status reserve(std::uint64_t bytes) = 0;
  /// The shared memory.
  virtual std::span<std::uint8_t> memory() = 0;
  /// Where the machine sees its first byte: a multiple of 4096.
  [[nodiscard]] virtual std::uint32_t address() const = 0;

  /// What the host wrote there is for the machine to see from now on. Errors: kIo.
  virtual Status to_machine(std::uint64_t offset, std::uint64_t bytes) = 0;
  /// What the machine wrote there is for the host to see from now on. Errors: kIo.
  virtual Status from_machine(std::uint64_t offset, std::uint64_t bytes) = 0;

  /// Before a start: an interrupt from now on ends wait(). Errors: kIo.
  virtual Status arm() = 0;
  /// Waits for the machine's interrupt. Errors: kIo.
  virtual Result<WaitEnd> wait() = 0;
};

}  // namespace espalier::runtime
