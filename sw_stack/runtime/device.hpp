#pragma once
// One interface for whatever can run a program: the golden model, the functional simulator of the
// instructions, the verilated machine, and a machine in an FPGA.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isa/generated/isa.hpp"
#include "program/apply_mask.hpp"
#include "program/program.hpp"
#include "base/result.hpp"

namespace espalier::runtime {

enum class DeviceKind { kGolden, kIss, kRtl, kFpga };

/// golden, iss, rtl or fpga.
std::string_view name(DeviceKind kind);
std::optional<DeviceKind> find_device(std::string_view name);

/// Whether this build holds the verilated machine of that configuration.
bool has_rtl(const isa::Config& config);
/// Configurations with a verilated machine that writes waves, and whether this is one.
std::vector<std::string> wave_configs();
bool has_waves(std::string_view config);

/// Where a board's machine is found (docs/boards.md).
struct FpgaOptions {
  std::string uio;                           ///< device file of the registers: /dev/uio0
  std::string buffer = "/dev/udmabuf0";      ///< device file of the memory that both share
  std::string interrupt;                     ///< where interrupts are read; empty: uio
  std::string sysfs = "/sys";                ///< root of the kernel's description of the two
  std::chrono::milliseconds timeout{10000};  ///< longest wait for an interrupt
};

struct DeviceOptions {
  /// Return every stored tensor; of fpga, those that are still in memory at the end.
  bool keep_tensors = false;
  std::uint32_t watchdog = 4'000'000;  ///< rtl, fpga: cycles without progress before a fault
  /// Masks that are resident, each with its packed weights; Device::use says whose turn it is.
  /// Without any all channels are there. All but golden need a program that takes masks.
  std::vector<ir::ChannelMask> masks;
  /// By mask: the program's graph with this user's own weights, biases and multipliers
  /// (masks::patched), or with an environment's (environment::apply). Empty: all have the
  /// program's.
  std::vector<ir::QuantGraph> graphs;
  /// By mask: program::apply_mask of it, where that is done already; null: `open` does it.
  std::shared_ptr<const std::vector<program::Masked>> applied;
  // rtl only
  int read_latency = 60;          ///< Units: cycles
  int write_latency = 40;         ///< Units: cycles
  double stall = 0;               ///< probability that a bus channel waits in a cycle
  std::uint64_t seed = 1;         ///< of the stalls
  std::string wave;               ///< FST file; empty: none
  std::uint64_t wave_cycles = 0;  ///< length of the wave; 0: to the end
  std::uint64_t wave_start = 0;   ///< cycles since start before the wave begins
  // iss only
  std::uint64_t order_seed = 0;  ///< order of the engines; 0: a fixed one
  // fpga only
  FpgaOptions fpga;
};

/// The graph whose numbers a mask's images have.
const ir::QuantGraph& graph_of(const program::Program& program, const DeviceOptions& options,
                               std::size_t mask);
/// program::apply_mask of one of the resident masks, with its own weights.
Result<program::Masked> masked(const program::Program& program, const DeviceOptions& options,
                               std::size_t mask);

/// A tensor of the graph that the device has stored. Shapes: values [C][H][W].
struct StoredTensor {
  int tensor = -1;
  std::vector<std::int8_t> values;
};

/// What a machine with a clock measured in one run.
struct Timing {
  std::uint64_t cycles = 0;  ///< from start to interrupt
  /// By program.layers; sums to `cycles`. Empty where the device does not know (fpga).
  std::vector<std::uint64_t> cycles_by_layer;
  std::array<std::uint64_t, isa::kCounters> counters{};
  /// rtl, of the first image of a run: from start until the layer table is read, where the program
  /// has one.
  std::optional<std::uint64_t> layer_table;
  double cpu_seconds = 0;  ///< CPU time of the simulation alone
  double seconds = 0;      ///< fpga: from start to interrupt by the host's clock
};

/// Bytes over the bus, instructions included.
struct Traffic {
  std::uint64_t read = 0, written = 0;
};

/// One image's run.
struct Execution {
  bool complete = true;              ///< false: interrupted; the output means nothing
  std::vector<std::int8_t> output;   ///< the graph's output, [C][H][W]
  std::vector<StoredTensor> stored;  ///< with keep_tensors: in the order of completion
  std::optional<Timing> timing;      ///< rtl and fpga
  /// rtl, fpga and iss. Images that ran in one go on rtl: all of their traffic, counters and CPU
  /// time are with the last of them that is complete.
  std::optional<Traffic> traffic;
};

/// Called with the images that a run has done so far.
using Finished = std::function<void(std::size_t done)>;

/// What it took to pack the weights for a mask.
struct Packing {
  std::size_t layers = 0;               ///< that the mask touches
  std::optional<std::uint64_t> cycles;  ///< rtl and fpga
  std::optional<Traffic> traffic;       ///< rtl and fpga
};

class Device {
 public:
  virtual ~Device() = default;
  /// The mask of the images to come: one of the resident ones, at first the first.
  virtual void use(std::size_t mask) = 0;
  /// For each resident mask what packing took, as far as it is done; empty where nothing packs.
  [[nodiscard]] virtual std::vector<Packing> packings() const { return {}; }
  /// How many images a run should get for the best speed.
  [[nodiscard]] virtual std::size_t batch() const { return 1; }
  /// Runs images that lie one after the other, [C][H][W] each. `finished`, where given, is called
  /// as each is done, with how many are. Errors: kDevice, with the fault's name and its
  /// instruction.
  virtual Result<std::vector<Execution>> run(std::span<const std::int8_t> images,
                                             const Finished& finished = {}) = 0;
};

/// Opens `count` devices of one kind with a verified program, which must outlive them.
/// Errors: kUsage (this build or configuration has no such device), kCapacity, kIo; of fpga also
/// kDevice and kMismatch (no machine there, or one of another configuration); those of
/// program::apply_mask.
Result<std::vector<std::unique_ptr<Device>>> open(const program::Program& program, DeviceKind kind,
                                                  const DeviceOptions& options, int count = 1);

/// Unpadded multiply-accumulates of one image: of one layer, and of all.
std::uint64_t macs(const program::Layer& layer);
std::uint64_t macs(const program::Program& program);

}  // namespace espalier::runtime
