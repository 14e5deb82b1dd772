// The handlers of TensorFlow Lite's operators, for float and for quantised models.

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "import/tflite/importer.hpp"

namespace espalier::import_ {
namespace {

/// Weights [N][kh][kw][C]: real(n, at) for those that are stored at `at`.
template <typename Real>
std::vector<float> dense(const WeightLayout& layout, const Real& real) {
  std::vector<float> weights;
  weights.reserve(static_cast<std::size_t>(layout.dense_count()));
  for (int n = 0; n < layout.outputs; ++n) {
    for (int tap = 0; tap < layout.kh * layout.kw; ++tap) {
      for (int c = 0; c < layout.channels; ++c) {
        const std::int64_t at = layout.at(n, tap, c);
        weights.push_back(at < 0 ? 0.0F : real(n, at));
      }
    }
  }
  return weights;
}

/// Scales and zero points of stored weights: one, or one an output channel.
Status check_scales(const LiteOp& op, const LiteTensor& w, const WeightLayout& layout) {
  if (!w.quantised()) return op.unsupported(fmt::format("weights '{}' are not int8", w.name));
  const auto outputs = static_cast<std::size_t>(layout.outputs);
  const bool per_channel = w.scale.size() > 1;
  const int axis = layout.depthwise ? 3 : 0;
  if ((per_channel && (w.scale.size() != outputs || w.quantised_axis != axis)) ||
      (w.zero.size() > 1 && w.zero.size() != outputs)) {
    return op.unsupported(fmt::format("weights '{}' have {} scales on axis {} for {} channels",
                                      w.name, w.scale.size(), w.quantised_axis, outputs));
  }
  for (const float scale : w.scale) {
    if (!std::isnormal(scale) || scale < 0)
      return op.fail(ErrorCode::kRange, fmt::format("weights '{}' have scale {}", w.name, scale));
  }
  for (const std::int64_t zero : w.zero) {
    if (zero < -128 || zero > 255)
      return op.fail(ErrorCode::kRange, fmt::format("weights have zero point {}", zero));
  }
  return {};
}

}  // namespace

Result<std::vector<float>> LiteImporter::weights(const LiteOp& op, const WeightLayout& layout,
                                                 StoredDense& stored) const {
  if (!quantised_) {
    const auto values = reals(op, 1);
    if (!values) return values.error();
    return dense(layout,
                 [&](int, std::int64_t at) { return (*values)[static_cast<std::size_t>(at)]; });
  }
  const LiteTensor& w = lite_.tensors[op.inputs[1]];
  if (const Status status = check_scales(op, w, layout); !status) return status.error();
  stored.scale = w.scale;
  stored.zero = w.zero[0];
  std::optional<std::int64_t> beyond;
  auto weights = dense(layout, [&](int n, std::int64_t at) {
    const auto index = static_cast<std::size_t>(n);
    const std::int64_t zero = one_of(w.zero, index), step = w.stored(at) - zero;
    if (step < -128 || step > 127) beyond = zero;
    return static_cast<float>(step) * one_of(w.scale, index);
  });
  if (!beyond) return weights;
  return op.unsupported(
      fmt::format("weights '{}' have zero point {}, which leaves int8", w.name, *beyond));
}

Status LiteImporter::bias(const LiteOp& op, ir::FloatConv& conv, StoredDense& stored) const {
  const auto outputs = static_cast<std::size_t>(conv.out_channels);
  conv.bias.assign(outputs, 0.0F);
  if (op.inputs.size() < 3 || op.inputs[2] < 0) return {};
  if (!quantised_) {
    auto values = reals(op, 2);
    if (!values) return values.error();
    if (values->size() == outputs) {
      conv.bias = std::move(*values);
      return {};
    }
    return op.fail(ErrorCode::kShape,
                   fmt::format("has {} biases for {} channels", values->size(), outputs));
  }
  // In steps of the products, whatever scale it has: the kernels add it to them.
  const auto tensor = lite_.constant_of(op, 2);
  if (!tensor) return tensor.error();
  if ((*tensor)->type != lite::TensorType_INT32 || (*tensor)->data.size() != 4 * outputs) {
    return op.fail(ErrorCode::kShape,
                   fmt::format("bias '{}' is not {} int32", (*tensor)->name, outputs));
  }
  auto steps = lite_.integers_of(op, 2);
  if (!steps) return steps.error();
  stored.bias = std::move(*steps);
  return {};
}

Status LiteImporter::conv(const LiteOp& op) {
  const bool fc = op.code == lite::BuiltinOperator_FULLY_CONNECTED;
  const auto x = fc ? value(op, 0) : image(op, 0);
  if (!x) return x.error();
  const auto tensor = lite_.constant_of(op, 1);
  if (!tensor) return tensor.error();
  const ir::Shape in = work_.shape(*x);
  const auto layout = weight_layout(op, **tensor, in);
  if (!layout) return layout.error();
  LiteOp plain = op;
  if (fc) plain.padding = lite::Padding_VALID;
  const auto window = lite_window(plain, in, layout->kh, layout->kw);
  if (!window) return window.error();
  StoredDense stored;
  auto values = weights(op, *layout, stored);
  if (!values) return values.error();
  ir::FloatConv conv;
  conv.window = window->window;
  conv.out_channels = layout->outputs;
  conv.reads = layout->reads();
  conv.weights = std::move(*values);
  if (const Status status = bias(op, conv, stored); !status) return status;
  const int made = add_node(op, std::move(conv), {*x}, {layout->outputs, window->h, window->w});
  if (quantised_) constants_[made] = std::move(stored);
  return activate(op, made, op.activation);
}

Status LiteImporter::add(const LiteOp& op) {
  const auto a = image(op, 0);
  if (!a) return a.error();
  const auto b = image(op, 1);
  if (!b) return b.error();
  if (!(work_.shape(*a) == work_.shape(*b))) {
    return op.unsupported("adds tensors of different shapes");
  }
  return emit(op, ir::FloatAdd{}, {*a, *b}, work_.shape(*a));
}

Status LiteImporter::pool(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const ir::Shape in = work_.shape(*x);
  const auto window = lite_window(op, in, op.filter_h, op.filter_w);
  if (!window) return window.error();
  ir::FloatPool pool;
  pool.kind =
      op.code == lite::BuiltinOperator_MAX_POOL_2D ? ir::PoolKind::kMax : ir::PoolKind::kAverage;
  pool.window = window->window;
  return emit(op, std::move(pool), {*x}, {in.c, window->h, window->w});
}

Status LiteImporter::mean(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto axes = lite_mean(lite_, op);
  if (!axes) return axes.error();
  const ir::Shape in = work_.shape(*x);
  ir::FloatPool pool;
  pool.kind = ir::PoolKind::kAverage;
  pool.window.kh = pool.window.stride_h = axes->rows ? in.h : 1;
  pool.window.kw = pool.window.stride_w = axes->columns ? in.w : 1;
  const ir::Shape out{in.c, in.h / pool.window.kh, in.w / pool.window.kw};
  return emit(op, std::move(pool), {*x}, out);
}

Status LiteImporter::concat(const LiteOp& op) {
  if (quantised_ && op.activation != lite::Activation_NONE)
    return op.unsupported("has an activation function");
  const auto rank = static_cast<int>(lite_.tensors[op.outputs[0]].dims.size());
  if (op.axis != -1 && op.axis != rank - 1) {
    return op.unsupported(
        fmt::format("joins axis {} of {}; only channels are supported", op.axis, rank));
  }
  std::vector<int> inputs;
  ir::Shape shape;
  std::int64_t channels = 0;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const auto x = image(op, i);
    if (!x) return x.error();
    shape = work_.shape(*x);
    channels += shape.c;
    if (!quantised_) {
      inputs.push_back(*x);
      continue;
    }
    const auto quant = quant_of(op, output_tensor(op));  // which all inputs are brought to
    if (!quant) return quant.error();
    inputs.push_back(stored(op, *x, op.inputs[i], *quant));
  }
  if (inputs.empty() || channels > kMaxExtent) {
    return op.fail(ErrorCode::kRange,
                   fmt::format("makes {} channels; the limits are 1 and {}", channels, kMaxExtent));
  }
  if (inputs.size() == 1) return activate(op, inputs[0], op.activation);
  shape.c = static_cast<int>(channels);
  return emit(op, ir::FloatConcat{}, std::move(inputs), shape);
}

