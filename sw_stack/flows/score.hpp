#pragma once
// How much each channel matters for images of some classes, measured on a device.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flows/device_passes.hpp"
#include "flows/listener.hpp"
#include "masks/choose.hpp"
#include "runtime/device.hpp"

namespace espalier::flows {

struct ScoreOptions {
  std::string program;                 ///< file
  std::string images;                  ///< where they are, as images::Dataset has it
  std::string labels = "predicted";    ///< given, predicted or a file, as UserStream has it
  std::vector<std::uint64_t> classes;  ///< outputs that compete; empty: all
  masks::Scope scope = masks::Scope::kInternal;
  std::string from;  ///< score only from the first node with this in its name on; empty: all
  std::size_t first = 0, count = 16;                          ///< images
  runtime::DeviceKind device = runtime::DeviceKind::kGolden;  ///< that runs the passes
  int jobs = 0;                                               ///< golden: threads; 0: every core
  bool check = false;    ///< compare all that the device stores with golden
  std::string backward;  ///< file for the program of the backward pass; empty: none
};

struct Scored {
  struct Tensor {
    std::string name;
    std::vector<double> scores;  ///< by channel
  };
  std::size_t images = 0;
  std::vector<int> classes;  ///< ascending
  std::vector<Tensor> tensors;
  bool measured = false;  ///< cycles are a machine's; otherwise the timing model's
  /// Cycles of one image each way; none where the configuration has no timing model.
  std::optional<std::uint64_t> forward, backward;
  runtime::Comparison forward_check, backward_check;  ///< with `check`
};

/// Errors: those of the files, the images, personal::Meter and the device; kUsage for options that
/// name what is not there.
Result<Scored> score(const ScoreOptions& options, const Listener& listener = {});

}  // namespace espalier::flows
