// Operators on constants only: the chains that compute the shape of a Reshape, and weights that
// an exporter left unfolded.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx/operators.hpp"

namespace espalier::import_ {
namespace {

/// The most elements that one folded constant may have.
constexpr std::int64_t kMaxFolded = std::int64_t{1} << 26;
/// The same where each element costs arithmetic and its operands' places.
constexpr std::int64_t kMaxArithmetic = std::int64_t{1} << 24;

Constant like(const Constant& model, std::vector<std::int64_t> dims) {
  Constant result;
  result.dims = std::move(dims);
  result.is_float = model.is_float;
  return result;
}

void append(Constant& to, const Constant& from, std::size_t index) {
  if (to.is_float) {
    to.floats.push_back(from.is_float ? from.floats[index]
                                      : static_cast<float>(from.integers[index]));
  } else {
    to.integers.push_back(from.integers[index]);
  }
}

Diagnostic too_large(const OnnxNode& node) {
  return node.fail(ErrorCode::kRange, "folds to a constant that is too large");
}

/// Whether all inputs are there, and as many as the operator has. Errors: kMalformed, kUnsupported.
Status require_all(const OnnxNode& node, const Inputs& inputs, std::size_t count) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr)
      return node.fail(ErrorCode::kMalformed, fmt::format("input {} is missing", i));
  }
  if (inputs.size() == count) return {};
  return node.unsupported(
      fmt::format("has {} constant operands, which it does not fold", inputs.size()));
}

/// Calls visit(index of the source element) for each element of a strided walk over it.
template <typename Visit>
void walk(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides,
          std::int64_t offset, Visit&& visit) {
  std::vector<std::int64_t> at(dims.size(), 0);
  const std::int64_t total = element_count(dims);
  for (std::int64_t i = 0; i < total; ++i) {
    visit(static_cast<std::size_t>(offset));
    for (std::size_t d = dims.size(); d-- > 0;) {
      offset += strides[d];
      if (++at[d] < dims[d]) break;
      offset -= strides[d] * dims[d];
      at[d] = 0;
    }
  }
}

std::vector<std::int64_t> row_major(const std::vector<std::int64_t>& dims) {
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t d = dims.size(); d-- > 1;) strides[d - 1] = strides[d] * dims[d];
  return strides;
}

}  // namespace

Result<Constant> fold_same(const Context&, const OnnxNode&, const Inputs& inputs) {
  return *inputs[0];
}

Result<Constant> fold_cast(const Context&, const OnnxNode& node, const Inputs& inputs) {
  const Constant& x = *inputs[0];
  const std::int64_t to = node.integer("to", onnx::TensorProto::FLOAT);
  Constant result = like(x, x.dims);
  result.is_float = to == onnx::TensorProto::FLOAT || to == onnx::TensorProto::DOUBLE ||
                    to == onnx::TensorProto::FLOAT16 || to == onnx::TensorProto::BFLOAT16;
  for (std::size_t i = 0; i < x.count(); ++i) {
    const double value = x.at(i);
    if (result.is_float) {
      result.floats.push_back(static_cast<float>(value));
    } else if (!x.is_float) {
      result.integers.push_back(x.integers[i]);
    } else if (std::abs(value) < 9e18) {
      result.integers.push_back(static_cast<std::int64_t>(value));
    } else {
      return node.fail(ErrorCode::kRange, fmt::format("casts {} to an integer", value));
    }
  }
  return result;
}

Result<Constant> fold_gather(const Context&, const OnnxNode& node, const Inputs& inputs) {
  if (const Status status = require_all(node, inputs, 2); !status) return status.error();
  const Constant &x = *inputs[0], &indices = *inputs[1];
  const auto axis = axis_of(node, 0, x.dims.size());
  if (!axis) return axis.error();
  if (indices.is_float) return node.fail(ErrorCode::kMalformed, "indices are floats");
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (std::size_t i = 0; i < *axis; ++i) outer *= x.dims[i];
  for (std::size_t i = *axis + 1; i < x.dims.size(); ++i) inner *= x.dims[i];
  std::vector<std::int64_t> dims(x.dims.begin(),
                                 x.dims.begin() + static_cast<std::ptrdiff_t>(*axis));
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + static_cast<std::ptrdiff_t>(*axis) + 1, x.dims.end());
  const std::int64_t total = element_count(dims);
  if (total < 0 || total > kMaxFolded) return too_large(node);
  Constant result = like(x, std::move(dims));
  const std::int64_t extent = x.dims[*axis];
  for (std::int64_t index : indices.integers) {
    if (index < -extent || index >= extent) {
      return node.fail(ErrorCode::kRange,
                       fmt::format("index is {}; the axis has {}", index, extent));
    }
  }
  if (total == 0) return result;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t index : indices.integers) {
      const std::int64_t at = (o * extent + (index < 0 ? index + extent : index)) * inner;
      for (std::int64_t i = 0; i < inner; ++i) append(result, x, static_cast<std::size_t>(at + i));
    }
  }
  return result;
}

