#pragma once
// How much each channel matters to one user: first-order Taylor scores, measured while images are
// inferred. docs/backward.md has the arithmetic.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "golden/golden.hpp"
#include "personal/backward.hpp"
#include "personal/delayed_scales.hpp"
#include "masks/channels.hpp"
#include "masks/choose.hpp"

namespace espalier::personal {

/// Tensors whose sums make the scores of the classes in scope: outputs of convolutions and residual
/// adds that something other than an add reads. By tensor.
std::vector<bool> scored_tensors(const ir::QuantGraph& graph, const masks::Channels& channels,
                                 masks::Scope scope);

/// The gradient of the cross-entropy over the user's classes at the real logits.
/// Range: label is one of classes; classes are outputs of the graph, which is a vector.
std::vector<double> loss_gradient(const ir::QuantGraph& graph, std::span<const std::int8_t> output,
                                  std::span<const int> classes, int label);

/// The best of these classes; ties go to the earlier.
int best_of(std::span<const std::int8_t> output, std::span<const int> classes);

/// Goes on from the digest of the images before; 0 before the first. It tells whether two
/// measurements saw the same images and labels in the same order.
std::uint64_t digest(std::uint64_t before, std::span<const std::int8_t> input, int label);

/// What a measurement has found so far; enough to go on from.
struct Importance {
  std::vector<double> taylor;      ///< by class of Channels, summed over images
  std::vector<double> activation;  ///< mean magnitude of the real activation, likewise
  std::size_t images = 0;
  std::uint64_t digest = 0;  ///< of these images and the labels as they were given
  DelayedScales scales;
};

/// Finds scales that fit one image's pass, on the golden model; the graph has them afterwards.
/// Shapes: input is the backward graph's.
DelayedScales fit_scales(Backward& backward, std::span<const std::int8_t> input);

/// What runs a measurement's images, forward and backward.
class Passes {
 public:
  virtual ~Passes() = default;
  /// Tensors of the forward graph by id; the output and those of Backward::kept() at least.
  /// Shapes: [C][H][W].
  virtual Result<std::vector<golden::Tensor>> forward(std::span<const std::int8_t> input) = 0;
  /// Tensors of the backward graph by id; the sums and the observed ones at least.
  virtual Result<std::vector<golden::Tensor>> backward(std::span<const std::int8_t> input) = 0;
  /// The backward graph has other multipliers from now on.
  virtual Status rescaled() { return {}; }
  /// Whether forward() and backward() may be called from several threads.
  [[nodiscard]] virtual bool threads() const { return false; }
};

/// Makes one for a forward and a backward graph, which outlive it.
using MakePasses = std::function<Result<std::unique_ptr<Passes>>(const ir::QuantGraph& forward,
                                                                 const Backward& backward)>;
/// On the golden model.
Result<std::unique_ptr<Passes>> golden_passes(const ir::QuantGraph& forward,
                                              const Backward& backward);

/// Measures scores. Refers to the graph and the channels, which must outlive it.
class Meter {
 public:
  /// Scales are brought up to date after so many images; those of one round may run side by side.
  static constexpr std::size_t kRound = 16;

  /// `scored`: by tensor, as scored_tensors(). Errors: those of Backward::make and of `passes`.
  static Result<Meter> make(const ir::QuantGraph& graph, const masks::Channels& channels,
                            const std::vector<bool>& scored, std::vector<int> classes,
                            const MakePasses& passes = golden_passes);
  ~Meter();
  Meter(Meter&&) noexcept;

  /// How many int8 gradients have a scale of their own.
  [[nodiscard]] std::size_t slots() const;

  /// Takes images that lie one after the other, with a label each; -1: the best of the user's
  /// classes that the network sees. `done` is called after each round. The result depends on
  /// neither `threads` (0: every core) nor what runs the images. Rounds are counted from the first
  /// image of `state`. Errors: those of the passes; `state` is then as after the last whole round.
  Status add(std::span<const std::int8_t> inputs, std::span<const int> labels, Importance& state,
             int threads = 0, const std::function<void(std::size_t)>& done = {});

 private:
  struct Impl;
  explicit Meter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::personal
