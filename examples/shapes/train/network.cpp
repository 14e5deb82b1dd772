#include "examples/shapes/train/network.hpp"

#include "examples/shapes/draw.hpp"

namespace espalier::shapes {
namespace {

constexpr double kJitter = 0.1;  ///< of a copied channel's weights, by their deviation

std::vector<float> values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().to(torch::kFloat32).contiguous();
  const float* data = flat.data_ptr<float>();
  return {data, data + flat.numel()};
}

torch::Tensor weights_of(const FoldedConv& layer) {
  return torch::tensor(layer.weights)
      .view({layer.outputs, layer.inputs, layer.kernel, layer.kernel});
}

/// A block's first layer with every output `times` times.
FoldedConv repeat_outputs(FoldedConv layer, std::int64_t times) {
  torch::Tensor weights = weights_of(layer);
  const torch::Tensor noise =
      torch::randn({times * layer.outputs, layer.inputs, layer.kernel, layer.kernel});
  weights = weights.repeat({times, 1, 1, 1}) + kJitter * weights.std() * noise;
  layer.weights = values(weights);
  layer.bias = values(torch::tensor(layer.bias).repeat({times}));
  layer.outputs *= times;
  return layer;
}

/// Its second, whose inputs are these: each copy gets a part of the weight.
FoldedConv share_inputs(FoldedConv layer, std::int64_t times) {
  torch::Tensor parts = 0.5 + torch::rand({times, 1, layer.inputs, 1, 1});
  parts = parts / parts.sum(0, true);
  const torch::Tensor weights = weights_of(layer).unsqueeze(0) * parts;  // [times][out][in]...
  layer.weights = values(weights.permute({1, 0, 2, 3, 4}));
  layer.inputs *= times;
  return layer;
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

void ConvNormImpl::adopt(const FoldedConv& layer, const torch::Tensor& x) {
  const torch::NoGradGuard no_gradients;
  conv_->weight.copy_(weights_of(layer));
  const torch::Tensor sums = conv_(x);
  const torch::Tensor mean = sums.mean({0, 2, 3});
  const torch::Tensor variance = sums.var({0, 2, 3}, false);
  norm_->running_mean.copy_(mean);
  norm_->running_var.copy_(variance);
  norm_->weight.copy_(torch::sqrt(variance + norm_->options.eps()));
  norm_->bias.copy_(mean + torch::tensor(layer.bias));
}

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

ResidualImpl::ResidualImpl(std::int64_t inputs, std::int64_t outputs, std::int64_t stride,
                           std::int64_t widen) {
  const std::int64_t between = widen * outputs;
  first_ = register_module("first", ConvNorm(inputs, between, 3, stride));
  second_ = register_module("second", ConvNorm(between, outputs, 3, 1));
  if (inputs != outputs || stride != 1) {
    shortcut_ = register_module("shortcut", ConvNorm(inputs, outputs, 1, stride));
  }
}

torch::Tensor ResidualImpl::forward(const torch::Tensor& x, double drop) {
  const torch::Tensor between = torch::relu(first_(x));
  const torch::Tensor branch = second_(torch::feature_dropout(between, drop, is_training()));
  return torch::relu(branch + (shortcut_.is_empty() ? x : shortcut_(x)));
}

void ResidualImpl::adopt(const FoldedBlock& block, const torch::Tensor& x) {
  const std::int64_t times = first_->folded().outputs / block.first.outputs;
  first_->adopt(repeat_outputs(block.first, times), x);
  second_->adopt(share_inputs(block.second, times), torch::relu(first_(x)));
  if (block.shortcut) shortcut_->adopt(*block.shortcut, x);
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

NetworkImpl::NetworkImpl(std::int64_t widen) {
  stem_ = register_module("stem", ConvNorm(3, 16, 3, 1));
  blocks_ = {Residual(16, 16, 1, widen), Residual(16, 32, 2, widen), Residual(32, 48, 2, widen)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    register_module("block" + std::to_string(i + 1), blocks_[i]);
  }
  classifier_ = register_module("classifier", torch::nn::Linear(48, kClasses));
}

torch::Tensor NetworkImpl::forward(const torch::Tensor& images, double drop) {
  torch::Tensor x = torch::relu(stem_(images));
  for (Residual& block : blocks_) {
    x = block->forward(x, drop);
  }
  return classifier_(x.mean({2, 3}));
}

void NetworkImpl::adopt(const FoldedNet& net, const torch::Tensor& images) {
  const torch::NoGradGuard no_gradients;
  eval();  // batch norms as adopted
  stem_->adopt(net.stem, images);
  torch::Tensor x = torch::relu(stem_(images));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i]->adopt(net.blocks[i], x);
    x = blocks_[i]->forward(x, 0);
  }
  classifier_->weight.copy_(torch::tensor(net.classifier.weights).view_as(classifier_->weight));
  classifier_->bias.copy_(torch::tensor(net.classifier.bias));
  train();
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
