// Concatenation, padding and slices: what joins, surrounds and cuts activations.

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "import/onnx/operators.hpp"

namespace espalier::import_ {
namespace {

/// Emits a Select for output `index` of the node.
Status emit_select(Context& context, const OnnxNode& node, const Activation& x, Select select,
                   int index) {
  const auto shape = checked_shape(static_cast<std::int64_t>(select.source.size()),
                                   select.rows.count, select.columns.count);
  if (!shape) return node.placed(shape.error());
  const std::string name = index == 0 ? node.name() : fmt::format("{}.{}", node.name(), index);
  const int tensor =
      context.work.add_node(name, node.proto.output(index), std::move(select), {x.tensor}, *shape);
  context.define(node, Activation{tensor, context.normalised(tensor, x.view)}, index);
  return {};
}

/// Keeps positions of one axis.
void restrict(Select& select, Axis axis, const Stride& kept) {
  if (axis == Axis::kRow) select.rows = kept;
  if (axis == Axis::kColumn) select.columns = kept;
  if (axis != Axis::kChannel) return;
  std::vector<int> source;
  for (int i = 0; i < kept.count; ++i) source.push_back(kept.first + i * kept.step);
  select.source = std::move(source);
}

struct SliceRange {
  std::int64_t start, end, axis, step;
};

Result<std::vector<SliceRange>> slice_ranges(const Context& context, const OnnxNode& node) {
  std::vector<std::int64_t> lists[4];  // starts, ends, axes, steps
  const char* names[] = {"starts", "ends", "axes", "steps"};
  for (int i = 0; i < 4; ++i) {
    auto listed = context.listed(node, names[i], i + 1);
    if (!listed) return listed.error();
    lists[i] = std::move(listed.value());
  }
  if (lists[2].empty()) {
    for (std::size_t i = 0; i < lists[0].size(); ++i) lists[2].push_back(static_cast<int>(i));
  }
  if (lists[3].empty()) lists[3].assign(lists[0].size(), 1);
  std::vector<SliceRange> ranges;
  for (std::size_t i = 0; i < lists[0].size(); ++i) {
    if (lists[1].size() != lists[0].size() || lists[2].size() != lists[0].size() ||
        lists[3].size() != lists[0].size()) {
      return node.fail(ErrorCode::kMalformed,
                       fmt::format("has {} starts, {} ends, {} axes and {} steps", lists[0].size(),
                                   lists[1].size(), lists[2].size(), lists[3].size()));
    }
    ranges.push_back({lists[0][i], lists[1][i], lists[2][i], lists[3][i]});
  }
  return ranges;
}

/// Positions that a range keeps of `extent`; the step may not be negative.
Result<Stride> kept_positions(const OnnxNode& node, const SliceRange& range, std::int64_t extent) {
  if (range.step < 1) {
    return node.unsupported(
        fmt::format("slices with step {}; only forward steps are supported", range.step));
  }
  const auto bound = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + extent : at, 0, extent);
  };
  const std::int64_t first = bound(range.start);
  const std::int64_t end = bound(range.end);
  if (end <= first) return node.fail(ErrorCode::kShape, "slices away everything");
  const std::int64_t step = std::min(range.step, extent);
  return Stride{static_cast<int>(first), static_cast<int>(step),
                static_cast<int>((end - first + step - 1) / step)};
}

}  // namespace

Status import_concat(Context& context, const OnnxNode& node) {
  std::vector<int> tensors;
  View view;
  std::int64_t channels = 0;
  std::size_t dim = 0;
  ir::Shape shape;
  for (int i = 0; i < node.proto.input_size(); ++i) {
    const auto x = context.activation(node, i);
    if (!x) return x.error();
    if (i == 0) {
      const auto axis = axis_of(node, 1, x->view.size());
      if (!axis) return axis.error();
      dim = *axis;
      view = x->view;
      shape = context.work.shape(x->tensor);
    }
    const ir::Shape& own = context.work.shape(x->tensor);
    if (x->view.size() != view.size() || !context.is_axis(*x, dim, Axis::kChannel)) {
      return node.unsupported(fmt::format("joins dimension {} of {}, which is not the channels",
                                          dim, dims_text(context.dims(*x))));
    }
    view[dim] = x->view[dim];
    if (x->view != view || own.h != shape.h || own.w != shape.w) {
      return node.fail(ErrorCode::kShape,
                       fmt::format("operand {} is {}, which does not fit the first", i,
                                   dims_text(context.dims(*x))));
    }
    channels += own.c;
    tensors.push_back(x->tensor);
  }
  const auto out = checked_shape(channels, shape.h, shape.w);
  if (!out) return node.placed(out.error());
  if (tensors.size() == 1) {
    context.define(node, Activation{tensors[0], std::move(view)});
    return {};
  }
  view[dim] = {Axis::kChannel};
  context.emit(node, ir::FloatConcat{}, std::move(tensors), *out, std::move(view));
  return {};
}

