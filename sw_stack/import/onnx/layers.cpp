// Convolutions, fully connected layers and batch normalisation.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/onnx/window.hpp"

namespace espalier::import_ {
namespace {

using ConstantPtr = std::shared_ptr<const Constant>;

/// A constant of `count` floats, whatever its dimensions.
Result<std::vector<float>> float_vector(const Context& context, const OnnxNode& node, int input,
                                        std::int64_t count) {
  const auto constant = context.constant(node, input);
  if (!constant) return constant.error();
  if (!(*constant)->is_float || static_cast<std::int64_t>((*constant)->count()) != count) {
    return node.fail(
        ErrorCode::kShape,
        fmt::format("input '{}' has {} {}; {} floats are needed", node.proto.input(input),
                    (*constant)->count(), (*constant)->is_float ? "floats" : "integers", count));
  }
  return (*constant)->floats;
}

/// [M][C/group][KH][KW] to [M][KH][KW][C], zeros outside each group.
std::vector<float> reorder_weights(const Constant& w, std::int64_t group) {
  const auto outputs = static_cast<std::size_t>(w.dims[0]);
  const auto per_group = static_cast<std::size_t>(w.dims[1]);
  const auto taps = static_cast<std::size_t>(w.dims[2] * w.dims[3]);
  const std::size_t channels = per_group * static_cast<std::size_t>(group);
  const std::size_t group_outputs = outputs / static_cast<std::size_t>(group);
  std::vector<float> result(outputs * taps * channels, 0.0F);
  for (std::size_t n = 0; n < outputs; ++n) {
    const std::size_t first = n / group_outputs * per_group;
    for (std::size_t c = 0; c < per_group; ++c) {
      for (std::size_t t = 0; t < taps; ++t) {
        result[(n * taps + t) * channels + first + c] = w.floats[(n * per_group + c) * taps + t];
      }
    }
  }
  return result;
}

/// The channels of each output's group.
ir::Reads group_reads(const Constant& w, std::int64_t group) {
  ir::Reads reads;
  const std::int64_t group_outputs = w.dims[0] / group;
  for (std::int64_t n = 0; group > 1 && n < w.dims[0]; ++n) {
    const auto first = static_cast<int>(n / group_outputs * w.dims[1]);
    reads.push_back({first, first + static_cast<int>(w.dims[1])});
  }
  return reads;
}

Status check_conv_weights(const OnnxNode& node, const Constant& w, const ir::Shape& in,
                          std::int64_t group) {
  if (!w.is_float || w.dims.size() != 4) {
    return node.unsupported(
        fmt::format("weights are {}; four dimensions of floats are supported", dims_text(w.dims)));
  }
  if (w.count() == 0 || *std::max_element(w.dims.begin(), w.dims.end()) > kMaxExtent) {
    return node.fail(ErrorCode::kShape, fmt::format("weights are {}", dims_text(w.dims)));
  }
  if (group < 1 || group > in.c || w.dims[0] % group != 0 || w.dims[1] * group != in.c) {
    return node.fail(ErrorCode::kShape,
                     fmt::format("weights {} in {} groups do not fit {} input channels",
                                 dims_text(w.dims), group, in.c));
  }
  const std::int64_t expanded = static_cast<std::int64_t>(w.count()) * group;
  if (group > 1 && expanded > kMaxExpandedWeights) {
    return node.unsupported(fmt::format("{} groups expand to {} weights; the limit is {}", group,
                                        expanded, kMaxExpandedWeights));
  }
  return {};
}

/// A matrix [K][N] or, transposed, [N][K].
struct Matrix {
  const Constant* values;
  std::int64_t k, n;
  bool transposed;
  float gain = 1;
  [[nodiscard]] float at(std::int64_t row, std::int64_t column) const {
    return gain *
           values
               ->floats[static_cast<std::size_t>(transposed ? column * k + row : row * n + column)];
  }
};

std::int64_t product(const Context& context, int tensor, const std::vector<Axis>& axes) {
  std::int64_t result = 1;
  for (const Axis axis : axes) result *= context.axis_extent(tensor, axis);
  return result;
}

/// x times a matrix over its last dimension: a convolution whose kernel is the whole input where
/// that dimension holds everything, and 1 x 1 where it holds the channels only.
Status dense(Context& context, const OnnxNode& node, const Activation& x, const Matrix& matrix,
             std::vector<float> bias) {
  const ir::Shape in = context.work.shape(x.tensor);
  if (x.view.empty()) return node.fail(ErrorCode::kShape, "input is a scalar");
  const std::vector<Axis>& order = x.view.back();
  const std::int64_t inner = product(context, x.tensor, order);
  if (inner != matrix.k) {
    return node.fail(ErrorCode::kShape,
                     fmt::format("input has {} features; the matrix has {} rows", inner, matrix.k));
  }
  const auto holds = [&](Axis axis) {
    return context.axis_extent(x.tensor, axis) == 1 ||
           std::find(order.begin(), order.end(), axis) != order.end();
  };
  const bool whole = holds(Axis::kChannel) && holds(Axis::kRow) && holds(Axis::kColumn);
  const bool channels_only = context.is_axis(x, x.view.size() - 1, Axis::kChannel);
  const bool batch_inside = context.batch > 1 && holds(Axis::kBatch);
  if (batch_inside || (!whole && !channels_only)) {
    return node.unsupported(fmt::format("multiplies {} over a dimension that mixes image axes",
                                        dims_text(context.dims(x))));
  }
  if (matrix.n < 1 || matrix.n > kMaxExtent) {
    return node.fail(
        ErrorCode::kRange,
        fmt::format("matrix has {} columns; the limits are 1 and {}", matrix.n, kMaxExtent));
  }

  ir::FloatConv conv;
  conv.out_channels = static_cast<int>(matrix.n);
  if (whole) conv.window.kh = in.h;
  if (whole) conv.window.kw = in.w;
  conv.bias = std::move(bias);
  conv.bias.resize(static_cast<std::size_t>(matrix.n), 0.0F);

  std::int64_t step[4] = {0, 0, 0, 0};  // of each axis in a row index of the matrix
  std::int64_t stride = 1;
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    step[static_cast<std::size_t>(*axis)] = stride;
    stride *= context.axis_extent(x.tensor, *axis);
  }
  std::vector<std::int64_t> rows;  // of the matrix, in the order of a convolution's weights
  for (int h = 0; h < conv.window.kh; ++h) {
    for (int w = 0; w < conv.window.kw; ++w) {
      for (int c = 0; c < in.c; ++c) rows.push_back(c * step[1] + h * step[2] + w * step[3]);
    }
  }
  conv.weights.resize(matrix.values->floats.size());
  float* weight = conv.weights.data();
  for (std::int64_t n = 0; n < matrix.n; ++n) {
    for (const std::int64_t row : rows) *weight++ = matrix.at(row, n);
  }
  View view = x.view;
  view.back() = {Axis::kChannel};
  const ir::Shape out{conv.out_channels, whole ? 1 : in.h, whole ? 1 : in.w};
  context.emit(node, std::move(conv), {x.tensor}, out, std::move(view));
  return {};
}

Result<ConstantPtr> matrix_input(const Context& context, const OnnxNode& node, int input) {
  auto constant = context.constant(node, input);
  if (!constant) return constant.error();
  const Constant& m = **constant;
  bool leading_ones = true;
  for (std::size_t i = 0; i + 2 < m.dims.size(); ++i) leading_ones = leading_ones && m.dims[i] == 1;
  if (!m.is_float || m.dims.size() < 2 || !leading_ones || m.count() == 0) {
    return node.unsupported(
        fmt::format("matrix is {}; two dimensions of floats are supported", dims_text(m.dims)));
  }
  return constant;
}

}  // namespace