Result<Constant> fold_concat(const Context&, const OnnxNode& node, const Inputs& inputs) {
  if (const Status status = require_all(node, inputs, inputs.size()); !status)
    return status.error();
  const auto axis = axis_of(node, 0, inputs[0]->dims.size());
  if (!axis) return axis.error();
  std::vector<std::int64_t> dims = inputs[0]->dims;
  std::int64_t outer = 1;
  for (std::size_t i = 0; i < *axis; ++i) outer *= dims[i];
  for (const auto& input : inputs) {
    std::vector<std::int64_t> own = input->dims;
    if (own.size() == dims.size()) own[*axis] = dims[*axis];
    if (own != dims) {
      return node.fail(ErrorCode::kShape, fmt::format("operands are {} and {}", dims_text(dims),
                                                      dims_text(input->dims)));
    }
  }
  dims[*axis] = 0;
  bool is_float = false;
  for (const auto& input : inputs) {
    if (input->dims[*axis] > kMaxFolded) return too_large(node);
    dims[*axis] += input->dims[*axis];
    is_float = is_float || input->is_float;
  }
  const std::int64_t total = element_count(dims);
  if (total < 0 || total > kMaxFolded) return too_large(node);
  Constant result = like(*inputs[0], std::move(dims));
  result.is_float = is_float;
  if (total == 0) return result;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const auto& input : inputs) {
      const std::size_t part = input->count() / static_cast<std::size_t>(outer);
      for (std::size_t i = 0; i < part; ++i) {
        append(result, *input, static_cast<std::size_t>(o) * part + i);
      }
    }
  }
  return result;
}

Result<Constant> fold_transpose(const Context&, const OnnxNode& node, const Inputs& inputs) {
  const Constant& x = *inputs[0];
  std::vector<std::int64_t> order = node.integers("perm");
  if (!node.has("perm")) {
    for (std::size_t d = x.dims.size(); d-- > 0;) order.push_back(static_cast<std::int64_t>(d));
  }
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t d = 0; d < sorted.size(); ++d) {
    if (sorted.size() != x.dims.size() || sorted[d] != static_cast<std::int64_t>(d)) {
      return node.fail(ErrorCode::kMalformed, fmt::format("perm {} does not order {} dimensions",
                                                          dims_text(order), x.dims.size()));
    }
  }
  const auto strides = row_major(x.dims);
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> steps;
  for (const std::int64_t d : order) {
    dims.push_back(x.dims[static_cast<std::size_t>(d)]);
    steps.push_back(strides[static_cast<std::size_t>(d)]);
  }
  Constant result = like(x, dims);
  walk(dims, steps, 0, [&](std::size_t i) { append(result, x, i); });
  return result;
}

Result<Constant> fold_arithmetic(const Context&, const OnnxNode& node, const Inputs& inputs) {
  if (const Status status = require_all(node, inputs, 2); !status) return status.error();
  const Constant &a = *inputs[0], &b = *inputs[1];
  const std::size_t rank = std::max(a.dims.size(), b.dims.size());
  std::vector<std::int64_t> dims(rank, 1);
  std::vector<std::int64_t> steps[2];
  for (int operand = 0; operand < 2; ++operand) {
    const Constant& x = operand == 0 ? a : b;
    steps[operand].assign(rank, 0);
    const auto strides = row_major(x.dims);
    for (std::size_t d = 0; d < x.dims.size(); ++d) {
      const std::size_t at = rank - x.dims.size() + d;
      if (x.dims[d] == 1) continue;
      if (dims[at] != 1 && dims[at] != x.dims[d]) {
        return node.fail(ErrorCode::kShape, fmt::format("operands are {} and {}", dims_text(a.dims),
                                                        dims_text(b.dims)));
      }
      dims[at] = x.dims[d];
      steps[operand][d + rank - x.dims.size()] = strides[d];
    }
  }
  const std::int64_t total = element_count(dims);
  if (total < 0 || total > kMaxArithmetic) return too_large(node);
  std::vector<std::size_t> left;
  std::vector<std::size_t> right;
  walk(dims, steps[0], 0, [&](std::size_t i) { left.push_back(i); });
  walk(dims, steps[1], 0, [&](std::size_t i) { right.push_back(i); });
  Constant result;
  result.dims = dims;
  result.is_float = a.is_float || b.is_float;
  const char op = node.type()[0] == 'M'   ? '*'
                  : node.type()[0] == 'D' ? '/'
                  : node.type()[0] == 'S' ? '-'
                                          : '+';
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (result.is_float) {
      const double x = a.at(left[i]);
      const double y = b.at(right[i]);
      result.floats.push_back(static_cast<float>(op == '*'   ? x * y
                                                 : op == '/' ? x / y
                                                 : op == '-' ? x - y
                                                             : x + y));
      continue;
    }
    const std::int64_t x = a.integers[left[i]];
    const std::int64_t y = b.integers[right[i]];
    std::int64_t value = 0;
    const bool bad = op == '*'   ? __builtin_mul_overflow(x, y, &value)
                     : op == '-' ? __builtin_sub_overflow(x, y, &value)
                     : op == '+'
                         ? __builtin_add_overflow(x, y, &value)
                         : y == 0 || (y == -1 && x == std::numeric_limits<std::int64_t>::min());
    if (bad) return node.fail(ErrorCode::kRange, fmt::format("{} {} {} overflows", x, op, y));
    result.integers.push_back(op == '/' ? x / y : value);
  }
  return result;
}