Status LiteImporter::pad(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto pad = lite_pad(lite_, op);
  if (!pad) return pad.error();
  if (op.code == lite::BuiltinOperator_PADV2) {
    const auto filling = reals(op, 2);
    if (!filling) return filling.error();
    if (filling->size() != 1 || (*filling)[0] != 0) {
      return op.unsupported("pads with a value that is not zero");
    }
  }
  int tensor = *x;
  ir::Shape shape = work_.shape(tensor);
  const Border& border = pad->border;
  const bool around = border.top + border.left + border.bottom + border.right != 0;
  if (pad->channels_before + pad->channels_after != 0) {
    Select select = whole(shape);
    shape.c += pad->channels_before + pad->channels_after;
    if (shape.c > kMaxExtent || shape.count() > kMaxActivation) {
      return op.fail(ErrorCode::kRange,
                     fmt::format("makes {} channels; the limit is {}", shape.c, kMaxExtent));
    }
    select.source.insert(select.source.begin(), static_cast<std::size_t>(pad->channels_before), -1);
    select.source.resize(static_cast<std::size_t>(shape.c), -1);
    if (!around) return emit(op, std::move(select), {tensor}, shape);
    tensor = work_.add_node(op.name + ".channels", op.name, std::move(select), {tensor}, shape);
  }
  if (!around) return define(op, tensor);
  shape.h += border.top + border.bottom;
  shape.w += border.left + border.right;
  if (shape.h > kMaxExtent || shape.w > kMaxExtent || shape.count() > kMaxActivation) {
    return op.fail(ErrorCode::kRange, fmt::format("makes {}x{} pixels", shape.h, shape.w));
  }
  return emit(op, border, {tensor}, shape);
}

