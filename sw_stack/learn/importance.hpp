#pragma once
// How much each channel matters to one user: first-order Taylor scores, measured while images are
// inferred. docs/backward.md has the arithmetic.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "golden/backward.hpp"
#include "prune/channels.hpp"
#include "prune/choose.hpp"

namespace espalier::learn {

/// Tensors whose sums make the scores of the classes in scope: outputs of convolutions and residual
/// adds that something other than an add reads. By tensor.
std::vector<bool> scored_tensors(const ir::QuantGraph& graph, const prune::Channels& channels,
                                 prune::Scope scope);

/// The gradient of the cross-entropy over the user's classes at the real logits.
/// Range: label is one of classes; classes are outputs of the graph, which is a vector.
std::vector<double> loss_gradient(const ir::QuantGraph& graph, std::span<const std::int8_t> output,
                                  std::span<const int> classes, int label);

/// The best of these classes; ties go to the earlier.
int best_of(std::span<const std::int8_t> output, std::span<const int> classes);

/// Multiply-accumulates of one image's backward pass: those of the convolutions below which a
/// tensor is scored.
std::int64_t backward_macs(const ir::QuantGraph& graph, const std::vector<bool>& scored);

/// Goes on from the digest of the images before; 0 before the first. It tells whether two
/// measurements saw the same images and labels in the same order.
std::uint64_t digest(std::uint64_t before, std::span<const std::int8_t> input, int label);

/// What a measurement has found so far; enough to go on from.
struct Importance {
  std::vector<double> taylor;      ///< by class of Channels, summed over images
  std::vector<double> activation;  ///< mean magnitude of the real activation, likewise
  std::size_t images = 0;
  std::uint64_t digest = 0;  ///< of these images and the labels as they were given
  golden::DelayedScales scales;
};

/// Measures on the golden device. Refers to the graph and the channels, which must outlive it.
class Meter {
 public:
  /// Scales are brought up to date after so many images; those of one round may run side by side.
  static constexpr std::size_t kRound = 16;

  Meter(const ir::QuantGraph& graph, const prune::Channels& channels, prune::Scope scope,
        std::vector<int> classes);
  ~Meter();
  Meter(Meter&&) noexcept;

  /// How many int8 gradients a pass writes.
  [[nodiscard]] std::size_t slots() const;

  /// Takes images that lie one after the other, with a label each; -1: the best of the user's
  /// classes that the network sees. `done` is called after each round. The result does not depend
  /// on `threads` (0: every core). Rounds are counted from the first image of `state`.
  void add(std::span<const std::int8_t> inputs, std::span<const int> labels, Importance& state,
           int threads = 0, const std::function<void(std::size_t)>& done = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::learn