Status import_conv(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  if (const Status status = context.require_nchw(node, *x); !status) return status;
  const auto weights = context.constant(node, 1);
  if (!weights) return weights.error();
  const Constant& w = **weights;
  const ir::Shape in = context.work.shape(x->tensor);
  const std::int64_t group = node.integer("group", 1);
  if (const Status status = check_conv_weights(node, w, in, group); !status) return status;
  const auto window = read_window(node, in, {w.dims[2], w.dims[3]}, false);
  if (!window) return window.error();

  ir::FloatConv conv;
  conv.window = window->window;
  conv.out_channels = static_cast<int>(w.dims[0]);
  conv.weights = reorder_weights(w, group);
  conv.reads = group_reads(w, group);
  conv.bias.assign(static_cast<std::size_t>(w.dims[0]), 0.0F);
  if (node.has_input(2)) {
    auto bias = float_vector(context, node, 2, w.dims[0]);
    if (!bias) return bias.error();
    conv.bias = std::move(bias.value());
  }
  const auto out = checked_shape(conv.out_channels, window->h, window->w);
  if (!out) return node.placed(out.error());
  context.emit(node, std::move(conv), {x->tensor}, *out,
               {{Axis::kBatch}, {Axis::kChannel}, {Axis::kRow}, {Axis::kColumn}});
  return {};
}

