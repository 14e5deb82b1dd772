#include "automask/net.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ir/weight_mask.hpp"
#include "masks/channels.hpp"
#include "base/integers.hpp"

namespace espalier::automask {
namespace {

using environment::Kind;
using torch::Tensor;

constexpr float kThreshold = 0.5F;  // scores of Kind::kWeights above it stay
constexpr double kBiasUnit = 32;    // steps of the output
constexpr double kLeastFactor = 0.05, kMostFactor = 20;

std::span<const float> values(const Tensor& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}
std::span<float> places(const Tensor& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

/// The gradient in the order of elements that `like` has.
Tensor in_order_of(const Tensor& gradient, const Tensor& like) {
  if (gradient.strides() == like.strides()) return gradient;
  return torch::empty_like(like).copy_(gradient);
}

class Round : public torch::autograd::Function<Round> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, double scale,
                        double low, double high) {
    const Grid grid{static_cast<float>(scale), static_cast<float>(low), static_cast<float>(high)};
    Tensor y;
    if (x.device().is_cpu() && x.is_non_overlapping_and_dense()) {
      y = torch::empty_like(x);
      round_to(grid, values(x), places(y));
    } else {
      y = (x / scale).round().clamp(low, high) * scale;
    }
    context->save_for_backward({y});
    context->saved_data["scale"] = scale;
    context->saved_data["low"] = low;
    context->saved_data["high"] = high;
    return y;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               const torch::autograd::tensor_list& gradients) {
    const Tensor y = context->get_saved_variables()[0];
    const auto number = [&](const char* name) {
      return static_cast<float>(context->saved_data[name].toDouble());
    };
    const Grid grid{number("scale"), number("low"), number("high")};
    Tensor into;
    if (y.device().is_cpu() && y.is_non_overlapping_and_dense()) {
      const Tensor gradient = in_order_of(gradients[0], y);
      into = torch::empty_like(y);
      pass_inside(grid, values(y), values(gradient), places(into));
    } else {
      into = gradients[0] * (y > grid.least()).logical_and(y < grid.most());
    }
    return {into, Tensor(), Tensor(), Tensor()};
  }
};

/// Fills up to the window's pads; where the last windows reach further, that far.
Tensor padded(const Tensor& x, const ir::Window& w, const ir::Shape& y, double fill) {
  const auto after = [](int extent, int stride, int kernel, int dilation, std::int64_t size,
                        int before) {
    return std::int64_t{extent - 1} * stride + std::int64_t{kernel - 1} * dilation + 1 - size -
           before;
  };
  const std::int64_t bottom = after(y.h, w.stride_h, w.kh, w.dilation_h, x.size(2), w.pad_top);
  const std::int64_t right = after(y.w, w.stride_w, w.kw, w.dilation_w, x.size(3), w.pad_left);
  if (w.pad_top == 0 && w.pad_left == 0 && bottom == 0 && right == 0) return x;
  return torch::constant_pad_nd(x, {w.pad_left, right, w.pad_top, bottom}, fill);
}

/// 1 over the pixels that each window of an average counts. Shapes: [H][W] of the output.
Tensor shares(const ir::QuantPool& pool, const ir::Shape& x, const ir::Shape& y) {
  const Tensor share = torch::empty({y.h, y.w});
  auto view = share.accessor<float, 2>();
  for (int oy = 0; oy < y.h; ++oy) {
    for (int ox = 0; ox < y.w; ++ox) {
      view[oy][ox] =
          1.0F / static_cast<float>(ir::pool_count(pool.window, pool.count_include_pad, x, oy, ox));
    }
  }
  return share;
}

}  // namespace

Tensor rounded(const Tensor& x, const Grid& grid) {
  return Round::apply(x, double{grid.scale}, double{grid.low}, double{grid.high});
}

Grid grid_of(const ir::Quant& quant, int low, int high) {
  return {quant.scale, static_cast<float>(low - quant.zero), static_cast<float>(high - quant.zero)};
}

