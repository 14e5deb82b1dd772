#pragma once
// The host's side of the `pico` machine behind a serial port: registers and memory by commands, and
// a program run by them. Source: docs/ice40.md.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "program/program.hpp"
#include "base/result.hpp"

namespace espalier::runtime {

/// Bytes to and from a machine.
class SerialPort {
 public:
  virtual ~SerialPort() = default;
  virtual Status send(std::span<const std::uint8_t> bytes) = 0;
  /// Exactly so many bytes. Errors: kDevice when they do not come.
  virtual Status receive(std::span<std::uint8_t> bytes) = 0;
};

class SerialHost {
 public:
  /// Finds the machine, writes constants and instructions, places the regions from address 0 on.
  /// `memory`: bytes of memory there. Errors: kMismatch for another machine, kCapacity, kDevice.
  static Result<SerialHost> open(const program::Program& program, SerialPort& port,
                                 std::uint32_t memory);

  /// One image. Shapes: image and result [C][H][W]. Errors: kDevice, with the fault's name.
  Result<std::vector<std::int8_t>> run(std::span<const std::int8_t> image);

  /// Cycles of the last run, by the machine's counter.
  [[nodiscard]] std::uint32_t cycles() const { return cycles_; }

  Status write_register(std::uint32_t offset, std::uint32_t value);
  Result<std::uint32_t> read_register(std::uint32_t offset);
  /// Units: address and size in bytes, both even.
  Status write_memory(std::uint32_t address, std::span<const std::uint8_t> bytes);
  Status read_memory(std::uint32_t address, std::span<std::uint8_t> bytes);

 private:
  SerialHost(const program::Program& program, SerialPort& port)
      : program_(&program), port_(&port) {}
  Status acknowledged();
  Status prepare(std::uint32_t memory);

  const program::Program* program_;
  SerialPort* port_;
  std::array<std::uint32_t, 4> base_{};
  std::uint32_t cycles_ = 0;
};

}  // namespace espalier::runtime
