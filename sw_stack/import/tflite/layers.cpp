// What operators say of shapes: windows, borders, weight layouts, work.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "import/tflite/reader.hpp"

namespace espalier::import_ {

Result<ir::Shape> lite_shape(const LiteTensor& tensor) {
  const std::string place = "tensor '" + tensor.name + "'";
  const std::vector<int>& d = tensor.dims;
  const bool batch_first = d.size() == 2 || d.size() == 4;
  if ((d.size() != 1 && !batch_first) || (batch_first && d[0] != 1)) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("is {}; 1xHxWxC and 1xC are supported", fmt::join(d, "x")), place);
  }
  const ir::Shape shape = d.size() == 4 ? ir::Shape{d[3], d[1], d[2]} : ir::Shape{d.back(), 1, 1};
  for (const int extent : {shape.c, shape.h, shape.w}) {
    if (extent < 1 || extent > kMaxExtent) {
      return fail(ErrorCode::kRange,
                  fmt::format("has extent {}; the limits are 1 and {}", extent, kMaxExtent), place);
    }
  }
  if (shape.count() > kMaxActivation) {
    return fail(ErrorCode::kRange,
                fmt::format("has {} elements; the limit is {}", shape.count(), kMaxActivation),
                place);
  }
  return shape;
}

bool is_image(const LiteTensor& tensor, const ir::Shape& shape) {
  const auto own = lite_shape(tensor);
  return own && *own == shape;
}

Result<LiteWindow> lite_window(const LiteOp& op, const ir::Shape& in, int kh, int kw) {
  std::pair<int, int> rows{0, 0}, columns{0, 0};
  if (op.padding == lite::Padding_SAME) {
    rows = same_pads(in.h, kh, op.stride_h, op.dilation_h, false);
    columns = same_pads(in.w, kw, op.stride_w, op.dilation_w, false);
  } else if (op.padding != lite::Padding_VALID) {
    return op.fail(ErrorCode::kMalformed,
                   fmt::format("padding is {}", static_cast<int>(op.padding)));
  }
  const auto h = extent(in.h, kh, op.stride_h, op.dilation_h, rows.first, rows.second, false);
  if (!h) return op.placed(h.error());
  const auto w = extent(in.w, kw, op.stride_w, op.dilation_w, columns.first, columns.second, false);
  if (!w) return op.placed(w.error());
  return LiteWindow{{kh, kw, op.stride_h, op.stride_w, rows.first, columns.first, rows.second,
                     columns.second, op.dilation_h, op.dilation_w},
                    *h,
                    *w};
}

Result<LitePad> lite_pad(const LiteGraph& graph, const LiteOp& op) {
  const auto pads = graph.integers_of(op, 1);
  if (!pads) return pads.error();
  if (pads->size() != 8) {
    return op.unsupported(fmt::format("has {} pads; 4 dimensions need 8", pads->size()));
  }
  for (const std::int64_t pad : *pads) {
    if (pad < 0 || pad >= kMaxExtent) {
      return op.fail(ErrorCode::kRange,
                     fmt::format("pad is {}; the limits are 0 and {}", pad, kMaxExtent - 1));
    }
  }
  if ((*pads)[0] != 0 || (*pads)[1] != 0) return op.unsupported("pads the batch");
  const auto pad = [&](std::size_t i) { return static_cast<int>((*pads)[i]); };
  return LitePad{{pad(2), pad(4), pad(3), pad(5), 0}, pad(6), pad(7)};
}

Result<LiteMean> lite_mean(const LiteGraph& graph, const LiteOp& op) {
  const auto x = graph.input_of(op, 0);
  if (!x) return x.error();
  const auto axes = graph.integers_of(op, 1);
  if (!axes) return axes.error();
  LiteMean mean;
  const auto rank = static_cast<std::int64_t>((*x)->dims.size());
  for (const std::int64_t axis : *axes) {
    const std::int64_t dim = axis < 0 ? axis + rank : axis;
    if (rank != 4 || (dim != 1 && dim != 2)) {
      return op.unsupported(
          fmt::format("runs over axis {}; only rows and columns are supported", axis));
    }
    (dim == 1 ? mean.rows : mean.columns) = true;
  }
  return mean;
}

ir::ChannelRange WeightLayout::group(int n) const {
  const int first = n / group_outputs * per_group;
  return {first, first + per_group};
}