const ir::QuantTensor& Net::tensor(int id) const { return at(graph_->tensors, id); }

Result<Net> Net::build(const ir::QuantGraph& graph, const What& what, torch::Device device) {
  Net net(graph, what, device);
  const ir::Shape& out = net.tensor(graph.output).shape;
  if (out.h != 1 || out.w != 1 || out.c < 2) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("its output is {}x{}x{}; what is trained is a classifier, of 2x1x1 or more",
                    out.c, out.h, out.w),
        graph.name);
  }
  if (!graph.more_inputs.empty())
    return fail(ErrorCode::kUnsupported, "has several inputs", graph.name);
  net.layer_of_.assign(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const ir::QuantOp& op = graph.nodes[n].op;
    if (const auto* conv = std::get_if<ir::QuantConv>(&op)) {
      net.layer_of_[n] = static_cast<int>(net.layers_.size());
      if (const Status s = net.add_layer(n, *conv); !s) return s.error();
      continue;
    }
    const auto* pool = std::get_if<ir::QuantPool>(&op);
    const bool dilated = pool != nullptr && pool->kind == ir::PoolKind::kAverage &&
                         (pool->window.dilation_h != 1 || pool->window.dilation_w != 1);
    if (dilated || (pool == nullptr && !std::holds_alternative<ir::QuantAdd>(op) &&
                    !std::holds_alternative<ir::QuantConcat>(op))) {
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("{}{} is not trained through", dilated ? "dilated " : "", ir::op_name(op)),
          "node '" + graph.nodes[n].name + "'");
    }
  }
  if (what.mask != Kind::kDense && net.scores().empty() && !what.one_shot) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("has no layer to mask: `{}` takes convolutions {}", what.text(),
                    what.mask == Kind::kTwoOfFour ? "of 4 input channels or more, but the first"
                                                  : "that are no copies"),
        graph.name);
  }
  return net;
}

Status Net::add_layer(std::size_t n, const ir::QuantConv& conv) {
  const ir::QuantNode& node = graph_->nodes[n];
  const ir::QuantTensor &x = tensor(node.inputs[0]), &y = tensor(node.output);
  const std::int64_t rows = conv.out_channels, inputs = x.shape.c;
  Layer layer;
  layer.node = n;
  const auto per_row = static_cast<std::size_t>(conv.weights.size()) / index(rows);
  std::vector<float> weights(conv.weights.size()), bias(index(rows));
  for (std::size_t r = 0; r < index(rows); ++r) {
    const double weight_scale = double{conv.scale[r]} * y.quant.scale / x.quant.scale;
    layer.step.push_back(double{x.quant.scale} * weight_scale);
    bias[r] = static_cast<float>(conv.bias[r] * layer.step[r]);
    for (std::size_t i = r * per_row; i < (r + 1) * per_row; ++i)
      weights[i] = static_cast<float>(conv.weights[i] * weight_scale);
  }
  layer.weights =
      torch::tensor(weights).reshape({rows, conv.window.kh, conv.window.kw, inputs}).to(device_);
  layer.bias = torch::tensor(bias).to(device_);
  layer.unit = kBiasUnit * y.quant.scale;
  if (!masks::is_copy(*graph_, node)) {
    const bool whole = y.shape.h == 1 && y.shape.w == 1 && conv.window.kh == x.shape.h &&
                       conv.window.kw == x.shape.w;
    const bool first = node.inputs[0] == graph_->input;
    const bool pairs = inputs >= environment::kGroup && !first && !whole;
    if (what_.mask == Kind::kWeights || (what_.mask == Kind::kTwoOfFour && pairs))
      layer.kind = what_.mask;
    if (layer.kind != Kind::kDense) {
      const Tensor size = layer.weights.abs();
      layer.score = (size / size.mean().clamp_min(1e-30)).detach();
      layer.score.requires_grad_(!what_.one_shot);
    }
    const auto channels = torch::TensorOptions().device(device_).requires_grad(true);
    if (what_.bias) layer.shift = torch::zeros({rows}, channels);
    if (what_.scale) layer.factor = torch::ones({rows}, channels);
  }
  layers_.push_back(std::move(layer));
  return {};
}