Status import_pad(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const std::size_t rank = x->view.size();
  const auto given = context.listed(node, node.has("pads") ? "pads" : "paddings", 1);
  if (!given) return given.error();
  const std::vector<std::int64_t>& listed = *given;
  float value = node.real("value", 0);
  if (node.has_input(2)) {
    const auto constant = context.constant(node, 2);
    if (!constant) return constant.error();
    if ((*constant)->count() != 1) return node.fail(ErrorCode::kShape, "value is no scalar");
    value = static_cast<float>((*constant)->at(0));
  }
  std::vector<std::size_t> dims;
  if (node.has_input(3)) {
    const auto axes = context.integers(node, 3);
    if (!axes) return axes.error();
    auto resolved = resolve_axes(node, *axes, rank);
    if (!resolved) return resolved.error();
    dims = std::move(*resolved);
  } else {
    for (std::size_t dim = 0; dim < rank; ++dim) dims.push_back(dim);
  }
  if (listed.size() != 2 * dims.size()) {
    return node.fail(ErrorCode::kShape, fmt::format("has {} pads; {} dimensions need {}",
                                                    listed.size(), dims.size(), 2 * dims.size()));
  }
  if (std::all_of(listed.begin(), listed.end(), [](std::int64_t pad) { return pad == 0; })) {
    context.define(node, *x);
    return {};
  }
  if (const std::string mode = node.text("mode", "constant"); mode != "constant") {
    return node.unsupported(fmt::format("pads in mode '{}'; only constants are supported", mode));
  }
  if (value != value) return node.fail(ErrorCode::kRange, "pads with a NaN");

  const auto axes = context.dimension_axes(*x);
  std::int64_t before[4] = {0, 0, 0, 0};
  std::int64_t after[4] = {0, 0, 0, 0};
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const std::int64_t pads[2] = {listed[i], listed[i + dims.size()]};
    if (pads[0] == 0 && pads[1] == 0) continue;
    if (pads[0] < 0 || pads[1] < 0 || pads[0] > kMaxExtent || pads[1] > kMaxExtent) {
      return node.unsupported(fmt::format("pads dimension {} by {} and {}; the limits are 0 and {}",
                                          dims[i], pads[0], pads[1], kMaxExtent));
    }
    const auto axis = axes[dims[i]];
    if (!axis || *axis == Axis::kBatch) {
      return node.unsupported(
          fmt::format("pads dimension {} of {}", dims[i], dims_text(context.dims(*x))));
    }
    before[static_cast<std::size_t>(*axis)] = pads[0];
    after[static_cast<std::size_t>(*axis)] = pads[1];
  }

  const ir::Shape in = context.work.shape(x->tensor);
  const auto wide = checked_shape(in.c + before[1] + after[1], in.h, in.w);
  if (!wide) return node.placed(wide.error());
  const auto out = checked_shape(wide->c, in.h + before[2] + after[2], in.w + before[3] + after[3]);
  if (!out) return node.placed(out.error());
  const auto as_int = [](std::int64_t pad) { return static_cast<int>(pad); };
  Border border{as_int(before[2]), as_int(before[3]), as_int(after[2]), as_int(after[3]), value};
  const bool spatial = out->h != in.h || out->w != in.w;
  const View view = context.explicit_view(*x);
  int tensor = x->tensor;
  if (wide->c != in.c) {
    if (value != 0) return node.unsupported(fmt::format("pads channels with {}", value));
    Select select = whole(in);
    select.source.insert(select.source.begin(), static_cast<std::size_t>(before[1]), -1);
    select.source.resize(static_cast<std::size_t>(wide->c), -1);
    if (!spatial) {
      context.emit(node, std::move(select), {tensor}, *wide, view);
      return {};
    }
    tensor = context.emit_step(node, "channels", std::move(select), {tensor}, *wide);
  }
  const bool shifts = value != 0 && value > std::numeric_limits<float>::lowest();
  if (!shifts) {
    context.emit(node, border, {tensor}, *out, view);
    return {};
  }
  // x - v, a border of zeros, + v.
  const auto count = static_cast<std::size_t>(wide->c);
  const auto shift = [&](float by) {
    return Affine{std::vector<float>(count, 1.0F), std::vector<float>(count, by)};
  };
  border.value = 0;
  tensor = context.emit_step(node, "shift", shift(-value), {tensor}, *wide);
  tensor = context.emit_step(node, "border", border, {tensor}, *out);
  context.emit(node, shift(value), {tensor}, *out, view);
  return {};
}

