// Concatenation, borders, activation functions, changes of scale and of shape of quantised
// TensorFlow Lite models.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/tflite/quant_importer.hpp"

namespace espalier::import_ {

Status QuantImporter::concat(const LiteOp& op) {
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  if (op.activation != lite::Activation_NONE) return op.unsupported("has an activation function");
  const auto rank = static_cast<int>(output_tensor(op).dims.size());
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
    shape = graph_.tensors[*x].shape;
    channels += shape.c;
    const bool same = graph_.tensors[*x].quant == *quant;
    const auto fitted =
        same ? x : copy(op, *x, every_channel(shape.c), {}, op.inputs[i], *quant, Bounds{});
    if (!fitted) return fitted.error();
    inputs.push_back(*fitted);
  }
  if (channels > kMaxExtent) {
    return op.fail(ErrorCode::kRange,
                   fmt::format("makes {} channels; the limit is {}", channels, kMaxExtent));
  }
  if (inputs.size() == 1) {
    define(op, inputs[0]);
    return {};
  }
  shape.c = static_cast<int>(channels);
  const int id = add_tensor(op.outputs[0], shape, *quant);
  emit(op, id, std::move(inputs), ir::QuantConcat{});
  define(op, id);
  return {};
}

/// Whether every consumer can take the border into its window.
bool QuantImporter::border_fits(const LiteOp& op, const LitePad& pad, int from) const {
  const Border& border = pad.border;
  const int tensor = op.outputs[0];
  if (tensor == lite_.output || pad.channels_before + pad.channels_after != 0) return false;
  const int made_by = producer(from);
  for (const LiteOp& user : lite_.ops) {
    if (std::find(user.inputs.begin(), user.inputs.end(), tensor) == user.inputs.end()) continue;
    if (user.code == lite::BuiltinOperator_CONV_2D ||
        user.code == lite::BuiltinOperator_DEPTHWISE_CONV_2D) {
      continue;
    }
    const bool max = user.code == lite::BuiltinOperator_MAX_POOL_2D;
    if (!max && user.code != lite::BuiltinOperator_AVERAGE_POOL_2D) return false;
    const ir::QuantTensor& in = graph_.tensors[from];
    const auto window = lite_window(user, in.shape, border, user.filter_h, user.filter_w);
    if (!window || window->own_pads) return false;
    if (!max) continue;
    const auto* conv =
        made_by < 0 ? nullptr : std::get_if<ir::QuantConv>(&graph_.nodes[made_by].op);
    const auto* sum = made_by < 0 ? nullptr : std::get_if<ir::QuantAdd>(&graph_.nodes[made_by].op);
    const int lo = conv != nullptr ? conv->lo : sum != nullptr ? sum->lo : -128;
    const ir::Window& w = window->window;
    if (lo < in.quant.zero ||
        !windows_hold_pixels(window->h, w.kh, w.stride_h, 1, w.pad_top, in.shape.h) ||
        !windows_hold_pixels(window->w, w.kw, w.stride_w, 1, w.pad_left, in.shape.w)) {
      return false;
    }
  }
  return true;
}

Status QuantImporter::pad(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto pad = lite_pad(lite_, op);
  if (!pad) return pad.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  const ir::QuantTensor in = graph_.tensors[*x];
  if (op.code == lite::BuiltinOperator_PADV2) {
    const auto constant = lite_.constant_of(op, 2);
    if (!constant) return constant.error();
    const auto zero =
        (*constant)->quantised() && (*constant)->data.size() == 1
            ? symmetric_weight(
                  **constant, 0,
                  in.quant.zero + ((*constant)->type == lite::TensorType_UINT8 ? 128 : 0))
            : std::nullopt;
    if (!zero || *zero != 0) return op.unsupported("pads with a value that is not zero");
  }
  const auto shape = lite_shape(output_tensor(op));
  const ir::Shape wanted{in.shape.c + pad->channels_before + pad->channels_after,
                         in.shape.h + pad->border.top + pad->border.bottom,
                         in.shape.w + pad->border.left + pad->border.right};
  if (!shape || !(*shape == wanted)) {
    return op.fail(ErrorCode::kShape, "its output is not its input and the pads");
  }
  if (*quant == in.quant && border_fits(op, *pad, *x)) {
    values_[op.outputs[0]] = {*x, pad->border};
    return {};
  }
  std::vector<int> source = every_channel(in.shape.c);
  source.insert(source.begin(), static_cast<std::size_t>(pad->channels_before), -1);
  source.resize(static_cast<std::size_t>(wanted.c), -1);
  const auto id = copy(op, *x, source, pad->border, op.outputs[0], *quant, Bounds{});
  if (!id) return id.error();
  define(op, *id);
  return {};
}