ir::Reads WeightLayout::reads() const {
  ir::Reads all;
  for (int n = 0; per_group != channels && n < outputs; ++n) all.push_back(group(n));
  return all;
}

std::int64_t WeightLayout::at(int n, int tap, int c) const {
  const auto [first, last] = group(n);
  if (c < first || c >= last) return -1;
  if (depthwise) return std::int64_t{tap} * outputs + n;
  return (std::int64_t{n} * kh * kw + tap) * per_group + (c - first);
}

Result<WeightLayout> weight_layout(const LiteOp& op, const LiteTensor& weights,
                                   const ir::Shape& in) {
  const std::vector<int>& d = weights.dims;
  const bool fc = op.code == lite::BuiltinOperator_FULLY_CONNECTED;
  const bool sizes = std::all_of(d.begin(), d.end(), [](int dim) { return dim > 0; });
  if (d.size() != (fc ? 2U : 4U) || !sizes) {
    return op.fail(ErrorCode::kShape, fmt::format("weights are {}", fmt::join(d, "x")));
  }
  WeightLayout layout;
  layout.depthwise = op.code == lite::BuiltinOperator_DEPTHWISE_CONV_2D;
  layout.channels = in.c;
  layout.outputs = layout.depthwise ? d[3] : d[0];
  bool fits = true;
  if (fc) {
    const bool whole = d[1] == in.count();
    fits = whole || d[1] == in.c;
    if (whole) layout.kh = in.h;
    if (whole) layout.kw = in.w;
    layout.per_group = in.c;
    layout.group_outputs = layout.outputs;
  } else {
    layout.kh = d[1];
    layout.kw = d[2];
    layout.per_group = layout.depthwise ? 1 : d[3];
    const int groups = in.c / layout.per_group;
    fits = in.c % layout.per_group == 0 && groups > 0 && layout.outputs % groups == 0 &&
           (!layout.depthwise || d[0] == 1);
    layout.group_outputs = fits ? layout.outputs / groups : 1;
  }
  if (!fits) {
    return op.fail(ErrorCode::kShape, fmt::format("weights {} do not fit an input of {}x{}x{}",
                                                  fmt::join(d, "x"), in.c, in.h, in.w));
  }
  const std::int64_t taps = std::int64_t{layout.kh} * layout.kw;  // bounded by the file's size
  if (layout.outputs > kMaxExtent ||
      (layout.per_group != in.c && taps * layout.outputs > kMaxExpandedWeights / layout.channels)) {
    return op.unsupported(fmt::format("groups expand to {}x{}x{} weights; the limit is {} in all",
                                      layout.outputs, taps, layout.channels, kMaxExpandedWeights));
  }
  return layout;
}

std::int64_t lite_macs(const LiteGraph& graph, const LiteOp& op) {
  if (op.inputs.size() < 2 || op.inputs[0] < 0 || op.inputs[1] < 0) return 0;
  const auto tensor = [&graph](int id) -> const LiteTensor& {
    return graph.tensors[static_cast<std::size_t>(id)];
  };
  const LiteTensor &x = tensor(op.inputs[0]), &w = tensor(op.inputs[1]), &y = tensor(op.outputs[0]);
  if (w.dims.empty() || w.dims[0] < 1 || x.count() < 1 || y.count() < 1) return 0;
  switch (op.code) {
    case lite::BuiltinOperator_CONV_2D:
    case lite::BuiltinOperator_FULLY_CONNECTED:  // weights [out][...]
      return y.count() * (w.count() / w.dims[0]);
    case lite::BuiltinOperator_DEPTHWISE_CONV_2D:  // weights [1][kh][kw][out]
      return w.dims.back() < 1 ? 0 : y.count() * (w.count() / w.dims.back());
    default:
      break;
  }
  // Nodes that no importer takes multiply too.
  if (op.code == lite::BuiltinOperator_TRANSPOSE_CONV) {  // weights [out][kh][kw][in], image third
    const bool whole = op.inputs.size() > 2 && op.inputs[2] >= 0 && w.dims.back() > 0;
    return whole ? tensor(op.inputs[2]).count() * (w.count() / w.dims.back()) : 0;
  }
  if (op.code == lite::BuiltinOperator_BATCH_MATMUL) {
    return x.dims.empty() ? 0 : y.count() * x.dims.back();
  }
  return 0;
}

}  // namespace espalier::import_
