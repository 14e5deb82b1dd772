// Arithmetic element by element, activation functions and softmax.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx/operators.hpp"

namespace espalier::import_ {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A constant broadcast over an activation, one value a channel, and the view of the result.
struct ChannelValues {
  std::vector<float> values;
  View view;
};

Result<ChannelValues> channel_values(const Context& context, const OnnxNode& node,
                                     const Activation& x, const Constant& constant) {
  ChannelValues result;
  result.view = x.view;
  while (result.view.size() < constant.dims.size()) result.view.insert(result.view.begin(), {});
  const Activation wide{x.tensor, result.view};
  const auto channels = static_cast<std::size_t>(context.work.shape(x.tensor).c);
  const std::size_t lead = result.view.size() - constant.dims.size();
  for (std::size_t i = 0; i < constant.dims.size(); ++i) {
    if (constant.dims[i] == 1) continue;
    if (!context.is_axis(wide, lead + i, Axis::kChannel) ||
        constant.dims[i] != static_cast<std::int64_t>(channels)) {
      return node.unsupported(
          fmt::format("constant of {} on an activation of {}; one value a channel is supported",
                      dims_text(constant.dims), dims_text(context.dims(x))));
    }
  }
  for (std::size_t c = 0; c < channels; ++c) {
    const auto value = static_cast<float>(constant.at(constant.count() == 1 ? 0 : c));
    if (!std::isfinite(value)) {
      return node.fail(ErrorCode::kRange, fmt::format("constant holds {}", value));
    }
    result.values.push_back(value);
  }
  return result;
}

/// Operands of a binary operator: two activations, or one and a constant.
struct Operands {
  std::optional<Activation> a, b;
  std::shared_ptr<const Constant> constant;  ///< in the place of the one that is absent
};

Result<Operands> operands(const Context& context, const OnnxNode& node) {
  Operands result;
  for (int i = 0; i < 2; ++i) {
    const auto value = context.value(node, i);
    if (!value) return value.error();
    if (const auto* x = std::get_if<Activation>(*value)) {
      (i == 0 ? result.a : result.b) = *x;
    } else {
      result.constant = std::get<std::shared_ptr<const Constant>>(**value);
    }
  }
  return result;
}

/// Emits gain * x + sign * constant where `constant` is added, or x * constant^(1 or -1).
Status emit_affine(Context& context, const OnnxNode& node, const Activation& x,
                   const Constant& constant, float gain, float sign) {
  auto channel = channel_values(context, node, x, constant);
  if (!channel) return channel.error();
  Affine affine;
  affine.scale.assign(channel->values.size(), gain);
  for (const float value : channel->values) affine.shift.push_back(sign * value);
  context.emit(node, std::move(affine), {x.tensor}, context.work.shape(x.tensor),
               std::move(channel->view));
  return {};
}

Status emit_scale(Context& context, const OnnxNode& node, const Activation& x,
                  const Constant& constant, bool divide) {
  auto channel = channel_values(context, node, x, constant);
  if (!channel) return channel.error();
  Affine affine;
  for (const float value : channel->values) {
    if (divide && value == 0) return node.fail(ErrorCode::kRange, "divides by 0");
    affine.scale.push_back(divide ? 1.0F / value : value);
  }
  affine.shift.assign(affine.scale.size(), 0.0F);
  context.emit(node, std::move(affine), {x.tensor}, context.work.shape(x.tensor),
               std::move(channel->view));
  return {};
}

/// Two activations of one shape and layout; the shorter view is filled up with leading ones.
Result<View> common_view(const Context& context, const OnnxNode& node, const Activation& a,
                         const Activation& b) {
  View va = a.view;
  View vb = b.view;
  while (va.size() < vb.size()) va.insert(va.begin(), {});
  while (vb.size() < va.size()) vb.insert(vb.begin(), {});
  if (context.work.shape(a.tensor) == context.work.shape(b.tensor) && va == vb) return va;
  return node.unsupported(
      fmt::format("operands are {} and {}; two activations need one shape and one layout",
                  dims_text(context.dims(a)), dims_text(context.dims(b))));
}

Affine uniform(const ir::Shape& shape, float scale) {
  const auto count = static_cast<std::size_t>(shape.c);
  return {std::vector<float>(count, scale), std::vector<float>(count, 0.0F)};
}

Status emit_clamp(Context& context, const OnnxNode& node, const Activation& x, float lo, float hi) {
  if (std::isnan(lo) || std::isnan(hi) || lo > hi || lo == kInfinity || hi == -kInfinity) {
    return node.fail(ErrorCode::kRange, fmt::format("clips to {} .. {}", lo, hi));
  }
  if (lo <= std::numeric_limits<float>::lowest() && hi >= std::numeric_limits<float>::max()) {
    context.define(node, x);
    return {};
  }
  context.emit(node, ir::FloatClamp{lo, hi}, {x.tensor}, context.work.shape(x.tensor), x.view);
  return {};
}

Result<float> scalar(const Context& context, const OnnxNode& node, int input) {
  const auto constant = context.constant(node, input);
  if (!constant) return constant.error();
  if ((*constant)->count() != 1) {
    return node.unsupported(fmt::format("input '{}' has {} elements; a scalar is supported",
                                        node.proto.input(input), (*constant)->count()));
  }
  return static_cast<float>((*constant)->at(0));
}

/// max(x, constant) and min(x, constant), with operands in either order.
Status import_bound(Context& context, const OnnxNode& node, bool lower) {
  if (node.proto.input_size() != 2) {
    return node.unsupported(
        fmt::format("has {} operands; 2 are supported", node.proto.input_size()));
  }
  const auto both = operands(context, node);
  if (!both) return both.error();
  if (both->a && both->b) return node.unsupported("compares two activations");
  const auto bound = scalar(context, node, both->a ? 1 : 0);
  if (!bound) return bound.error();
  const Activation& x = both->a ? *both->a : *both->b;
  return lower ? emit_clamp(context, node, x, *bound, kInfinity)
               : emit_clamp(context, node, x, -kInfinity, *bound);
}

}  // namespace

