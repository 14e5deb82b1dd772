#pragma once
// Images in memory, and batches of them, mirrored and moved by chance.

#include <torch/torch.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "environment/environment.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::automask {

/// What chance does to a picture of a batch.
struct Move {
  bool mirrored = false;
  int down = 0, right = 0;  ///< pixels; what comes in is 0
};

class Samples {
 public:
  /// The images of all paths, one after the other, as images::Dataset reads them, for the graph's
  /// input; at most `count`. Errors: those of images::Dataset; with `labels` kUsage where a path
  /// has none, kRange for one that is no output of the network; kMismatch where some are pixels and
  /// others float values.
  static Result<Samples> load(const std::vector<std::string>& paths, const ir::QuantGraph& graph,
                              bool labels, std::uint64_t count);

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(pixels_.size(0)); }
  /// Network inputs in real values. Shapes: list of B images; moves B or none; [B][C][H][W].
  [[nodiscard]] torch::Tensor inputs(const std::vector<std::size_t>& list,
                                     const std::vector<Move>& moves) const;
  /// Shapes: [B]. Range: loaded with labels.
  [[nodiscard]] torch::Tensor labels(const std::vector<std::size_t>& list) const;
  /// Image i as the machine's input.
  [[nodiscard]] std::vector<std::int8_t> stored(std::size_t i) const;
  [[nodiscard]] int label(std::size_t i) const { return labels_[i]; }
  /// A hash of all images and labels.
  [[nodiscard]] std::uint64_t digest() const;
  /// Of the first `count` images.
  [[nodiscard]] environment::Pictures statistics(std::size_t count) const;

 private:
  explicit Samples(const ir::QuantGraph& graph) : graph_(&graph) {}

  const ir::QuantGraph* graph_;
  torch::Tensor pixels_;  ///< [N][C][H][W], uint8, or float32 network inputs
  std::vector<int> labels_;
};

/// A number drawn from 0 .. count - 1.
std::size_t draw(std::mt19937_64& random, std::size_t count);

}  // namespace espalier::automask