Status import_batch_norm(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  if (x->view.size() < 2 || !context.is_axis(*x, 1, Axis::kChannel)) {
    return node.unsupported(
        fmt::format("needs channels in dimension 1; its input is {}", dims_text(context.dims(*x))));
  }
  if (node.integer("training_mode", 0) != 0) return node.unsupported("training mode");
  const ir::Shape shape = context.work.shape(x->tensor);
  std::vector<float> parameters[4];  // scale, bias, mean, variance
  for (int i = 0; i < 4; ++i) {
    auto values = float_vector(context, node, i + 1, shape.c);
    if (!values) return values.error();
    parameters[i] = std::move(values.value());
  }
  const auto epsilon = static_cast<double>(node.real("epsilon", 1e-5F));
  Affine affine;
  for (int c = 0; c < shape.c; ++c) {
    const double scale =
        parameters[0][c] / std::sqrt(static_cast<double>(parameters[3][c]) + epsilon);
    const double shift = parameters[1][c] - parameters[2][c] * scale;
    if (!std::isfinite(scale) || !std::isfinite(shift)) {
      return node.fail(ErrorCode::kRange,
                       fmt::format("channel {} has variance {}", c, parameters[3][c]));
    }
    affine.scale.push_back(static_cast<float>(scale));
    affine.shift.push_back(static_cast<float>(shift));
  }
  context.emit(node, std::move(affine), {x->tensor}, shape, x->view);
  return {};
}

Status import_gemm(Context& context, const OnnxNode& node) {
  auto x = context.activation(node, 0);
  if (!x) return x.error();
  if (x->view.size() != 2) {
    return node.fail(ErrorCode::kShape, fmt::format("input is {}; two dimensions are needed",
                                                    dims_text(context.dims(*x))));
  }
  if (node.integer("transA", 0) != 0) std::swap(x->view[0], x->view[1]);
  const auto weights = matrix_input(context, node, 1);
  if (!weights) return weights.error();
  const Constant& w = **weights;
  const bool transposed = node.integer("transB", 0) != 0;
  const std::int64_t k = w.dims[w.dims.size() - (transposed ? 1 : 2)];
  const std::int64_t n = w.dims[w.dims.size() - (transposed ? 2 : 1)];
  std::vector<float> bias(static_cast<std::size_t>(n), 0.0F);
  if (node.has_input(2)) {
    const auto constant = context.constant(node, 2);
    if (!constant) return constant.error();
    const Constant& c = **constant;
    const auto count = static_cast<std::int64_t>(c.count());
    if (!c.is_float || (count != 1 && count != n) || (count == n && n > 1 && c.dims.back() != n)) {
      return node.unsupported(
          fmt::format("bias is {}; 1 or {} floats are supported", dims_text(c.dims), n));
    }
    const float beta = node.real("beta", 1.0F);
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = beta * c.floats[count == 1 ? 0 : i];
  }
  return dense(context, node, *x, {&w, k, n, transposed, node.real("alpha", 1.0F)},
               std::move(bias));
}

Status import_matmul(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto weights = matrix_input(context, node, 1);
  if (!weights) return weights.error();
  const Constant& w = **weights;
  if (w.dims.size() > 2 && x->view.size() < w.dims.size()) {
    return node.unsupported(
        fmt::format("matrix is {}; two dimensions of floats are supported", dims_text(w.dims)));
  }
  return dense(context, node, *x, {&w, w.dims[w.dims.size() - 2], w.dims.back(), false}, {});
}

}  // namespace espalier::import_
