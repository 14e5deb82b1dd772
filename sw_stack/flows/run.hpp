#pragma once
// Images through a program on a device.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flows/float_comparison.hpp"
#include "flows/listener.hpp"
#include "flows/lockstep.hpp"
#include "flows/load_masks.hpp"
#include "flows/picking.hpp"
#include "isa/generated/clocks.hpp"
#include "runtime/batch.hpp"

namespace espalier::flows {

/// A memory that waits. Units: cycles; `stall` is the probability that a bus channel waits in one.
struct MemoryOptions {
  int read_latency = runtime::DeviceOptions().read_latency;
  int write_latency = runtime::DeviceOptions().write_latency;
  double stall = 0;

  void set(runtime::DeviceOptions& device) const;
};

struct RunOptions {
  std::string program;  ///< file
  std::string images;   ///< where they are, as images::Dataset has it
  std::uint64_t first = 0;
  std::optional<std::uint64_t> count;         ///< images; none: all from `first` on
  std::optional<runtime::DeviceKind> device;  ///< none: rtl where this build has it, else iss
  runtime::FpgaOptions fpga;                  ///< of that device
  std::optional<MemoryOptions> memory;        ///< rtl only; none: the usual one, without stalls
  std::optional<std::uint64_t> seed;          ///< of stalls; on iss of the order of the engines
  int jobs = 0;                               ///< devices at work at once, as runtime::BatchOptions
  MaskFiles masks;
  std::string overlay;       ///< file; empty: none
  std::string environment;   ///< file; empty: none. On golden, or of a program that takes them
  std::string environments;  ///< folder of such files; empty: none. With `pick`
  bool pick = false;         ///< each image has the one that its pictures are for
  bool check = false;        ///< compare every stored tensor with golden
  bool lockstep = false;     ///< rtl: compare every instruction with the functional simulator
  std::string wave;          ///< rtl: FST file; empty: none, with lockstep wave_name
  std::optional<std::uint64_t> wave_cycles;  ///< none: to the end
  std::string float_model;                   ///< to compare with; empty: none
  std::string scores;                        ///< .npy file to write; empty: none
  std::string classes;        ///< file of names, one a line; empty: those of the images
  int top = 0;                ///< the best so many classes of every image
  std::optional<double> mhz;  ///< the clock of times; none: the configuration's
};

/// What ran on a device, and what came of it.
struct Run {
  program::Program program;
  std::uint64_t fingerprint = 0;  ///< of the program
  runtime::BatchOptions options;
  std::size_t images = 0;
  std::optional<std::size_t> correct;  ///< where labels exist
  runtime::BatchResult result;
  std::vector<std::string> masks;         ///< files
  std::optional<OverlayUse> overlay;      ///< what it leaves of the weights
  std::optional<OverlayUse> environment;  ///< likewise, of the layers that it masks
  std::optional<Picking> picking;         ///< with `pick`
  /// Of one image with the masks, by layer; none without a mask.
  std::vector<std::uint64_t> live_macs;
  isa::Clock clock;  ///< of times

  /// Multiply-accumulates of one image: of live channels where there is a mask.
  [[nodiscard]] std::uint64_t macs(std::size_t layer) const;
  [[nodiscard]] std::uint64_t macs() const;
};

/// The clock at which a program's times are given: `mhz`, or the configuration's.
isa::Clock clock_of(const program::Program& program, std::optional<double> mhz);

/// Reads masks, the users' own weights and an overlay into the run, for its device; `packed`: as
/// load_masks has it. Errors: those of load_masks and use_overlay.
Status apply_masks(Run& run, const MaskFiles& files, const std::string& overlay, bool packed);

/// An image's best classes.
struct Answer {
  struct Class {
    int index = 0;
    std::string name;  ///< the number where it has none
    float score = 0;
  };
  std::string image;
  std::optional<std::string> label;  ///< where there are labels: the name
  std::vector<Class> best;           ///< first the best
};

struct RunResult {
  Run run;
  std::vector<Answer> answers;          ///< with `top`, of images that were finished
  std::optional<FloatNoise> noise;      ///< with a float model
  std::optional<LockstepRun> lockstep;  ///< with lockstep
};

/// An interrupt (SIGINT, SIGTERM) ends it early, without an error.
/// Errors: what is wrong with a file or an option, or a fault of the device.
Result<RunResult> run(const RunOptions& options, const Listener& listener = {});

}  // namespace espalier::flows
