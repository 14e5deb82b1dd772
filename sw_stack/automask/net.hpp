#pragma once
// A quantised graph as a LibTorch network whose weights are frozen: what is trained is which of
// them stay, and a bias and a scale for each output channel.

#include <torch/torch.h>

#include <string>
#include <vector>

#include "automask/kernels.hpp"
#include "automask/what.hpp"
#include "environment/environment.hpp"
#include "ir/graph.hpp"

namespace espalier::automask {

class Net {
 public:
  /// Errors: kUnsupported (an operator that is not trained through, an output that is no vector of
  /// classes, nothing to mask), with the node. `graph` is verified and must outlive the net.
  static Result<Net> build(const ir::QuantGraph& graph, const What& what, torch::Device device);

  /// The network's outputs in real values. Shapes: x real inputs [B][C][H][W]; result [B][classes].
  [[nodiscard]] torch::Tensor forward(const torch::Tensor& x) const;

  /// What Adam moves: scores of masks, and the rest.
  [[nodiscard]] std::vector<torch::Tensor> scores() const;
  [[nodiscard]] std::vector<torch::Tensor> others() const;
  /// Keeps scales positive, after a step.
  void bound();
  /// The first layer with a parameter that is no finite number, or nothing.
  [[nodiscard]] std::string broken() const;

  /// What was trained, in the machine's numbers; without pictures.
  [[nodiscard]] environment::Environment environment() const;

 private:
  struct Layer {
    std::size_t node = 0;
    environment::Kind kind = environment::Kind::kDense;
    torch::Tensor weights;               ///< real, [N][KH][KW][C]
    torch::Tensor bias;                  ///< real, [N]
    std::vector<double> step;            ///< by channel: what 1 of the int32 sum is worth
    double unit = 1;                     ///< what 1 of `shift` is worth
    torch::Tensor score, shift, factor;  ///< trained; undefined where they are not
  };

  Net(const ir::QuantGraph& graph, const What& what, torch::Device device)
      : graph_(&graph), what_(what), device_(device) {}
  Status add_layer(std::size_t node, const ir::QuantConv& conv);
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const;
  [[nodiscard]] torch::Tensor mask(const Layer& layer) const;
  [[nodiscard]] torch::Tensor convolve(const ir::QuantNode& node, const ir::QuantConv& conv,
                                       const Layer& layer, const torch::Tensor& x) const;
  [[nodiscard]] torch::Tensor pool(const ir::QuantNode& node, const ir::QuantPool& pool,
                                   const torch::Tensor& x) const;

  const ir::QuantGraph* graph_;
  What what_;
  torch::Device device_;
  std::vector<Layer> layers_;  ///< one a convolution
  std::vector<int> layer_of_;  ///< by node; -1: no convolution
};

/// Values rounded to a grid, with the gradient passed through where they lie inside.
torch::Tensor rounded(const torch::Tensor& x, const Grid& grid);
/// The grid of a tensor that is cut off at low and high.
Grid grid_of(const ir::Quant& quant, int low = -128, int high = 127);

}  // namespace espalier::automask
