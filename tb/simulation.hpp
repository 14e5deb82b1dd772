#pragma once
// One verilated machine with its memory: the only thing outside tests that knows Verilator.
// Built once for each configuration and purpose; chosen by name at run time.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "driver/driver.hpp"
#include "isa/generated/configs.hpp"
#include "isa/event.hpp"
#include "base/result.hpp"
#include "tb/layer_clock.hpp"

namespace espalier::tb {

/// What stands behind the AXI4 port. Units: cycles.
struct MemoryOptions {
  int read_latency = 60;   ///< from AR to the first beat
  int write_latency = 40;  ///< from the last W to B
  double stall =
      0.0;  ///< probability that a ready or valid is withheld in a cycle, on every channel
  std::uint64_t seed = 1;  ///< of the stalls
};

struct SimulationOptions {
  MemoryOptions memory;
  std::string wave;  ///< FST file; empty: none. Needs a traced model of the configuration
  std::uint64_t wave_cycles = 0;  ///< stop writing the wave after so many cycles; 0: never
  std::uint64_t wave_start = 0;   ///< cycles since start before the wave begins; 0: with the reset
  std::uint64_t max_cycles = 0;   ///< give up after so many; 0: never
  bool asserting = false;         ///< the model whose assertions stop the program; for tests
  bool masks = true;              ///< otherwise the model without a layer table; for tests
};

/// The cycles of a run until a hook called lap().
struct Lap {
  std::uint64_t cycles = 0;
  std::vector<std::uint64_t> cycles_by_layer;  ///< sums to `cycles`
};

/// What waiting for the interrupt saw.
struct Waited {
  LayerClock layers;
  std::vector<Lap> laps;     ///< in the order of the calls
  std::uint64_t clocks = 0;  ///< since start
  bool timed_out = false;    ///< max_cycles reached
  bool stopped = false;      ///< stop() was called
  double cpu_seconds = 0;    ///< process CPU time of the simulation alone
};

/// What one run from start to interrupt did.
struct RunResult : driver::Outcome {
  RunResult() = default;
  RunResult(const driver::Outcome& outcome, Waited waited);
  std::uint64_t cycles = 0;                    ///< from start to interrupt
  std::vector<std::uint64_t> cycles_by_layer;  ///< sums to `cycles`
  std::vector<Lap> laps;                       ///< as Waited
  bool timed_out = false;
  bool stopped = false;
  double cpu_seconds = 0;
};

/// Called after each retired instruction: engine and its count since start (not modulo).
using RetireHook = std::function<void(isa::Engine engine, std::uint64_t count)>;

class Simulation;
/// A hook that lists the retirements; `into` and the simulation outlive it.
RetireHook list_events(const Simulation& simulation, std::vector<isa::Event>& into);

/// Called with each beat of data that the machine takes: its byte address.
using ReadHook = std::function<void(std::uint64_t address, std::span<const std::uint8_t> beat)>;

class Simulation : public driver::Registers {
 public:
  /// The machine's memory, from address 0; everything beyond it answers with an AXI error.
  virtual std::vector<std::uint8_t>& memory() = 0;
  virtual void reset() = 0;
  /// After start: runs until the interrupt (enable it first), stop() or max_cycles.
  virtual Waited wait(const RetireHook& on_retire) = 0;
  /// Makes the machine ready, starts it, waits, and reads what it did.
  RunResult run(const RetireHook& on_retire);
  /// Watches the reads of the runs to come; an empty hook ends that.
  virtual void watch_reads(ReadHook hook) = 0;
  /// Cycles since start, for the hooks.
  [[nodiscard]] virtual std::uint64_t cycle() const = 0;
  /// From a hook: notes the cycles so far, for `laps`.
  virtual void lap() = 0;
  /// From a hook: ends the run after this cycle; its result says `stopped`.
  virtual void stop() = 0;
  /// Clocks without a program: for tests.
  virtual void idle(int cycles) = 0;
};

/// Configurations that this build has a fast model of, a traced one, one with assertions, and one
/// without masks.
std::vector<std::string> fast_models();
std::vector<std::string> traced_models();
std::vector<std::string> asserting_models();
std::vector<std::string> maskless_models();

/// Errors: kUsage when this build has no such model, or the wave file cannot be written.
Result<std::unique_ptr<Simulation>> make_simulation(const isa::Config& config,
                                                    const SimulationOptions& options);

}  // namespace espalier::tb