Status import_add(Context& context, const OnnxNode& node) {
  const auto both = operands(context, node);
  if (!both) return both.error();
  if (both->constant) {
    return emit_affine(context, node, both->a ? *both->a : *both->b, *both->constant, 1, 1);
  }
  const auto view = common_view(context, node, *both->a, *both->b);
  if (!view) return view.error();
  context.emit(node, ir::FloatAdd{}, {both->a->tensor, both->b->tensor},
               context.work.shape(both->a->tensor), *view);
  return {};
}

Status import_sum(Context& context, const OnnxNode& node) {
  auto total = context.activation(node, 0);
  if (!total) return total.error();
  for (int i = 1; i < node.proto.input_size(); ++i) {
    const auto next = context.activation(node, i);
    if (!next) return next.error();
    const auto view = common_view(context, node, *total, *next);
    if (!view) return view.error();
    const ir::Shape shape = context.work.shape(total->tensor);
    if (i + 1 == node.proto.input_size()) {
      context.emit(node, ir::FloatAdd{}, {total->tensor, next->tensor}, shape, *view);
      return {};
    }
    total->tensor =
        context.emit_step(node, "partial", ir::FloatAdd{}, {total->tensor, next->tensor}, shape);
    total->view = *view;
  }
  context.define(node, *total);
  return {};
}

Status import_sub(Context& context, const OnnxNode& node) {
  const auto both = operands(context, node);
  if (!both) return both.error();
  if (both->a && both->constant)
    return emit_affine(context, node, *both->a, *both->constant, 1, -1);
  if (both->constant) return emit_affine(context, node, *both->b, *both->constant, -1, 1);
  const auto view = common_view(context, node, *both->a, *both->b);
  if (!view) return view.error();
  const ir::Shape shape = context.work.shape(both->b->tensor);
  const int negative =
      context.emit_step(node, "negated", uniform(shape, -1), {both->b->tensor}, shape);
  context.emit(node, ir::FloatAdd{}, {both->a->tensor, negative}, shape, *view);
  return {};
}

Status import_mul(Context& context, const OnnxNode& node) {
  const auto both = operands(context, node);
  if (!both) return both.error();
  if (!both->constant) return node.unsupported("multiplies two activations");
  return emit_scale(context, node, both->a ? *both->a : *both->b, *both->constant, false);
}

Status import_div(Context& context, const OnnxNode& node) {
  const auto both = operands(context, node);
  if (!both) return both.error();
  if (both->b) return node.unsupported("divides by an activation");
  return emit_scale(context, node, *both->a, *both->constant, true);
}

Status import_neg(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const ir::Shape shape = context.work.shape(x->tensor);
  context.emit(node, uniform(shape, -1), {x->tensor}, shape, x->view);
  return {};
}

Status import_relu(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  return emit_clamp(context, node, *x, 0, kInfinity);
}

Status import_clip(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  float bounds[2] = {node.real("min", -kInfinity), node.real("max", kInfinity)};
  for (int i = 0; i < 2; ++i) {
    if (!node.has_input(i + 1)) continue;
    const auto bound = scalar(context, node, i + 1);
    if (!bound) return bound.error();
    bounds[i] = *bound;
  }
  return emit_clamp(context, node, *x, bounds[0], bounds[1]);
}

Status import_max(Context& context, const OnnxNode& node) {
  return import_bound(context, node, true);
}

Status import_min(Context& context, const OnnxNode& node) {
  return import_bound(context, node, false);
}

Status import_softmax(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const bool coerces = context.opset < 13;  // to a matrix, from `axis` on
  const auto axis = axis_of(node, coerces ? 1 : -1, x->view.size());
  if (!axis) return axis.error();
  bool rest = true;
  for (std::size_t dim = *axis + 1; dim < x->view.size(); ++dim)
    rest = rest && x->view[dim].empty();
  if (!context.is_axis(*x, *axis, Axis::kChannel) || (coerces && !rest)) {
    return node.unsupported(fmt::format("runs over dimension {} of {}, which is not the channels",
                                        *axis, dims_text(context.dims(*x))));
  }
  if (node.type() == "LogSoftmax") {  // the host's; the outputs stay logits
    context.work.host_ops.emplace_back(ir::kLogSoftmax);
    context.log_softmax = x->tensor;
    context.define(node, *x);
    return {};
  }
  context.work.host_ops.push_back("softmax");
  context.emit(node, ir::FloatSoftmax{}, {x->tensor}, context.work.shape(x->tensor), x->view);
  return {};
}

}  // namespace espalier::import_
