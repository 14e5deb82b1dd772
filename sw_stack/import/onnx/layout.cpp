// Operators that move no data here: they change the view of an activation, or name it anew.

#include <fmt/format.h>

#include <algorithm>

#include "import/onnx/operators.hpp"

namespace espalier::import_ {

Status import_identity(Context& context, const OnnxNode& node) {
  if (node.type() == "Cast") {
    const std::int64_t to = node.integer("to", onnx::TensorProto::FLOAT);
    if (to != onnx::TensorProto::FLOAT && to != onnx::TensorProto::FLOAT16 &&
        to != onnx::TensorProto::DOUBLE && to != onnx::TensorProto::BFLOAT16) {
      return node.unsupported(fmt::format("casts an activation to type {}", to));
    }
  }
  if (node.type() == "Dropout" && node.has_input(2)) {
    const auto training = context.constant(node, 2);
    if (!training) return training.error();
    if ((*training)->count() == 1 && (*training)->at(0) != 0) {
      return node.unsupported("training mode");
    }
  }
  const auto value = context.value(node, 0);
  if (!value) return value.error();
  context.define(node, **value);
  return {};
}

Status import_constant(Context& context, const OnnxNode& node) {
  auto constant = std::make_shared<Constant>();
  if (const auto* tensor = node.find("value"); tensor != nullptr && tensor->has_t()) {
    auto decoded = decode_constant(tensor->t(), context.folder);
    if (!decoded) return node.placed(decoded.error());
    *constant = std::move(decoded.value());
  } else if (node.has("value_float")) {
    constant->floats = {node.real("value_float", 0)};
  } else if (node.has("value_int")) {
    constant->is_float = false;
    constant->integers = {node.integer("value_int", 0)};
  } else if (const auto* reals = node.find("value_floats"); reals != nullptr) {
    constant->floats.assign(reals->floats().begin(), reals->floats().end());
    constant->dims = {reals->floats_size()};
  } else if (node.has("value_ints")) {
    constant->is_float = false;
    constant->integers = node.integers("value_ints");
    constant->dims = {static_cast<std::int64_t>(constant->integers.size())};
  } else {
    return node.unsupported("is neither a tensor nor numbers");
  }
  context.define(node, std::shared_ptr<const Constant>(std::move(constant)));
  return {};
}

Status import_shape(Context& context, const OnnxNode& node) {
  const auto value = context.value(node, 0);
  if (!value) return value.error();
  std::vector<std::int64_t> dims;
  if (const auto* x = std::get_if<Activation>(*value)) {
    dims = context.dims(*x);
  } else {
    dims = std::get<std::shared_ptr<const Constant>>(**value)->dims;
  }
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t at = node.integer(name, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound("start", 0);
  const std::int64_t end = std::max(start, bound("end", rank));
  auto shape = std::make_shared<Constant>();
  shape->is_float = false;
  shape->integers.assign(dims.begin() + start, dims.begin() + end);
  shape->dims = {end - start};
  context.define(node, std::shared_ptr<const Constant>(std::move(shape)));
  return {};
}

Status import_flatten(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto rank = static_cast<std::int64_t>(x->view.size());
  std::int64_t axis = node.integer("axis", 1);
  if (axis < -rank || axis > rank) {
    return node.fail(ErrorCode::kRange,
                     fmt::format("axis is {}; the tensor has {} dimensions", axis, rank));
  }
  if (axis < 0) axis += rank;
  View view(2);
  for (std::int64_t dim = 0; dim < rank; ++dim) {
    auto& target = view[dim < axis ? 0 : 1];
    const auto& axes = x->view[static_cast<std::size_t>(dim)];
    target.insert(target.end(), axes.begin(), axes.end());
  }
  context.define(node, Activation{x->tensor, std::move(view)});
  return {};
}

namespace {

/// The dimensions a Reshape asks for, with 0 and -1 resolved.
Result<std::vector<std::int64_t>> reshape_target(const OnnxNode& node,
                                                 const std::vector<std::int64_t>& from,
                                                 std::vector<std::int64_t> target) {
  const bool keep_zero = node.integer("allowzero", 0) != 0;
  const std::int64_t total = element_count(from);
  std::int64_t known = 1;
  std::ptrdiff_t inferred = -1;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] == 0 && !keep_zero && i < from.size()) target[i] = from[i];
    if (target[i] == -1 && inferred < 0) {
      inferred = static_cast<std::ptrdiff_t>(i);
      continue;
    }
    if (target[i] < 1 || target[i] > total || known > total) {
      return node.fail(ErrorCode::kShape,
                       fmt::format("reshapes {} to {}", dims_text(from), dims_text(target)));
    }
    known *= target[i];
  }
  if (inferred >= 0 && total % known == 0) {
    target[static_cast<std::size_t>(inferred)] = total / known;
    known = total;
  }
  if (known != total) {
    return node.fail(ErrorCode::kShape,
                     fmt::format("reshapes {} to {}", dims_text(from), dims_text(target)));
  }
  return target;
}

}  // namespace

