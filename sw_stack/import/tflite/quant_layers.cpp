// Convolutions, additions and pools of quantised TensorFlow Lite models.

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "ir/numerics.hpp"
#include "import/tflite/quant_importer.hpp"

namespace espalier::import_ {

/// Weight `at` as a symmetric int8, if it is one.
std::optional<std::int8_t> symmetric_weight(const LiteTensor& w, std::int64_t at,
                                            std::int64_t zero) {
  const auto index = static_cast<std::size_t>(at);
  const std::int64_t stored =
      w.type == lite::TensorType_UINT8
          ? static_cast<std::int64_t>(w.data[index])
          : static_cast<std::int64_t>(static_cast<std::int8_t>(w.data[index]));
  const std::int64_t value = stored - zero;
  if (value < -128 || value > 127) return std::nullopt;
  return static_cast<std::int8_t>(value);
}

Status QuantImporter::conv(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  const auto weights = lite_.constant_of(op, 1);
  if (!weights) return weights.error();
  const LiteTensor& w = **weights;
  const bool fc = op.code == lite::BuiltinOperator_FULLY_CONNECTED;
  const ir::QuantTensor in = graph_.tensors[x->id];
  if (!fc && !is_image(lite_.tensors[op.inputs[0]],
                       {in.shape.c, in.shape.h + x->border.top + x->border.bottom,
                        in.shape.w + x->border.left + x->border.right})) {
    return op.unsupported("its input is no image");
  }
  if (!w.quantised()) return op.unsupported(fmt::format("weights '{}' are not int8", w.name));
  const auto layout = weight_layout(op, w, in.shape);
  if (!layout) return layout.error();
  LiteOp plain = op;
  if (fc) plain.padding = lite::Padding_VALID;
  const auto window = lite_window(plain, in.shape, x->border, layout->kh, layout->kw);
  if (!window) return window.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  const auto limits = bounds(op, op.activation, *quant);
  if (!limits) return limits.error();

  const auto outputs = static_cast<std::size_t>(layout->outputs);
  const int scale_axis = layout->depthwise ? 3 : 0;
  const bool per_channel = w.scale.size() > 1;
  if ((per_channel && (w.scale.size() != outputs || w.quantised_axis != scale_axis)) ||
      (w.zero.size() > 1 && w.zero.size() != outputs)) {
    return op.unsupported(fmt::format("weights '{}' have {} scales on axis {} for {} channels",
                                      w.name, w.scale.size(), w.quantised_axis, outputs));
  }
  ir::QuantConv conv;
  conv.window = window->window;
  conv.out_channels = layout->outputs;
  conv.reads = layout->reads();
  conv.lo = limits->lo;
  conv.hi = limits->hi;
  conv.weights.reserve(static_cast<std::size_t>(layout->dense_count()));
  for (int n = 0; n < layout->outputs; ++n) {
    const std::int64_t zero = w.zero.empty() ? 0 : w.zero[w.zero.size() > 1 ? n : 0];
    if (zero < -128 || zero > 255) {
      return op.fail(ErrorCode::kRange, fmt::format("weights have zero point {}", zero));
    }
    for (int tap = 0; tap < layout->kh * layout->kw; ++tap) {
      for (int c = 0; c < layout->channels; ++c) {
        const std::int64_t at = layout->at(n, tap, c);
        const auto weight = at < 0 ? std::int8_t{0} : symmetric_weight(w, at, zero);
        if (!weight) {
          return op.unsupported(
              fmt::format("weights '{}' have zero point {}, which leaves int8", w.name, zero));
        }
        conv.weights.push_back(*weight);
      }
    }
    conv.scale.push_back((in.quant.scale * w.scale[per_channel ? n : 0]) / quant->scale);
  }
  conv.bias.assign(outputs, 0);
  if (op.inputs.size() > 2 && op.inputs[2] >= 0) {
    const auto tensor = lite_.constant_of(op, 2);
    if (!tensor) return tensor.error();
    if ((*tensor)->type != lite::TensorType_INT32 || (*tensor)->data.size() != 4 * outputs) {
      return op.fail(ErrorCode::kShape,
                     fmt::format("bias '{}' is not {} int32", (*tensor)->name, outputs));
    }
    std::memcpy(conv.bias.data(), (*tensor)->data.data(), 4 * outputs);
  }
  const int id = add_tensor(op.outputs[0], {layout->outputs, window->h, window->w}, *quant);
  emit(op, id, {x->id}, std::move(conv));
  define(op, id);
  return {};
}

Status QuantImporter::add(const LiteOp& op) {
  const auto a = image(op, 0);
  if (!a) return a.error();
  const auto b = image(op, 1);
  if (!b) return b.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  const auto limits = bounds(op, op.activation, *quant);
  if (!limits) return limits.error();
  const ir::QuantTensor& ta = graph_.tensors[*a];
  const ir::QuantTensor& tb = graph_.tensors[*b];
  if (!(ta.shape == tb.shape)) return op.unsupported("adds tensors of different shapes");
  const double ratio_a = static_cast<double>(ta.quant.scale) / quant->scale;
  const double ratio_b = static_cast<double>(tb.quant.scale) / quant->scale;
  const auto multipliers = ir::add_multipliers(ratio_a, ratio_b);
  if (!multipliers) {
    return op.fail(ErrorCode::kRange, fmt::format("scales its operands by {} and {}; the limit is "
                                                  "512",
                                                  ratio_a, ratio_b));
  }
  const ir::Shape shape = ta.shape;
  const int id = add_tensor(op.outputs[0], shape, *quant);
  emit(op, id, {*a, *b},
       ir::QuantAdd{multipliers->ma, multipliers->mb, multipliers->shift, limits->lo, limits->hi});
  define(op, id);
  return {};
}

Status QuantImporter::pool(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  const ir::QuantTensor in = graph_.tensors[x->id];
  const auto window = lite_window(op, in.shape, x->border, op.filter_h, op.filter_w);
  if (!window) return window.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  ir::QuantPool pool;
  pool.window = window->window;
  pool.kind =
      op.code == lite::BuiltinOperator_MAX_POOL_2D ? ir::PoolKind::kMax : ir::PoolKind::kAverage;
  const Border& border = x->border;
  const bool bordered = (border.top | border.left | border.bottom | border.right) != 0;
  pool.count_include_pad = pool.kind == ir::PoolKind::kAverage && bordered;
  const bool moves = pool.kind == ir::PoolKind::kMax && !(*quant == in.quant);
  const ir::Quant own = moves ? in.quant : *quant;
  const auto limits = bounds(op, op.activation, own);
  if (!limits) return limits.error();
  pool.lo = limits->lo;
  pool.hi = limits->hi;
  int id = add_tensor(op.outputs[0], {in.shape.c, window->h, window->w}, own);
  emit(op, id, {x->id}, std::move(pool));
  if (moves) {
    const auto moved = copy(op, id, every_channel(in.shape.c), {}, op.outputs[0], *quant, Bounds{});
    if (!moved) return moved.error();
    id = *moved;
  }
  define(op, id);
  return {};
}

Status QuantImporter::mean(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto axes = lite_mean(lite_, op);
  if (!axes) return axes.error();
  const auto quant = quant_of(op, output_tensor(op));
  if (!quant) return quant.error();
  const ir::Shape in = graph_.tensors[*x].shape;
  ir::QuantPool pool;
  pool.kind = ir::PoolKind::kAverage;
  pool.window.kh = axes->rows ? in.h : 1;
  pool.window.kw = axes->columns ? in.w : 1;
  pool.window.stride_h = pool.window.kh;
  pool.window.stride_w = pool.window.kw;
  const ir::Shape out{in.c, in.h / pool.window.kh, in.w / pool.window.kw};
  const int id = add_tensor(op.outputs[0], out, *quant);
  emit(op, id, {*x}, std::move(pool));
  define(op, id);
  return {};
}

}  // namespace espalier::import_
