#pragma once
// The golden model: whole layers of a quantised graph in exact integer arithmetic. It knows
// neither the instruction set nor the compiler. Graphs must have passed ir::verify.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::golden {

/// One activation tensor. Shapes: [C][H][W].
using Tensor = std::vector<std::int8_t>;

/// Runs one image and returns every tensor, by tensor id.
/// Shapes: input is graph.tensors[graph.input].shape, [C][H][W]; then those of more_inputs.
std::vector<std::vector<std::int8_t>> run(const ir::QuantGraph& graph,
                                          std::span<const std::int8_t> input);

/// Runs one node on the given inputs, in the order of node.inputs, and returns its output.
Tensor run_node(const ir::QuantGraph& graph, const ir::QuantNode& node,
                std::span<const Tensor> inputs);

/// The graph's output for many images that lie one after the other: one output after the other.
/// threads = 0 takes every core.
std::vector<std::int8_t> run_batch(const ir::QuantGraph& graph, std::span<const std::int8_t> inputs,
                                   int threads = 0);

/// A graph with its weights made ready, for callers that run many images. It holds what it needs of
/// the graph: changes of that later are not seen. Const calls may come from several threads.
///
/// With a mask, channels that are absent hold their tensor's zero point in every result, so that
/// whatever reads them takes nothing from them. The mask is one of prune/: tensors that an add, a
/// pool or a concatenation joins agree, the input and the output have all channels.
class Runner {
 public:
  explicit Runner(const ir::QuantGraph& graph, ir::ChannelMask mask = {});
  ~Runner();
  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;

  /// Takes the scales and multipliers of `graph`, which is the one that it was made of in all else.
  void rescale(const ir::QuantGraph& graph);

  /// As golden::run.
  [[nodiscard]] std::vector<Tensor> run(std::span<const std::int8_t> input) const;
  /// As golden::run_batch.
  [[nodiscard]] std::vector<std::int8_t> run_batch(std::span<const std::int8_t> inputs,
                                                   int threads = 0) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::golden