Tensor Net::mask(const Layer& layer) const {
  const Tensor scores = layer.score.detach().to(torch::kCPU).contiguous();
  const Tensor mask = torch::empty_like(scores);
  if (layer.kind == Kind::kTwoOfFour) {
    keep_two_of_four(values(scores), index(scores.size(3)), places(mask));
  } else {
    keep_above(values(scores), kThreshold, places(mask));
  }
  return mask.to(device_);
}

Tensor Net::convolve(const ir::QuantNode& node, const ir::QuantConv& conv, const Layer& layer,
                     const Tensor& input) const {
  Tensor weights = layer.weights, bias = layer.bias, x = input;
  if (layer.score.defined()) {
    // The choice, with the gradient of the score: the difference is 0.
    weights = weights * (mask(layer) + (layer.score - layer.score.detach()));
  }
  if (layer.factor.defined()) weights = weights * layer.factor.reshape({-1, 1, 1, 1});
  if (layer.shift.defined()) bias = bias + layer.shift * layer.unit;
  const ir::Window& w = conv.window;
  Tensor border;
  if (!conv.border.empty()) {
    std::vector<float> real;
    const ir::Quant& quant = tensor(node.inputs[0]).quant;
    for (const std::int8_t q : conv.border)
      real.push_back(quant.scale * static_cast<float>(q - quant.zero));
    border = torch::tensor(real).reshape({1, -1, 1, 1}).to(device_);
    x = x - border;
  }
  const bool even = w.pad_top == w.pad_bottom && w.pad_left == w.pad_right && !border.defined();
  std::vector<std::int64_t> pads{0, 0};
  if (even) {
    pads = {w.pad_top, w.pad_left};
  } else {
    x = padded(x, w, tensor(node.output).shape, 0);
  }
  if (border.defined()) x = x + border;
  return torch::conv2d(x, weights.permute({0, 3, 1, 2}), bias, {w.stride_h, w.stride_w}, pads,
                       {w.dilation_h, w.dilation_w});
}

Tensor Net::pool(const ir::QuantNode& node, const ir::QuantPool& pool, const Tensor& x) const {
  const ir::Window& w = pool.window;
  const ir::Shape& y = tensor(node.output).shape;
  if (pool.kind == ir::PoolKind::kMax) {
    const double least = grid_of(tensor(node.inputs[0]).quant).least();
    return torch::max_pool2d(padded(x, w, y, least), {w.kh, w.kw}, {w.stride_h, w.stride_w}, {0, 0},
                             {w.dilation_h, w.dilation_w});
  }
  const Tensor sum = torch::avg_pool2d(padded(x, w, y, 0), {w.kh, w.kw}, {w.stride_h, w.stride_w},
                                       {0, 0}, false, true, 1);
  return sum * shares(pool, tensor(node.inputs[0]).shape, y).to(device_);
}

Tensor Net::forward(const Tensor& input) const {
  std::vector<Tensor> tensors(graph_->tensors.size());
  at(tensors, graph_->input) = rounded(input, grid_of(tensor(graph_->input).quant));
  for (std::size_t n = 0; n < graph_->nodes.size(); ++n) {
    const ir::QuantNode& node = graph_->nodes[n];
    const auto in = [&](std::size_t i) -> const Tensor& { return at(tensors, node.inputs[i]); };
    Tensor y;
    int low = -128, high = 127;
    if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      y = convolve(node, *conv, at(layers_, layer_of_[n]), in(0));
      low = conv->lo;
      high = conv->hi;
    } else if (const auto* add = std::get_if<ir::QuantAdd>(&node.op)) {
      y = node.inputs.size() == 1 ? in(0) : in(0) + in(1);
      low = add->lo;
      high = add->hi;
    } else if (const auto* pooled = std::get_if<ir::QuantPool>(&node.op)) {
      y = pool(node, *pooled, in(0));
      low = pooled->lo;
      high = pooled->hi;
    } else {
      std::vector<Tensor> parts;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(in(i));
      at(tensors, node.output) = torch::cat(parts, 1);
      continue;
    }
    at(tensors, node.output) = rounded(y, grid_of(tensor(node.output).quant, low, high));
  }
  return at(tensors, graph_->output).flatten(1);
}

