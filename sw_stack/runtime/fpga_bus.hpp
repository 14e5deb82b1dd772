#pragma once
// A machine in an FPGA, as Linux shows it: registers and interrupt by UIO, memory by u-dma-buf.
//
// Registers are map 0 of the UIO device. An interrupt is a 4-byte read of the device file, and has
// to be enabled again by a write of 1; IRQ_STATUS decides, so that a lost or an old interrupt does
// no harm, and where the device has none the register is polled. Memory is a u-dma-buf buffer,
// mapped with the CPU's cache on and handed back and forth by `sync_for_device` and `sync_for_cpu`;
// a driver without these files gives memory that is not cached (O_SYNC). docs/boards.md says how to
// set up both.

#include <memory>

#include "runtime/bus.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

/// A file's bytes in memory; unmapped at the end.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  /// Errors: kIo.
  static Result<Mapping> map(int file, std::uint64_t bytes, const std::string& path);
  [[nodiscard]] std::span<std::uint8_t> bytes() const { return bytes_; }

 private:
  std::span<std::uint8_t> bytes_;
};

/// A file descriptor; closed at the end.
class File {
 public:
  File() = default;
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~File();
  /// Errors: kIo (absent, or permission denied; says which).
  static Result<File> open(const std::string& path, int flags);
  [[nodiscard]] int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

class FpgaBus final : public Bus {
 public:
  /// Errors: kIo (a device or its description is absent or not permitted), kMalformed (a
  /// description that is no number), kCapacity (registers of less than 4 KiB, a buffer past 4 GiB).
  static Result<std::unique_ptr<FpgaBus>> open(const FpgaOptions& options);
  /// Resets a machine that still runs.
  ~FpgaBus() override;

  void write_register(std::uint32_t offset, std::uint32_t value) override;
  std::uint32_t read_register(std::uint32_t offset) override;
  [[nodiscard]] std::string place() const override { return options_.uio; }
  Status reserve(std::uint64_t bytes) override;
  std::span<std::uint8_t> memory() override { return memory_.bytes(); }
  [[nodiscard]] std::uint32_t address() const override { return address_; }
  Status to_machine(std::uint64_t offset, std::uint64_t bytes) override;
  Status from_machine(std::uint64_t offset, std::uint64_t bytes) override;
  Status arm() override;
  Result<WaitEnd> wait() override;

 private:
  explicit FpgaBus(FpgaOptions options) : options_(std::move(options)) {}
  Status open_registers();
  Status open_buffer();
  Status sync(const File& file, const char* name, std::uint64_t offset, std::uint64_t bytes,
              std::uint32_t direction);

  FpgaOptions options_;
  File interrupt_;  // none: polled
  File sync_for_device_, sync_for_cpu_;
  Mapping registers_, memory_;
  std::string buffer_sysfs_;
  std::uint32_t address_ = 0;
  bool started_ = false;
};

}  // namespace espalier::runtime
