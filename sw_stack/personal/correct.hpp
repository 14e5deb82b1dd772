#pragma once
// Closed-form corrections of a pruned graph, from forward passes over the user's images: no labels,
// no training. docs/personalise.md has the formulas.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "masks/prune.hpp"
#include "base/result.hpp"

namespace espalier::personal {

/// How far to correct.
enum class Correction {
  kNone,
  kFold,  ///< removed channels are regressed on those that stay, and folded into their readers
  kAll,   ///< and means, variances and the last layer are fitted to the generic model's
};
/// none, fold or all.
constexpr std::string_view name(Correction level) {
  constexpr std::string_view kNames[] = {"none", "fold", "all"};
  return kNames[static_cast<std::size_t>(level)];
}

/// Mean and variance of a convolution's sums before they are requantised, by output channel.
/// Units: real.
struct Spread {
  std::vector<double> mean, variance;
};

/// What the generic model does on a user's images. It does not depend on any mask.
struct Reference {
  /// By tensor that a convolution reads: sums over pixels and images of v v^T, where v is
  /// (a - zero) of every channel and then 1. Shapes: [C + 1][C + 1]. Exact.
  std::vector<std::vector<double>> moments;
  std::vector<Spread> spread;               ///< by node; empty but for convolutions
  std::vector<std::vector<double>> logits;  ///< by image, by output: real
  /// Every tensor of the first images, as many as memory is spent on. By image, by tensor.
  std::vector<std::vector<std::vector<std::int8_t>>> tensors;
};

/// Runs the images, which lie one after the other. The result does not depend on `threads` (0:
/// every core).
Reference measure_reference(const ir::QuantGraph& graph, std::span<const std::int8_t> inputs,
                            int threads = 0);

/// The graph with only the outputs of these classes, in their order, where a convolution makes its
/// output; otherwise as it is.
ir::QuantGraph keep_outputs(ir::QuantGraph graph, std::span<const int> classes);

/// The pruned graph with corrected weights, scales and biases, all its outputs. `pruned` is that of
/// `graph` and `mask` (by tensor of graph), `reference` that of `graph` on `inputs`.
/// Errors: those of ir::verify.
Result<ir::QuantGraph> correct(const ir::QuantGraph& graph, const masks::Pruned& pruned,
                               const ir::ChannelMask& mask, const Reference& reference,
                               std::span<const std::int8_t> inputs, std::span<const int> classes,
                               Correction level, int threads = 0);

}  // namespace espalier::personal
