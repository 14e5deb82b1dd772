#pragma once
// Quantised graphs for tests: a builder, random graphs, and the usual networks with random weights.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::tests {

/// Builds a graph node by node; every method returns the id of the tensor that it makes.
class GraphBuilder {
 public:
  explicit GraphBuilder(std::uint64_t seed) : random_(seed) {}

  int input(int c, int h, int w);
  /// Weights, bias and clamp are random; the scale keeps most outputs inside int8.
  int conv(int x, int channels, const ir::Window& window);
  int conv(int x, int channels, int kernel, int stride = 1);  ///< padded by kernel / 2
  int add(int a, int b);
  /// The tensor in another scale: the residual adder with one input.
  int rescale(int x, const ir::Quant& quant);
  int pool(int x, ir::PoolKind kind, const ir::Window& window, bool include_pad = false,
           bool ceil = false);
  int global_average(int x);
  int concat(const std::vector<int>& parts);
  ir::QuantGraph finish(int output);

  /// All tensors to come take one of these many scales: tensors of one scale can be concatenated.
  void share_quants(int count);
  [[nodiscard]] const ir::Quant& quant(int tensor) const {
    return graph_.tensors[static_cast<std::size_t>(tensor)].quant;
  }
  [[nodiscard]] const ir::Shape& shape(int tensor) const {
    return graph_.tensors[static_cast<std::size_t>(tensor)].shape;
  }
  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(random_) < p; }

 private:
  int tensor(const ir::Shape& shape, const ir::Quant& quant);
  ir::Quant random_quant();
  void node(std::vector<int> inputs, int output, ir::QuantOp op);

  std::mt19937_64 random_;
  ir::QuantGraph graph_;
  std::vector<ir::Quant> palette_;
};

/// What random_graph() makes of a seed.
struct GraphLimits {
  int max_nodes = 10;
  int max_extent = 20;
  int max_channels = 40;
};
ir::QuantGraph random_graph(std::uint64_t seed, const GraphLimits& limits = {});

/// Whether a tensor stays in memory until it has been read: the output, and what a node reads. A
/// concatenation that nothing reads is never there, nor are its parts, though it names them.
bool is_read(const ir::QuantGraph& graph, int tensor);

/// Multipliers become those that follow from the scales of tensors and weights, as other runtimes
/// compute them.
void derive_multipliers(ir::QuantGraph& graph);

/// ResNet for CIFAR with 6n + 2 layers.
ir::QuantGraph cifar_resnet(int n);
/// So many convolutions and pools of few channels, some of them in blocks with a residual add.
ir::QuantGraph deep_graph(int layers);
/// MLPerf Tiny's ResNet-8.
ir::QuantGraph resnet8();
ir::QuantGraph resnet50(int size = 224);
/// Inception-V3 without the auxiliary head.
ir::QuantGraph inception_v3(int size = 299);

/// A random image for the graph.
std::vector<std::int8_t> random_image(const ir::QuantGraph& graph, std::uint64_t seed);

}  // namespace espalier::tests