Status import_reshape(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  auto wanted = context.listed(node, "shape", 1);
  if (!wanted) return wanted.error();
  const std::vector<std::int64_t> from = context.dims(*x);
  const auto target = reshape_target(node, from, std::move(*wanted));
  if (!target) return target.error();
  std::vector<Axis> axes;  // in the order of the elements
  for (const auto& dim : x->view) axes.insert(axes.end(), dim.begin(), dim.end());
  std::size_t next = 0;
  View view;
  for (const std::int64_t extent : *target) {
    view.emplace_back();
    std::int64_t product = 1;
    while (product < extent && next < axes.size()) {
      product *= context.axis_extent(x->tensor, axes[next]);
      view.back().push_back(axes[next++]);
    }
    if (product != extent) {
      return node.unsupported(fmt::format("reshapes {} to {}, which splits an axis of the image",
                                          dims_text(from), dims_text(*target)));
    }
  }
  context.define(node, Activation{x->tensor, std::move(view)});
  return {};
}

Status import_squeeze(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto axes = context.listed(node, "axes", 1);
  if (!axes) return axes.error();
  std::vector<bool> drop(x->view.size(), false);
  for (const std::int64_t axis : *axes) {
    const auto dim = resolve_axis(node, axis, x->view.size());
    if (!dim) return dim.error();
    drop[*dim] = true;
  }
  View view;
  for (std::size_t dim = 0; dim < x->view.size(); ++dim) {
    const bool unit = x->view[dim].empty();
    if (drop[dim] && !unit) {
      return node.fail(ErrorCode::kShape, fmt::format("squeezes dimension {} of {}", dim,
                                                      dims_text(context.dims(*x))));
    }
    if (drop[dim] || (axes->empty() && unit)) continue;
    view.push_back(x->view[dim]);
  }
  context.define(node, Activation{x->tensor, std::move(view)});
  return {};
}

Status import_unsqueeze(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const auto axes = context.listed(node, "axes", 1);
  if (!axes) return axes.error();
  const std::size_t rank = x->view.size() + axes->size();
  if (rank > 16) return node.unsupported(fmt::format("makes {} dimensions; the limit is 16", rank));
  std::vector<bool> added(rank, false);
  for (const std::int64_t axis : *axes) {
    const auto dim = resolve_axis(node, axis, rank);
    if (!dim) return dim.error();
    if (added[*dim])
      return node.fail(ErrorCode::kMalformed, fmt::format("adds axis {} twice", axis));
    added[*dim] = true;
  }
  View view;
  std::size_t next = 0;
  for (std::size_t dim = 0; dim < rank; ++dim) {
    view.push_back(added[dim] ? std::vector<Axis>{} : x->view[next++]);
  }
  context.define(node, Activation{x->tensor, std::move(view)});
  return {};
}

Status import_transpose(Context& context, const OnnxNode& node) {
  const auto x = context.activation(node, 0);
  if (!x) return x.error();
  const std::size_t rank = x->view.size();
  std::vector<std::int64_t> order = node.integers("perm");
  if (!node.has("perm")) {
    for (std::size_t dim = rank; dim-- > 0;) order.push_back(static_cast<std::int64_t>(dim));
  }
  std::vector<bool> used(rank, false);
  View view;
  for (const std::int64_t dim : order) {
    const bool inside = dim >= 0 && dim < static_cast<std::int64_t>(rank);
    if (!inside || used[static_cast<std::size_t>(dim)]) {
      return node.fail(ErrorCode::kMalformed,
                       fmt::format("perm {} does not order {} dimensions", dims_text(order), rank));
    }
    used[static_cast<std::size_t>(dim)] = true;
    view.push_back(x->view[static_cast<std::size_t>(dim)]);
  }
  if (view.size() != rank) {
    return node.fail(ErrorCode::kMalformed,
                     fmt::format("perm {} does not order {} dimensions", dims_text(order), rank));
  }
  context.define(node, Activation{x->tensor, std::move(view)});
  return {};
}

}  // namespace espalier::import_
