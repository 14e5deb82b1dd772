#pragma once
// The demo's small residual network, in LibTorch.

#include <torch/torch.h>

#include <string>
#include <vector>

#include "examples/shapes/train/folded.hpp"

namespace espalier::shapes {

/// A convolution without bias, then batch norm.
class ConvNormImpl : public torch::nn::Module {
 public:
  ConvNormImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride);
  torch::Tensor forward(const torch::Tensor& x);
  [[nodiscard]] FoldedConv folded() const;

 private:
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
};
TORCH_MODULE(ConvNorm);

/// Two 3 x 3 convolutions around a shortcut, which is 1 x 1 where the shape changes.
class ResidualImpl : public torch::nn::Module {
 public:
  ResidualImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t stride);
  torch::Tensor forward(const torch::Tensor& x);
  [[nodiscard]] FoldedBlock folded() const;

 private:
  ConvNorm first_{nullptr};
  ConvNorm second_{nullptr};
  ConvNorm shortcut_{nullptr};
};
TORCH_MODULE(Residual);

/// Stem of 16 channels, residual blocks of 16, 32 and 48, global average, ten logits.
class NetworkImpl : public torch::nn::Module {
 public:
  NetworkImpl();
  torch::Tensor forward(const torch::Tensor& images);  ///< Shapes: [n, 3, 32, 32] to [n, 10].
  [[nodiscard]] FoldedNet folded() const;

 private:
  ConvNorm stem_{nullptr};
  std::vector<Residual> blocks_;
  torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(Network);

}  // namespace espalier::shapes
