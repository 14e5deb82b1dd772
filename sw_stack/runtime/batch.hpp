#pragma once
// Many images over several devices of one kind: a thread each for golden, a process each for those
// that simulate.

#include <functional>

#include "runtime/check.hpp"

namespace espalier::runtime {

struct BatchOptions {
  DeviceKind kind = DeviceKind::kGolden;
  DeviceOptions device;
  int jobs = 0;        ///< devices at work at once; 0: every core for golden, otherwise one
  bool check = false;  ///< compare every stored tensor with golden
};

/// The graph's int8 input for image i. Several threads may call.
using LoadImage = std::function<Result<std::vector<std::int8_t>>(std::size_t i)>;
/// After each group of images, from one thread at a time: how many are done.
using Progress = std::function<void(std::size_t done)>;
/// With every tensor of an image by golden; several threads may call. Errors end the batch.
using Observe = std::function<Status(std::size_t i, std::span<const golden::Tensor> tensors)>;

/// What it costs an image that the one before it had another mask: the cycles of one image, on a
/// machine whose memory does not stall.
struct Switching {
  std::uint64_t after = 0;                   ///< behind an image with another mask
  std::uint64_t same = 0;                    ///< the same image again, behind itself
  std::optional<std::uint64_t> layer_table;  ///< as Timing has it
};

struct BatchResult {
  /// An image that an interrupt cut short: what was done of it is not in the sums.
  struct Partial {
    std::size_t image = 0;
    Comparison comparison;
    std::optional<Timing> timing;
  };
  std::vector<std::vector<std::int8_t>> outputs;  ///< by image; empty where it was not finished
  std::size_t images = 0;                         ///< finished
  int interrupted = 0;                            ///< the signal that ended the batch early, or 0
  std::vector<Partial> partial;
  Comparison comparison;
  std::vector<Packing> packings;  ///< of the first device; none with several processes
  /// With several masks and images on one device with a clock; one image more runs for it.
  std::optional<Switching> switching;
  std::optional<Timing> timing;    ///< sums over the images
  std::optional<Traffic> traffic;  ///< sums over the images

  /// Takes the next image that ran, whole or cut short, and what comparing it came to.
  void add(std::size_t image, Execution execution, const Comparison& compared = {});
};

/// Refuses several devices of a kind that has one. Errors: kUsage.
Status check_jobs(DeviceKind kind, int jobs);

/// Runs images 0 .. count-1; of several resident masks image i has the one of i modulo their
/// number. The result does not depend on how devices interleave: image i goes
/// to device i modulo jobs where the device has a clock. Processes are used where jobs > 1, the
/// device simulates and nobody observes. An interrupt (runtime/interrupt.hpp) ends the batch early,
/// without an error. Errors: those of check_jobs, open, the devices, `load` and `observe`.
Result<BatchResult> run_batch(const program::Program& program, const BatchOptions& options,
                              std::size_t count, const LoadImage& load,
                              const Progress& progress = {}, const Observe& observe = {});

}  // namespace espalier::runtime
