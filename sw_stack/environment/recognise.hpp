#pragma once
// Which kind of pictures a stream has, from what the model's first convolution makes of them.

#include <cstdint>
#include <span>
#include <vector>

#include "environment/environment.hpp"

namespace espalier::environment {

/// The graph of the convolution that reads the input, with the model's own weights: a machine runs
/// it as it does the model. Errors: kUnsupported where no convolution reads the input.
Result<ir::QuantGraph> probe(const ir::QuantGraph& graph);

/// What a picture looks like by the probe's output, [C][H][W]: of each channel the mean, and the
/// logarithms of the variance and of the mean difference of neighbours. Units: real; 3 C values.
std::vector<float> features(const ir::QuantTensor& tensor, std::span<const std::int8_t> output);

/// Mean and deviation of the features of many pictures.
class LooksMeter {
 public:
  void add(std::span<const float> features);
  [[nodiscard]] Looks looks() const;

 private:
  std::uint64_t count_ = 0;
  std::vector<double> sum_, squares_;
};

/// Follows a stream of pictures: which of some environments they are of. Each picture speaks for
/// each of them with the logarithm of its features' probability, normal and each for itself; what
/// earlier ones have said fades, and one picture says so much at most. Another environment is
/// chosen only where it is ahead by a margin.
class Recogniser {
 public:
  /// All of one model, with looks.
  explicit Recogniser(std::vector<Looks> environments);

  struct Pick {
    std::size_t environment = 0;
    double sure = 0;  ///< the probability that it is this one, if it is one of them. Range: 0 to 1
  };
  /// With the next picture's features: the environment of that picture.
  Pick next(std::span<const float> features);
  /// How often another one was chosen than for the picture before.
  [[nodiscard]] std::size_t switches() const { return switches_; }

 private:
  std::vector<Looks> environments_;
  std::vector<double> evidence_;
  std::size_t current_ = 0, seen_ = 0, switches_ = 0;
};

}  // namespace espalier::environment