Result<Constant> fold_slice(const Context&, const OnnxNode& node, const Inputs& inputs) {
  const Constant& x = *inputs[0];
  std::vector<std::int64_t> lists[4];
  const char* names[] = {"starts", "ends", "axes", "steps"};
  for (std::size_t i = 0; i < 4; ++i) {
    lists[i] = node.integers(names[i]);
    if (i + 1 < inputs.size() && inputs[i + 1] != nullptr) lists[i] = inputs[i + 1]->integers;
    if (i == 2 && lists[2].empty()) {
      for (std::size_t d = 0; d < lists[0].size(); ++d) lists[2].push_back(static_cast<int>(d));
    }
    if (i == 3 && lists[3].empty()) lists[3].assign(lists[0].size(), 1);
    const bool floats = i + 1 < inputs.size() && inputs[i + 1] && inputs[i + 1]->is_float;
    if (floats || lists[i].size() != lists[0].size()) {
      return node.fail(ErrorCode::kMalformed, "starts, ends, axes and steps do not match");
    }
  }
  std::vector<std::int64_t> dims = x.dims;
  std::vector<std::int64_t> steps = row_major(x.dims);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < lists[0].size(); ++i) {
    const auto d = resolve_axis(node, lists[2][i], dims.size());
    if (!d) return d.error();
    const std::int64_t extent = x.dims[*d];
    const std::int64_t step = lists[3][i];
    if (step == 0) return node.fail(ErrorCode::kMalformed, "step is 0");
    if (dims[*d] != extent) return node.unsupported(fmt::format("cuts axis {} twice", *d));
    const std::int64_t least = step < 0 ? -1 : 0;
    const std::int64_t most = step < 0 ? extent - 1 : extent;
    const auto bound = [&](std::int64_t at) {
      return std::clamp(at < 0 ? at + extent : at, least, most);
    };
    const std::int64_t first = std::min(bound(lists[0][i]), extent - 1);
    const std::int64_t end = bound(lists[1][i]);
    const std::int64_t distance = step < 0 ? bound(lists[0][i]) - end : end - bound(lists[0][i]);
    const std::int64_t stride =
        std::min(step < 0 ? -std::max(step, -extent - 1) : step, extent + 1);
    dims[*d] = distance <= 0 ? 0 : (distance + stride - 1) / stride;
    if (dims[*d] > 0) offset += first * steps[*d];
    steps[*d] *= step < 0 ? -stride : stride;
  }
  Constant result = like(x, dims);
  walk(dims, steps, offset, [&](std::size_t i) { append(result, x, i); });
  return result;
}

