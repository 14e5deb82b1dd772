#include "import/onnx/context.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace espalier::import_ {

const onnx::AttributeProto* OnnxNode::find(const char* attribute) const {
  for (const auto& candidate : proto.attribute()) {
    if (candidate.name() == attribute) return &candidate;
  }
  return nullptr;
}

std::int64_t OnnxNode::integer(const char* attribute, std::int64_t otherwise) const {
  const auto* found = find(attribute);
  return found != nullptr ? found->i() : otherwise;
}

float OnnxNode::real(const char* attribute, float otherwise) const {
  const auto* found = find(attribute);
  return found != nullptr ? found->f() : otherwise;
}

std::string OnnxNode::text(const char* attribute, const std::string& otherwise) const {
  const auto* found = find(attribute);
  return found != nullptr ? found->s() : otherwise;
}

std::vector<std::int64_t> OnnxNode::integers(const char* attribute) const {
  const auto* found = find(attribute);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

Diagnostic OnnxNode::fail(ErrorCode code, std::string message) const {
  return {code, std::move(message), fmt::format("node '{}' ({})", name_, type())};
}

Diagnostic OnnxNode::placed(Diagnostic diagnostic) const {
  if (diagnostic.place.empty()) return fail(diagnostic.code, std::move(diagnostic.message));
  diagnostic.place = fmt::format("node '{}' ({}): {}", name_, type(), diagnostic.place);
  return diagnostic;
}

Result<const Value*> Context::value(const OnnxNode& node, int i) const {
  if (!node.has_input(i)) {
    return node.fail(ErrorCode::kMalformed, fmt::format("input {} is missing", i));
  }
  const auto found = values.find(node.proto.input(i));
  if (found == values.end()) {
    return node.fail(ErrorCode::kMalformed,
                     fmt::format("input '{}' is not defined before it", node.proto.input(i)));
  }
  return &found->second;
}

Result<Activation> Context::activation(const OnnxNode& node, int i) const {
  const auto found = value(node, i);
  if (!found) return found.error();
  const auto* x = std::get_if<Activation>(*found);
  if (x == nullptr) {
    return node.unsupported(
        fmt::format("input '{}' is a constant where an activation is needed", node.proto.input(i)));
  }
  return *x;
}

Result<std::shared_ptr<const Constant>> Context::constant(const OnnxNode& node, int i) const {
  const auto found = value(node, i);
  if (!found) return found.error();
  const auto* constant = std::get_if<std::shared_ptr<const Constant>>(*found);
  if (constant == nullptr) {
    return node.unsupported(
        fmt::format("input '{}' is computed at run time; only a constant is supported there",
                    node.proto.input(i)));
  }
  return *constant;
}

Result<std::vector<std::int64_t>> Context::integers(const OnnxNode& node, int i) const {
  const auto found = constant(node, i);
  if (!found) return found.error();
  if ((*found)->is_float) {
    return node.fail(
        ErrorCode::kMalformed,
        fmt::format("input '{}' holds floats; integers are needed", node.proto.input(i)));
  }
  return (*found)->integers;
}

Result<std::vector<std::int64_t>> Context::listed(const OnnxNode& node, const char* attribute,
                                                  int i) const {
  if (node.has_input(i)) return integers(node, i);
  return node.integers(attribute);
}

void Context::define(const OnnxNode& node, Value result, int output) {
  if (output >= node.proto.output_size() || node.proto.output(output).empty()) return;
  values.insert_or_assign(node.proto.output(output), std::move(result));
}

void Context::emit(const OnnxNode& node, WorkOp op, std::vector<int> inputs, const ir::Shape& shape,
                   const View& view) {
  const int tensor =
      work.add_node(node.name(), node.proto.output(0), std::move(op), std::move(inputs), shape);
  define(node, Activation{tensor, normalised(tensor, view)});
}

int Context::emit_step(const OnnxNode& node, const char* step, WorkOp op, std::vector<int> inputs,
                       const ir::Shape& shape) {
  const std::string name = node.name() + "." + step;
  return work.add_node(name, name, std::move(op), std::move(inputs), shape);
}

std::int64_t Context::axis_extent(int tensor, Axis axis) const {
  const ir::Shape& shape = work.shape(tensor);
  switch (axis) {
    case Axis::kBatch:
      return batch;
    case Axis::kChannel:
      return shape.c;
    case Axis::kRow:
      return shape.h;
    default:
      return shape.w;
  }
}

std::vector<std::int64_t> Context::dims(const Activation& x) const {
  std::vector<std::int64_t> result;
  for (const auto& axes : x.view) {
    std::int64_t extent = 1;
    for (const Axis axis : axes) extent *= axis_extent(x.tensor, axis);
    result.push_back(extent);
  }
  return result;
}

View Context::normalised(int tensor, const View& view) const {
  View result = view;
  for (auto& axes : result) {
    std::erase_if(axes, [&](Axis axis) { return axis_extent(tensor, axis) == 1; });
  }
  return result;
}

std::vector<std::optional<Axis>> Context::dimension_axes(const Activation& x) const {
  using enum Axis;
  for (const View& layout : {View{{kBatch}, {kChannel}, {kRow}, {kColumn}},
                             View{{kBatch}, {kRow}, {kColumn}, {kChannel}}}) {
    if (normalised(x.tensor, layout) != x.view) continue;
    std::vector<std::optional<Axis>> axes;
    for (const auto& dim : layout) axes.emplace_back(dim[0]);
    return axes;
  }
  std::vector<std::optional<Axis>> axes;
  for (const auto& dim : x.view) {
    axes.push_back(dim.size() == 1 ? std::optional(dim[0]) : std::nullopt);
  }
  return axes;
}

View Context::explicit_view(const Activation& x) const {
  const auto axes = dimension_axes(x);
  View view = x.view;
  for (std::size_t dim = 0; dim < view.size(); ++dim) {
    if (axes[dim]) view[dim] = {*axes[dim]};
  }
  return view;
}

bool Context::is_axis(const Activation& x, std::size_t dim, Axis axis) const {
  if (axis_extent(x.tensor, axis) == 1) return x.view[dim].empty();
  return x.view[dim].size() == 1 && x.view[dim][0] == axis;
}

View Context::nchw(int tensor) const {
  return normalised(tensor, {{Axis::kBatch}, {Axis::kChannel}, {Axis::kRow}, {Axis::kColumn}});
}

Status Context::require_nchw(const OnnxNode& node, const Activation& x) const {
  if (x.view == nchw(x.tensor)) return {};
  return node.unsupported(fmt::format("needs an image in the layout N, C, H, W; its input is {}{}",
                                      dims_text(dims(x)),
                                      x.view.size() == 4 ? " in another layout" : ""));
}

Result<ir::Shape> checked_shape(std::int64_t c, std::int64_t h, std::int64_t w) {
  for (const std::int64_t extent : {c, h, w}) {
    if (extent < 1 || extent > kMaxExtent) {
      return fail(ErrorCode::kRange,
                  fmt::format("extent is {}; the limits are 1 and {}", extent, kMaxExtent));
    }
  }
  if (c * h > kMaxActivation || c * h * w > kMaxActivation) {
    return fail(ErrorCode::kRange,
                fmt::format("tensor has {} elements; the limit is {}", c * h * w, kMaxActivation));
  }
  return ir::Shape{static_cast<int>(c), static_cast<int>(h), static_cast<int>(w)};
}

std::string dims_text(const std::vector<std::int64_t>& dims) {
  return dims.empty() ? "a scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

Result<std::size_t> resolve_axis(const OnnxNode& node, std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return node.fail(ErrorCode::kRange,
                     fmt::format("axis is {}; the tensor has {} dimensions", axis, rank));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<std::size_t> axis_of(const OnnxNode& node, std::int64_t otherwise, std::size_t rank) {
  return resolve_axis(node, node.integer("axis", otherwise), rank);
}

Result<std::vector<std::size_t>> resolve_axes(const OnnxNode& node,
                                              const std::vector<std::int64_t>& axes,
                                              std::size_t rank) {
  std::vector<std::size_t> dims;
  for (const std::int64_t axis : axes) {
    const auto dim = resolve_axis(node, axis, rank);
    if (!dim) return dim.error();
    dims.push_back(*dim);
  }
  return dims;
}

}  // namespace espalier::import_
