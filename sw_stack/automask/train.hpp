#pragma once
// Training an environment.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "automask/what.hpp"
#include "environment/environment.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::automask {

struct Options {
  What what;
  std::vector<std::string> images;   ///< paths, as images::Dataset has them
  std::vector<std::string> clean;    ///< the same pictures, not degraded; without labels only
  std::uint64_t count = UINT64_MAX;  ///< at most so many images
  bool labels = true;                ///< learn from the images' labels
  int epochs = 4;
  int batch = 128;
  double mask_rate = 0.01;  ///< Adam's, of scores
  double rate = 0.002;      ///< of biases and scales
  double held = 0.1;        ///< share of the images, the last ones, that is not learnt from
  bool flip = true;
  int shift = 4;  ///< pixels
  std::uint64_t seed = 1;
  int threads = 1;
  bool cuda = false;
  std::string state;    ///< file to go on from; empty: none
  bool resume = false;  ///< go on from it
};

struct Epoch {
  double loss = 0, held_loss = 0;
  double held_accuracy = 0;  ///< share; without labels: of agreement with the teacher, if any
  double seconds = 0;
};

/// Of images.
struct Share {
  std::size_t right = 0, of = 0;
  [[nodiscard]] double percent() const {
    return of == 0 ? 0 : 100.0 * static_cast<double>(right) / static_cast<double>(of);
  }
};

struct Trained {
  environment::Environment environment;
  std::size_t learnt = 0, held = 0;  ///< images
  Epoch before;                      ///< held_*: what is not trained yet
  std::vector<Epoch> epochs;
  int best = 0;  ///< epoch, from 1; 0: before
  /// Images held back, in int8 on golden, with labels: the clean model, and with the environment.
  Share frozen, adapted;
  int interrupted = 0;  ///< the signal that ended it early
  /// What stopped it before its time, where the rest is that of the last good epoch.
  std::optional<Diagnostic> broken;
};

struct Watch {
  /// Epoch, from 0, and images done in it, of so many.
  std::function<void(int epoch, std::size_t done, std::size_t of)> progress;
  std::function<void(int epoch, const Epoch&)> epoch;  ///< after each
  std::function<int()> signal;                         ///< that asks for an end, or 0
};

/// `graph` is verified, without copies that the compiler puts in, and has the shared weights.
/// Errors: those of Net::build and Samples::load; kUsage for options that make no sense and too few
/// images; kIo and kMismatch of the state.
Result<Trained> train(const ir::QuantGraph& graph, const Options& options, const Watch& watch = {});

/// Loss and accuracy by epoch.
std::string to_svg(const Trained& trained, const std::string& title);

}  // namespace espalier::automask