Result<Constant> fold_reshape(const Context&, const OnnxNode& node, const Inputs& inputs) {
  Constant result = *inputs[0];
  std::vector<std::int64_t> dims;
  if (node.type() == "Flatten") {
    const auto rank = static_cast<std::int64_t>(result.dims.size());
    std::int64_t axis = node.integer("axis", 1);
    axis = std::clamp<std::int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
    dims = {1, 1};
    for (std::size_t d = 0; d < result.dims.size(); ++d) {
      dims[static_cast<std::int64_t>(d) < axis ? 0 : 1] *= result.dims[d];
    }
  } else {
    dims = inputs.size() > 1 && inputs[1] ? inputs[1]->integers : node.integers("shape");
  }
  std::int64_t known = 1;
  std::ptrdiff_t inferred = -1;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 0 && d < result.dims.size()) dims[d] = result.dims[d];
    if (dims[d] == -1) {
      inferred = static_cast<std::ptrdiff_t>(d);
    } else if (dims[d] < 0 || dims[d] > kMaxFolded || known > kMaxFolded) {
      return node.fail(ErrorCode::kShape, fmt::format("reshapes to {}", dims_text(dims)));
    } else {
      known *= dims[d];
    }
  }
  const auto total = static_cast<std::int64_t>(result.count());
  if (inferred >= 0 && known > 0) dims[static_cast<std::size_t>(inferred)] = total / known;
  if (element_count(dims) != total) {
    return node.fail(ErrorCode::kShape,
                     fmt::format("reshapes {} to {}", dims_text(result.dims), dims_text(dims)));
  }
  result.dims = std::move(dims);
  return result;
}

Result<Constant> fold_squeeze(const Context&, const OnnxNode& node, const Inputs& inputs) {
  Constant result = *inputs[0];
  const auto axes = inputs.size() > 1 && inputs[1] ? inputs[1]->integers : node.integers("axes");
  const bool adds = node.type() == "Unsqueeze";
  const std::size_t rank = result.dims.size() + (adds ? axes.size() : 0);
  if (rank > 16) return node.unsupported(fmt::format("makes {} dimensions; the limit is 16", rank));
  std::vector<bool> marked(rank, false);
  for (const std::int64_t axis : axes) {
    const auto dim = resolve_axis(node, axis, rank);
    if (!dim) return dim.error();
    if (marked[*dim])
      return node.fail(ErrorCode::kMalformed, fmt::format("names axis {} twice", axis));
    marked[*dim] = true;
  }
  std::vector<std::int64_t> dims;
  std::size_t next = 0;
  for (std::size_t dim = 0; dim < rank; ++dim) {
    if (adds) {
      dims.push_back(marked[dim] ? 1 : result.dims[next++]);
    } else if (marked[dim] && result.dims[dim] != 1) {
      return node.fail(ErrorCode::kShape,
                       fmt::format("squeezes dimension {} of {}", dim, dims_text(result.dims)));
    } else if (!(marked[dim] || (axes.empty() && result.dims[dim] == 1))) {
      dims.push_back(result.dims[dim]);
    }
  }
  result.dims = std::move(dims);
  return result;
}

Result<Constant> fold_fill(const Context& context, const OnnxNode& node, const Inputs& inputs) {
  const Constant& shape = *inputs[0];
  Constant result;
  result.dims = shape.integers;
  const std::int64_t total = element_count(result.dims);
  if (shape.is_float || total < 0 || total > kMaxFolded) return too_large(node);
  Constant value;
  value.floats = {0.0F};
  if (const auto* attribute = node.find("value"); attribute != nullptr && attribute->has_t()) {
    auto decoded = decode_constant(attribute->t(), context.folder);
    if (!decoded) return node.placed(decoded.error());
    value = std::move(decoded.value());
  }
  if (value.count() != 1) return node.fail(ErrorCode::kShape, "value is no scalar");
  result.is_float = value.is_float;
  for (std::int64_t i = 0; i < total; ++i) append(result, value, 0);
  return result;
}

Result<Constant> fold_sqrt(const Context&, const OnnxNode&, const Inputs& inputs) {
  const Constant& x = *inputs[0];
  Constant result = like(x, x.dims);
  result.is_float = true;
  for (std::size_t i = 0; i < x.count(); ++i) {
    result.floats.push_back(static_cast<float>(std::sqrt(x.at(i))));
  }
  return result;
}

Status fold_constant(Context& context, const OnnxNode& node, Fold fold) {
  Inputs inputs;
  for (int i = 0; i < node.proto.input_size(); ++i) {
    if (!node.has_input(i)) {
      inputs.push_back(nullptr);
      continue;
    }
    auto constant = context.constant(node, i);
    if (!constant) return constant.error();
    inputs.push_back(*constant);
  }
  if (inputs.empty() || inputs[0] == nullptr)
    return node.fail(ErrorCode::kMalformed, "input 0 is missing");
  auto folded = fold(context, node, inputs);
  if (!folded) return folded.error();
  context.folded_elements += static_cast<std::int64_t>(folded->count());
  if (context.folded_elements > 4 * kMaxFolded) return too_large(node);
  context.define(node, std::make_shared<const Constant>(std::move(folded.value())));
  return {};
}

}  // namespace espalier::import_
