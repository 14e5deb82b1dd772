#pragma once
// A float graph run as it was imported, for calibration and to compare the quantised model with.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::golden {

/// Runs one image and returns every tensor, by tensor id. The graph must have passed ir::verify.
/// Shapes: input is graph.tensors[graph.input].shape, [C][H][W].
std::vector<std::vector<float>> run_float(const ir::FloatGraph& graph,
                                          std::span<const float> input);

/// Signal to quantisation noise: 10 log10(sum r^2 / sum (r - s (q - z))^2). Units: dB.
/// Infinite where there is no noise, minus infinity where there is noise but no signal.
/// Shapes: both spans have one length.
double sqnr_db(std::span<const float> reference, std::span<const std::int8_t> quantised,
               const ir::Quant& quant);

/// Accumulates signal and noise over several tensors or images before taking the ratio.
class SqnrMeter {
 public:
  void add(std::span<const float> reference, std::span<const std::int8_t> quantised,
           const ir::Quant& quant);
  [[nodiscard]] double db() const;

 private:
  double signal_ = 0, noise_ = 0;
};

}  // namespace espalier::golden
