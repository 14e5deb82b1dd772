#pragma once
// From a float graph and a few hundred images to int8.

#include <cstddef>
#include <functional>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::quantise {

/// How the range of a tensor is chosen from the values that calibration saw.
enum class RangeMethod {
  kMinMax,      ///< all of them
  kPercentile,  ///< all but the share beyond `percentile` at either end
  kMse,         ///< the range with the least squared error after quantisation
};

/// Images to calibrate on: network inputs (preprocessed), planar [C][H][W].
struct Calibration {
  std::size_t count = 0;
  std::function<Result<std::vector<float>>(std::size_t)> image;
};

struct Options {
  RangeMethod method = RangeMethod::kPercentile;
  double percentile = 99.99;    ///< Units: percent. Range: above 50, at most 100.
  bool bias_correction = true;  ///< biases make up for the mean error of rounded weights
  ir::Preprocess preprocess;    ///< goes into the graph as it is
  std::function<void(std::size_t done, std::size_t total)> progress;  ///< images calibrated on
};

/// Activations become int8 with a scale and a zero point per tensor, weights symmetric int8 with a
/// scale per output channel, biases int32. A clamp folds into the operator before it where it is
/// the only consumer, and is a 1 x 1 convolution elsewhere. The tensors of a concatenation, and
/// both sides of a max pool, share one scale. The input and the output use their whole range.
/// Where a bias would not fit, its channel's weights take a coarser scale.
/// Errors: kUsage (no images, options), kShape (an image), kRange (a layer whose sum could leave
/// int32, values that are not finite; both name the node or tensor), and what verify says.
Result<ir::QuantGraph> quantise(const ir::FloatGraph& graph, const Calibration& calibration,
                                const Options& options = {});

}  // namespace espalier::quantise