Status import_slice(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto ranges = slice_ranges(context, node);
  if (!ranges) return ranges.error();
  const auto axes = context.dimension_axes(*x);
  const std::vector<std::int64_t> dims = context.dims(*x);
  Select select = whole(context.work.shape(x->tensor));
  bool cuts = false;
  for (const SliceRange& range : *ranges) {
    const auto dim = resolve_axis(node, range.axis, dims.size());
    if (!dim) return dim.error();
    const auto kept = kept_positions(node, range, dims[*dim]);
    if (!kept) return kept.error();
    if (kept->count == dims[*dim]) continue;
    if (!axes[*dim] || *axes[*dim] == Axis::kBatch) {
      return node.unsupported(fmt::format("cuts dimension {} of {}", *dim, dims_text(dims)));
    }
    restrict(select, *axes[*dim], *kept);
    cuts = true;
  }
  if (!cuts) {
    context.define(node, *x);
    return {};
  }
  return emit_select(context, node, *x, std::move(select), 0);
}

Status import_gather(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto indices = context.constant(node, 1);
  if (!indices) return indices.error();
  const std::vector<std::int64_t> dims = context.dims(*x);
  const auto dim = axis_of(node, 0, dims.size());
  if (!dim) return dim.error();
  const auto axis = context.dimension_axes(*x)[*dim];
  if (!axis || *axis != Axis::kChannel || (*indices)->is_float || (*indices)->dims.size() > 1 ||
      (*indices)->count() == 0) {
    return node.unsupported(
        fmt::format("gathers {} from dimension {} of {}; channels by a list of "
                    "integers are supported",
                    dims_text((*indices)->dims), *dim, dims_text(dims)));
  }
  Select select = whole(context.work.shape(x->tensor));
  select.source.clear();
  for (const std::int64_t index : (*indices)->integers) {
    if (index < -dims[*dim] || index >= dims[*dim]) {
      return node.fail(ErrorCode::kRange,
                       fmt::format("index is {}; the axis has {}", index, dims[*dim]));
    }
    select.source.push_back(static_cast<int>(index < 0 ? index + dims[*dim] : index));
  }
  Activation from = *x;
  if ((*indices)->dims.empty()) {
    from.view.erase(from.view.begin() + static_cast<std::ptrdiff_t>(*dim));
  } else {
    from.view[*dim] = {Axis::kChannel};
  }
  return emit_select(context, node, from, std::move(select), 0);
}

Status import_split(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const std::vector<std::int64_t> dims = context.dims(*x);
  const auto dim = axis_of(node, 0, dims.size());
  if (!dim) return dim.error();
  const auto axis = context.dimension_axes(*x)[*dim];
  if (!axis || *axis == Axis::kBatch) {
    return node.unsupported(fmt::format("cuts dimension {} of {}", *dim, dims_text(dims)));
  }
  auto listed = context.listed(node, "split", 1);
  if (!listed) return listed.error();
  std::vector<std::int64_t> parts = std::move(*listed);
  const int outputs = node.proto.output_size();
  if (parts.empty()) {
    const std::int64_t part = (dims[*dim] + outputs - 1) / outputs;
    for (int i = 0; i < outputs; ++i) parts.push_back(std::min(part, dims[*dim] - i * part));
  }
  std::int64_t first = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] < 1 || parts[i] > dims[*dim] - first || static_cast<int>(i) >= outputs) {
      return node.fail(ErrorCode::kShape, fmt::format("splits {} into {} for {} outputs",
                                                      dims[*dim], dims_text(parts), outputs));
    }
    Select select = whole(context.work.shape(x->tensor));
    restrict(select, *axis, {static_cast<int>(first), 1, static_cast<int>(parts[i])});
    const Status status = emit_select(context, node, *x, std::move(select), static_cast<int>(i));
    if (!status) return status;
    first += parts[i];
  }
  return {};
}

}  // namespace espalier::import_
