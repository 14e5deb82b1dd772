#pragma once
// The backward pass that channel importance needs: int8 gradients of activations, none of weights.
// docs/backward.md is the definition.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "golden/golden.hpp"
#include "ir/graph.hpp"

namespace espalier::golden {

/// One image's backward pass. Real gradients are in units of the output gradient's scale.
struct BackwardPass {
  /// By scored tensor (empty for others) and channel: the sum over pixels of (a - zero) x gradient.
  std::vector<std::vector<std::int64_t>> sums;
  std::vector<float> scales;         ///< by slot: what its gradients were quantised with
  std::vector<std::int32_t> maxima;  ///< by slot: largest |integer| before it was clamped
  std::vector<Tensor> gradients;     ///< by slot; only where they were asked for
};

/// A gradient as the host hands it over: real = scale x value / output_fold of its channel.
struct OutputGradient {
  Tensor values;
  double scale = 0;
};

/// A graph made ready for backward passes. Refers to the graph, which must outlive it and has
/// passed ir::verify. Const calls may come from several threads.
class Backward {
 public:
  /// `scored`: by tensor, whether its sums are wanted. Nothing below the lowest of them is
  /// computed.
  Backward(const ir::QuantGraph& graph, std::vector<bool> scored);
  ~Backward();
  Backward(Backward&&) noexcept;
  Backward& operator=(Backward&&) noexcept;

  /// How many int8 gradients a pass writes, each with a scale of its own.
  [[nodiscard]] std::size_t slots() const;

  /// Quantises the loss's gradient at the output: the largest magnitude becomes 127.
  /// Shapes: one value an element of the output.
  [[nodiscard]] OutputGradient quantise_output(std::span<const double> gradient) const;

  /// `tensors` are golden::Runner::run's. `scales` has one value a slot, finite and positive; or
  /// is empty, and each slot takes the one that fits its own largest gradient.
  [[nodiscard]] BackwardPass run(std::span<const Tensor> tensors, const Tensor& output_gradient,
                                 std::span<const float> scales = {},
                                 bool keep_gradients = false) const;

  /// What one unit of sums[tensor][channel] is worth. Range: the tensor is scored and has sums.
  [[nodiscard]] double unit(const BackwardPass& pass, int tensor, std::size_t channel) const;

  /// The slot in which a scored tensor's gradient is; -1 where it has none.
  [[nodiscard]] int slot_of(int tensor) const;
  /// What a channel of a tensor's gradient in that slot was multiplied by: in (0, 1].
  [[nodiscard]] float fold_of(int tensor, std::size_t channel) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Delayed scales: those of the next images follow from the maxima of the last ones.
class DelayedScales {
 public:
  static constexpr std::size_t kWindow = 64;   ///< images
  static constexpr double kFullScale = 120.0;  ///< the window's largest gradient becomes this

  /// Empty before the first image.
  [[nodiscard]] const std::vector<float>& scales() const { return scales_; }
  /// Takes over the scales of a first pass.
  void start(const BackwardPass& pass);
  /// Notes an image; scales() stay until update().
  void note(const BackwardPass& pass);
  void update();

  /// All of it, for files that a measurement resumes from: the window's real maxima, oldest first.
  [[nodiscard]] const std::vector<std::vector<double>>& window() const { return window_; }
  void restore(std::vector<float> scales, std::vector<std::vector<double>> window);

 private:
  std::vector<float> scales_;
  std::vector<std::vector<double>> window_;
};

}  // namespace espalier::golden
