#pragma once
// The backward pass that channel importance needs, as a quantised graph: int8 gradients of
// activations, none of weights. Golden runs it and the compiler compiles it like any other.
// docs/backward.md is the definition.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::personal {

/// The output's gradient as the host hands it over: real = scale x value.
struct OutputGradient {
  std::vector<std::int8_t> values;
  double scale = 0;
};

class Backward {
 public:
  /// A scored tensor.
  struct Score {
    int activation = -1;  ///< of the forward graph
    int gradient = -1;    ///< of graph()
    int sums = -1;        ///< of graph(): C x 1 x 4, the bytes of an int32 a channel
    double scale = 1;     ///< the activation's
  };

  /// `scored`: by tensor of the forward graph, whether its sums are wanted. Nothing below the
  /// lowest of them is computed. The forward graph has passed ir::verify. Errors: kUnsupported
  /// where no scored tensor gets a gradient, or what ir::verify complains of.
  static Result<Backward> make(const ir::QuantGraph& forward, const std::vector<bool>& scored);

  /// Its input is the output's gradient; its further inputs are the activations of kept().
  [[nodiscard]] const ir::QuantGraph& graph() const { return graph_; }
  /// Tensors of the forward graph that are read again, in the order of graph().more_inputs.
  [[nodiscard]] const std::vector<int>& kept() const { return kept_; }
  [[nodiscard]] const std::vector<Score>& scores() const { return scores_; }

  /// How many gradients have a scale of their own. Slot 0 is the output's, whose scale is 1: all
  /// others are relative to it.
  [[nodiscard]] std::size_t slots() const { return observed_.size(); }
  /// Writes scales into the graph; one a slot, finite and positive, that of slot 0 being 1.
  void set_scales(std::span<const float> scales);
  [[nodiscard]] const std::vector<float>& scales() const { return scales_; }
  /// Scales to begin with, before any image was seen.
  [[nodiscard]] std::vector<float> first_scales() const;
  /// The tensor of graph() whose magnitudes a slot's scale follows.
  [[nodiscard]] int observed(std::size_t slot) const { return observed_[slot]; }
  /// The largest magnitudes of these, by slot. Shapes: tensors of graph() by id.
  [[nodiscard]] std::vector<int> maxima(std::span<const std::vector<std::int8_t>> tensors) const;

  /// Quantises the loss's gradient at the output: the largest magnitude becomes 127.
  /// Shapes: one value an element of the output.
  [[nodiscard]] static OutputGradient quantise_output(std::span<const double> gradient);

  /// What one unit of a score's sums is worth.
  [[nodiscard]] double unit(const Score& score) const;
  /// A channel's sum from its bytes. Shapes: sums C x 1 x 4.
  static std::int32_t sum(std::span<const std::int8_t> sums, std::size_t channel);

 private:
  friend class BackwardBuilder;
  /// A node whose multipliers depend on scales: real value of 1 of each output channel's sums, in
  /// units of its input's scale (convolutions); or of both inputs (adds).
  struct Scaled {
    std::size_t node = 0;
    std::vector<double> units;
  };
  /// Of a tensor of graph(): real value = scale of the slot x factor x value; -1: no gradient.
  struct Value {
    int slot = -1;
    double factor = 1;
  };
  [[nodiscard]] double real(int tensor) const;

  ir::QuantGraph graph_;
  std::vector<int> kept_;
  std::vector<Score> scores_;
  std::vector<Scaled> scaled_;
  std::vector<Value> values_;  ///< by tensor
  std::vector<int> observed_;  ///< by slot
  std::vector<float> scales_;  ///< by slot
};

}  // namespace espalier::personal
