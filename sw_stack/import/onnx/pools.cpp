// Windows, pools and means over the image.

#include <fmt/format.h>

#include <algorithm>

#include "import/onnx/window.hpp"

namespace espalier::import_ {
namespace {

/// An attribute of `count` integers, all 'otherwise' where it is absent.
Result<std::vector<std::int64_t>> fixed_integers(const OnnxNode& node, const char* name,
                                                 std::size_t count, std::int64_t otherwise) {
  if (!node.has(name)) return std::vector<std::int64_t>(count, otherwise);
  auto values = node.integers(name);
  if (values.size() != count) {
    return node.unsupported(
        fmt::format("{} has {} values; images of two axes need {}", name, values.size(), count));
  }
  return values;
}

Status import_pool(Context& context, const OnnxNode& node, ir::PoolKind kind) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  if (const Status status = context.require_nchw(node, *x); !status) return status;
  const ir::Shape in = context.work.shape(x->tensor);
  const auto window = read_window(node, in, {}, node.integer("ceil_mode", 0) != 0);
  if (!window) return window.error();
  const ir::Window& w = window->window;
  if (!windows_hold_pixels(window->h, w.kh, w.stride_h, w.dilation_h, w.pad_top, in.h) ||
      !windows_hold_pixels(window->w, w.kw, w.stride_w, w.dilation_w, w.pad_left, in.w)) {
    return node.unsupported("a window holds nothing but padding");
  }
  ir::FloatPool pool;
  pool.kind = kind;
  pool.window = w;
  const bool padded = (w.pad_top | w.pad_left | w.pad_bottom | w.pad_right) != 0;
  pool.count_include_pad =
      kind == ir::PoolKind::kAverage && padded && node.integer("count_include_pad", 0) != 0;
  context.emit(node, std::move(pool), {x->tensor}, {in.c, window->h, window->w},
               {{Axis::kBatch}, {Axis::kChannel}, {Axis::kRow}, {Axis::kColumn}});
  return {};
}

/// Reduces the dimensions in `axes` of x to one pixel each.
Status reduce(Context& context, const OnnxNode& node, const Activation& x, ir::PoolKind kind,
              std::vector<std::size_t> axes, bool keep) {
  const ir::Shape in = context.work.shape(x.tensor);
  ir::FloatPool pool;
  pool.kind = kind;
  View view = x.view;
  for (const std::size_t dim : axes) {
    for (const Axis axis : x.view[dim]) {
      if (axis == Axis::kBatch || axis == Axis::kChannel) {
        return node.unsupported(
            fmt::format("reduces dimension {} of {}; only rows and columns of "
                        "the image can be reduced",
                        dim, dims_text(context.dims(x))));
      }
      (axis == Axis::kRow ? pool.window.kh : pool.window.kw) = axis == Axis::kRow ? in.h : in.w;
    }
    view[dim].clear();
  }
  if (!keep) {
    std::sort(axes.begin(), axes.end());
    axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
    for (auto dim = axes.rbegin(); dim != axes.rend(); ++dim) {
      view.erase(view.begin() + static_cast<std::ptrdiff_t>(*dim));
    }
  }
  if (pool.window.kh == 1 && pool.window.kw == 1) {
    context.define(node, Activation{x.tensor, std::move(view)});
    return {};
  }
  const ir::Shape out{in.c, in.h / pool.window.kh, in.w / pool.window.kw};
  pool.window.stride_h = pool.window.kh;
  pool.window.stride_w = pool.window.kw;
  context.emit(node, std::move(pool), {x.tensor}, out, std::move(view));
  return {};
}

}  // namespace

Result<PlacedWindow> read_window(const OnnxNode& node, const ir::Shape& in,
                                 std::vector<std::int64_t> kernel, bool ceil_mode) {
  const auto named = fixed_integers(node, "kernel_shape", 2, 0);
  if (!named) return named.error();
  if (kernel.empty()) kernel = *named;
  if (node.has("kernel_shape") && kernel != *named) {
    return node.fail(ErrorCode::kShape, fmt::format("kernel_shape is {}; the weights are {}",
                                                    dims_text(*named), dims_text(kernel)));
  }
  const auto strides = fixed_integers(node, "strides", 2, 1);
  if (!strides) return strides.error();
  const auto dilations = fixed_integers(node, "dilations", 2, 1);
  if (!dilations) return dilations.error();
  auto pads = fixed_integers(node, "pads", 4, 0);
  if (!pads) return pads.error();
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    for (std::size_t i = 0; i < 2; ++i) {
      const auto [before, after] = same_pads(i == 0 ? in.h : in.w, kernel[i], (*strides)[i],
                                             (*dilations)[i], mode == "SAME_LOWER");
      (*pads)[i] = before;
      (*pads)[i + 2] = after;
    }
  } else if (mode == "VALID") {
    pads->assign(4, 0);
  } else if (mode != "NOTSET" && !mode.empty()) {
    return node.unsupported(fmt::format("auto_pad is '{}'", mode));
  }
  const auto h =
      extent(in.h, kernel[0], (*strides)[0], (*dilations)[0], (*pads)[0], (*pads)[2], ceil_mode);
  if (!h) return node.placed(h.error());
  const auto w =
      extent(in.w, kernel[1], (*strides)[1], (*dilations)[1], (*pads)[1], (*pads)[3], ceil_mode);
  if (!w) return node.placed(w.error());
  const auto as_int = [](std::int64_t value) { return static_cast<int>(value); };
  PlacedWindow placed;
  placed.h = *h;
  placed.w = *w;
  placed.window = {as_int(kernel[0]),      as_int(kernel[1]),  as_int((*strides)[0]),
                   as_int((*strides)[1]),  as_int((*pads)[0]), as_int((*pads)[1]),
                   as_int((*pads)[2]),     as_int((*pads)[3]), as_int((*dilations)[0]),
                   as_int((*dilations)[1])};
  return placed;
}

Status import_max_pool(Context& context, const OnnxNode& node) {
  return import_pool(context, node, ir::PoolKind::kMax);
}

Status import_average_pool(Context& context, const OnnxNode& node) {
  return import_pool(context, node, ir::PoolKind::kAverage);
}

Status import_global_pool(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  if (const Status status = context.require_nchw(node, *x); !status) return status;
  const bool max = node.type() == "GlobalMaxPool";
  return reduce(context, node, *x, max ? ir::PoolKind::kMax : ir::PoolKind::kAverage, {2, 3}, true);
}

Status import_reduce_mean(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto wanted = context.listed(node, "axes", 1);
  if (!wanted) return wanted.error();
  auto axes = resolve_axes(node, *wanted, x->view.size());
  if (!axes) return axes.error();
  if (wanted->empty() && node.integer("noop_with_empty_axes", 0) == 0) {
    for (std::size_t dim = 0; dim < x->view.size(); ++dim) axes->push_back(dim);
  }
  const bool max = node.type() == "ReduceMax";
  return reduce(context, node, *x, max ? ir::PoolKind::kMax : ir::PoolKind::kAverage,
                std::move(*axes), node.integer("keepdims", 1) != 0);
}

}  // namespace espalier::import_
