#pragma once
// A board for tests: the files that Linux shows of a machine in an FPGA, with a verilated machine
// behind them. Registers are a file that a thread watches, interrupts come through a pseudo
// terminal, the shared buffer is a file that is not coherent with the machine's memory.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/device.hpp"
#include "scratch.hpp"
#include "tb/simulation.hpp"

namespace espalier::tests {

class FakeBoard {
 public:
  static constexpr std::uint32_t kAddress = 0x100000;  ///< of the buffer, for the machine

  struct Options {
    std::string config = "nano";
    std::uint64_t buffer_bytes = 1 << 20;
    bool interrupt = true;  ///< false: the UIO device has none
    bool cached = true;     ///< false: no sync files in sysfs
    bool dead = false;      ///< starts are lost
  };
  /// One write of a sync file.
  struct Sync {
    std::uint32_t offset, bytes, direction;
  };

  explicit FakeBoard(const Options& options);
  ~FakeBoard();
  FakeBoard(const FakeBoard&) = delete;
  FakeBoard& operator=(const FakeBoard&) = delete;

  /// What a device needs to open it.
  [[nodiscard]] runtime::FpgaOptions fpga() const;
  /// A file of it, to spoil.
  [[nodiscard]] std::string path(const std::string& name) const { return scratch_.path(name); }
  /// Everything handed to the CPU so far.
  std::vector<Sync> to_cpu();
  /// Interrupts that were raised.
  [[nodiscard]] int interrupts() const { return raised_; }
  /// Whether the machine stands still.
  bool idle();

 private:
  void serve();
  void serve_syncs();
  void serve_writes();
  void show_registers();
  void show(std::uint32_t offset, std::uint32_t value);
  void raise_interrupt();

  Options options_;
  Scratch scratch_;
  std::unique_ptr<tb::Simulation> machine_;
  std::vector<std::uint32_t> offsets_;  // of the registers that the machine has
  std::vector<std::uint32_t> shown_;    // by offset / 4
  std::uint32_t* registers_ = nullptr;
  std::uint8_t* buffer_ = nullptr;
  int terminal_ = -1, slave_ = -1, to_device_ = -1, to_cpu_ = -1;
  std::string interrupt_path_;
  std::string device_text_, cpu_text_;  // of the sync files, not yet a whole write
  std::vector<Sync> cpu_;
  bool enabled_ = false, line_ = false;
  std::atomic<int> raised_{0};
  std::atomic<bool> end_{false};
  std::thread thread_;
};

}  // namespace espalier::tests