/// RELU and its kin as operators of their own.
Status LiteImporter::activation(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  return activate(op, *x,
                  op.code == lite::BuiltinOperator_RELU    ? lite::Activation_RELU
                  : op.code == lite::BuiltinOperator_RELU6 ? lite::Activation_RELU6
                                                           : lite::Activation_RELU_N1_TO_1);
}

/// QUANTIZE: from the float input, or from one scale into another.
Status LiteImporter::quantise(const LiteOp& op) {
  if (const auto quant = quant_of(op, output_tensor(op)); !quant) return quant.error();
  const auto x = image(op, 0);
  if (!x) return x.error();
  if (*x == work_.input) work_.host_ops.emplace_back("quantize");
  return define(op, *x);
}

Status LiteImporter::dequantise(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  if (!lite_.tensors[op.inputs[0]].quantised()) {
    return op.unsupported(
        fmt::format("'{}' is not quantised to 8 bits", lite_.tensors[op.inputs[0]].name));
  }
  work_.host_ops.emplace_back("dequantize");
  values_[op.outputs[0]] = *x;
  return {};
}

/// RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements in the same order.
Status LiteImporter::rename(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  const ir::Shape& shape = work_.shape(*x);
  const LiteTensor& to = lite_.tensors[op.outputs[0]];
  const auto last = to.dims.empty() ? 0 : to.dims.back();
  if (to.count() != shape.count() || (!is_image(to, shape) && last != shape.count())) {
    return op.unsupported("reshapes an image other than to a vector");
  }
  values_[op.outputs[0]] = *x;
  return {};
}

Status LiteImporter::softmax(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  if (op.beta != 1.0F) return op.unsupported(fmt::format("beta is {}; 1 is supported", op.beta));
  work_.host_ops.push_back("softmax");
  values_[op.outputs[0]] =  // of real numbers, whatever scale the model has for them
      work_.add_node(op.name, op.name, ir::FloatSoftmax{}, {*x}, work_.shape(*x));
  return {};
}

}  // namespace espalier::import_
