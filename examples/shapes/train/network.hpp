#pragma once
// The demo's small residual network, in LibTorch.

#include <torch/torch.h>

#include <string>
#include <vector>

#include "examples/shapes/train/folded.hpp"

namespace espalier::shapes {

/// A convolution without bias, then batch norm. A layer of another network is taken over by
/// adopt(), so that it does to `x` what it did there.
class ConvNormImpl : public torch::nn::Module {
 public:
  ConvNormImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride);
  torch::Tensor forward(const torch::Tensor& x);
  [[nodiscard]] FoldedConv folded() const;
  void adopt(const FoldedConv& layer, const torch::Tensor& x);

 private:
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
};
TORCH_MODULE(ConvNorm);

/// Two 3 x 3 convolutions around a shortcut, which is 1 x 1 where the shape changes. Between them
/// are `widen` times as many channels as leave the block.
class ResidualImpl : public torch::nn::Module {
 public:
  ResidualImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t stride, std::int64_t widen);
  /// In training each channel between the convolutions is left out with probability `drop`, for
  /// each image anew.
  torch::Tensor forward(const torch::Tensor& x, double drop);
  [[nodiscard]] FoldedBlock folded() const;
  /// Takes over a block whose inner channels are as many or fewer by a whole factor: each is then
  /// there several times, a little changed, with a part of its weight (Chen, Goodfellow, Shlens,
  /// Net2Net, 2016).
  void adopt(const FoldedBlock& block, const torch::Tensor& x);

 private:
  ConvNorm first_{nullptr};
  ConvNorm second_{nullptr};
  ConvNorm shortcut_{nullptr};
};
TORCH_MODULE(Residual);

/// Stem of 16 channels, residual blocks of 16, 32 and 48, global average, ten logits.
class NetworkImpl : public torch::nn::Module {
 public:
  explicit NetworkImpl(std::int64_t widen);
  /// `drop`: see Residual. Shapes: [n, 3, 32, 32] to [n, 10].
  torch::Tensor forward(const torch::Tensor& images, double drop = 0);
  [[nodiscard]] FoldedNet folded() const;
  /// Begins with another network, which has as many blocks; `images` to measure batch norms on.
  void adopt(const FoldedNet& net, const torch::Tensor& images);

 private:
  ConvNorm stem_{nullptr};
  std::vector<Residual> blocks_;
  torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(Network);

}  // namespace espalier::shapes