Status QuantImporter::relu(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  const auto activation = op.code == lite::BuiltinOperator_RELU    ? lite::Activation_RELU
                          : op.code == lite::BuiltinOperator_RELU6 ? lite::Activation_RELU6
                                                                   : lite::Activation_RELU_N1_TO_1;
  const auto limits = bounds(op, activation, *quant);
  if (!limits) return limits.error();
  const LiteTensor& before = lite_.tensors[op.inputs[0]];
  const int made_by = producer(*x);
  const bool alone = before.uses == 1 && op.inputs[0] != lite_.output && made_by >= 0 &&
                     made_[*x].lite_tensor == op.inputs[0];
  if (alone && *quant == graph_.tensors[*x].quant) {
    const bool folded = std::visit(
        [&](auto& node) {
          if constexpr (requires { node.lo; }) {
            node.lo = std::clamp(limits->lo, node.lo, node.hi);
            node.hi = std::clamp(limits->hi, node.lo, node.hi);
            return true;
          } else {
            return false;
          }
        },
        graph_.nodes[made_by].op);
    if (folded) {
      made_[*x].lite_tensor = op.outputs[0];
      define(op, *x);
      return {};
    }
  }
  const int channels = graph_.tensors[*x].shape.c;
  const auto id = copy(op, *x, every_channel(channels), {}, op.outputs[0], *quant, *limits);
  if (!id) return id.error();
  define(op, *id);
  return {};
}

/// QUANTIZE: from the float input, or from one scale into another.
Status QuantImporter::requantise(const LiteOp& op) {
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  if (op.inputs.size() == 1 && op.inputs[0] == lite_.input && graph_.input < 0) {
    const auto shape = lite_shape(output_tensor(op));
    if (!shape) return shape.error();
    graph_.input = add_tensor(op.outputs[0], *shape, *quant);
    graph_.host_ops.push_back("quantize");
    define(op, graph_.input);
    return {};
  }
  const auto x = image(op, 0);
  if (!x) return x.error();
  if (graph_.tensors[*x].quant == *quant) {
    define(op, *x);
    return {};
  }
  const int channels = graph_.tensors[*x].shape.c;
  const auto id = copy(op, *x, every_channel(channels), {}, op.outputs[0], *quant, Bounds{});
  if (!id) return id.error();
  define(op, *id);
  return {};
}

/// RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements in the same order.
Status QuantImporter::rename(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  const ir::Shape& shape = graph_.tensors[x->id].shape;
  const LiteTensor& to = output_tensor(op);
  const auto last = to.dims.empty() ? 0 : to.dims.back();
  if (to.count() != shape.count() || (!is_image(to, shape) && last != shape.count())) {
    return op.unsupported("reshapes an image other than to a vector");
  }
  define(op, x->id);
  return {};
}

Status QuantImporter::softmax(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  if (op.outputs[0] != lite_.output)
    return op.unsupported("is supported as the last operator only");
  if (op.beta != 1.0F) return op.unsupported(fmt::format("beta is {}; 1 is supported", op.beta));
  graph_.softmax = true;
  graph_.host_ops.push_back("softmax");
  define(op, *x);
  return {};
}

}  // namespace espalier::import_