std::vector<Tensor> Net::scores() const {
  std::vector<Tensor> list;
  for (const Layer& layer : layers_) {
    if (layer.score.defined() && layer.score.requires_grad()) list.push_back(layer.score);
  }
  return list;
}

std::vector<Tensor> Net::others() const {
  std::vector<Tensor> list;
  for (const Layer& layer : layers_) {
    if (layer.shift.defined()) list.push_back(layer.shift);
    if (layer.factor.defined()) list.push_back(layer.factor);
  }
  return list;
}

void Net::bound() {
  const torch::NoGradGuard no_gradients;
  for (Layer& layer : layers_) {
    if (layer.factor.defined()) layer.factor.clamp_(kLeastFactor, kMostFactor);
  }
}

std::string Net::broken() const {
  const torch::NoGradGuard no_gradients;
  for (const Layer& layer : layers_) {
    for (const Tensor& t : {layer.score, layer.shift, layer.factor}) {
      if (t.defined() && !t.isfinite().all().item<bool>()) return graph_->nodes[layer.node].name;
    }
  }
  return {};
}

environment::Environment Net::environment() const {
  const torch::NoGradGuard no_gradients;
  environment::Environment made;
  made.model = graph_->name;
  made.fingerprint = masks::fingerprint(*graph_);
  for (const Layer& layer : layers_) {
    const ir::QuantNode& node = graph_->nodes[layer.node];
    if (masks::is_copy(*graph_, node)) continue;
    const auto& conv = std::get<ir::QuantConv>(node.op);
    environment::Layer out;
    out.name = node.name;
    out.kind = layer.kind;
    out.channels = static_cast<std::uint32_t>(conv.out_channels);
    out.taps = static_cast<std::uint32_t>(conv.window.kh * conv.window.kw);
    out.inputs = static_cast<std::uint32_t>(tensor(node.inputs[0]).shape.c);
    if (layer.kind != Kind::kDense) {
      const Tensor kept = mask(layer).to(torch::kCPU).contiguous();
      out.bits.resize(ir::bit_bytes(out.count()));
      for (std::size_t i = 0; i < out.count(); ++i) {
        if (values(kept)[i] != 0) ir::set_bit(out.bits, i);
      }
    }
    out.bias = conv.bias;
    out.scale = conv.scale;
    if (layer.shift.defined() || layer.factor.defined()) {
      const Tensor shift =
          layer.shift.defined() ? layer.shift.to(torch::kCPU) : torch::zeros({conv.out_channels});
      const Tensor factor =
          layer.factor.defined() ? layer.factor.to(torch::kCPU) : torch::ones({conv.out_channels});
      constexpr double kLargestProduct = 255 * 128;
      const double limit = 2147483647.0 - kLargestProduct * out.taps * out.inputs;
      for (std::size_t r = 0; r < out.channels; ++r) {
        const double by = values(factor)[r];
        const double real = conv.bias[r] * layer.step[r] + layer.unit * double{values(shift)[r]};
        const double whole = std::nearbyint(real / (layer.step[r] * by));
        out.bias[r] = static_cast<std::int32_t>(std::clamp(whole, -limit, limit));
        out.scale[r] = static_cast<float>(conv.scale[r] * by);
      }
    }
    made.layers.push_back(std::move(out));
  }
  return made;
}

}  // namespace espalier::automask
