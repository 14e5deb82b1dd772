#include "examples/shapes/train/network.hpp"

#include "examples/shapes/draw.hpp"

namespace espalier::shapes {
namespace {

std::vector<float> values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().to(torch::kFloat32).contiguous();
  const float* data = flat.data_ptr<float>();
  return {data, data + flat.numel()};
}

}  // namespace

ConvNormImpl::ConvNormImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel,
                           std::int64_t stride) {
  const auto options =
      torch::nn::Conv2dOptions(inputs, outputs, kernel).stride(stride).padding(kernel / 2);
  conv_ = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(options).bias(false)));
  norm_ = register_module("norm", torch::nn::BatchNorm2d(outputs));
  torch::nn::init::kaiming_normal_(conv_->weight, 0.0, torch::kFanOut, torch::kReLU);
}

torch::Tensor ConvNormImpl::forward(const torch::Tensor& x) { return norm_(conv_(x)); }

FoldedConv ConvNormImpl::folded() const {
  const torch::Tensor mean = norm_->running_mean.to(torch::kFloat64);
  const torch::Tensor variance = norm_->running_var.to(torch::kFloat64);
  const torch::Tensor gain = norm_->weight / torch::sqrt(variance + norm_->options.eps());
  FoldedConv layer;
  layer.inputs = conv_->options.in_channels();
  layer.outputs = conv_->options.out_channels();
  layer.kernel = conv_->options.kernel_size()->at(0);
  layer.stride = conv_->options.stride()->at(0);
  layer.weights = values(conv_->weight * gain.view({-1, 1, 1, 1}));
  layer.bias = values(norm_->bias - mean * gain);
  return layer;
}

ResidualImpl::ResidualImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t stride) {
  first_ = register_module("first", ConvNorm(inputs, outputs, 3, stride));
  second_ = register_module("second", ConvNorm(outputs, outputs, 3, 1));
  if (inputs != outputs || stride != 1) {
    shortcut_ = register_module("shortcut", ConvNorm(inputs, outputs, 1, stride));
  }
}

torch::Tensor ResidualImpl::forward(const torch::Tensor& x) {
  const torch::Tensor branch = second_(torch::relu(first_(x)));
  return torch::relu(branch + (shortcut_.is_empty() ? x : shortcut_(x)));
}

FoldedBlock ResidualImpl::folded() const {
  FoldedBlock block;
  block.first = first_->folded();
  block.second = second_->folded();
  if (!shortcut_.is_empty()) {
    block.shortcut = shortcut_->folded();
  }
  return block;
}

NetworkImpl::NetworkImpl() {
  stem_ = register_module("stem", ConvNorm(3, 16, 3, 1));
  blocks_ = {Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 48, 2)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    register_module("block" + std::to_string(i + 1), blocks_[i]);
  }
  classifier_ = register_module("classifier", torch::nn::Linear(48, kClasses));
}

torch::Tensor NetworkImpl::forward(const torch::Tensor& images) {
  torch::Tensor x = torch::relu(stem_(images));
  for (Residual& block : blocks_) {
    x = block(x);
  }
  return classifier_(x.mean({2, 3}));
}

FoldedNet NetworkImpl::folded() const {
  FoldedNet net;
  net.stem = stem_->folded();
  for (const Residual& block : blocks_) {
    net.blocks.push_back(block->folded());
  }
  net.classifier.inputs = classifier_->options.in_features();
  net.classifier.outputs = classifier_->options.out_features();
  net.classifier.weights = values(classifier_->weight);
  net.classifier.bias = values(classifier_->bias);
  return net;
}

}  // namespace espalier::shapes
