#include "import/onnx/quant_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"

namespace espalier::import_ {
namespace {

using onnx::TensorProto;

Stored stored_type(int element) {
  if (element == TensorProto::INT8) return Stored::kInt8;
  return element == TensorProto::UINT8 ? Stored::kUint8 : Stored::kUnknown;
}

/// Scale and zero point of a QuantizeLinear or a DequantizeLinear.
struct Parameters {
  std::vector<float> scale;
  std::int64_t zero = 0;
  int element = 0;  ///< type of the zero point; 0: there is none
};

Result<Parameters> parameters(const Context& context, const OnnxNode& node) {
  if (node.integer("block_size", 0) != 0) {
    return node.unsupported("quantises by blocks; a scale a tensor or a channel is supported");
  }
  Parameters result;
  const auto scale = context.constant(node, 1);
  if (!scale) return scale.error();
  if (!(*scale)->is_float || (*scale)->count() == 0 || (*scale)->dims.size() > 1) {
    return node.unsupported(fmt::format("scale is {}; one float, or one a channel, is supported",
                                        dims_text((*scale)->dims)));
  }
  result.scale = (*scale)->floats;
  for (const float s : result.scale) {
    if (!std::isnormal(s) || s < 0) {
      return node.fail(ErrorCode::kRange,
                       fmt::format("scale is {}; it must be positive and normal", s));
    }
  }
  if (!node.has_input(2)) return result;
  const auto zero = context.constant(node, 2);
  if (!zero) return zero.error();
  const Constant& z = **zero;
  if (z.is_float || z.count() == 0) {
    return node.unsupported(fmt::format("zero point is {} of type {}; integers are supported",
                                        dims_text(z.dims), z.element));
  }
  for (const std::int64_t value : z.integers) {
    if (value != z.integers[0]) {
      return node.unsupported(
          fmt::format("has a zero point per channel ({} and {}); one zero point is supported",
                      z.integers[0], value));
    }
  }
  result.zero = z.integers[0];
  result.element = z.element;
  return result;
}

Status check_zero(const OnnxNode& node, const Parameters& p, Stored type) {
  const int least = least_of(type);
  if (p.zero >= least && p.zero <= least + 255) return {};
  return node.fail(ErrorCode::kRange, fmt::format("zero point is {}; the limits are {} and {}",
                                                  p.zero, least, least + 255));
}

Status check_stored(const OnnxNode& node, const Parameters& p, Stored type) {
  if (p.scale.size() != 1) {
    return node.unsupported(
        fmt::format("quantises an activation with {} scales; one is supported", p.scale.size()));
  }
  if (type == Stored::kUnknown) {
    return node.unsupported(fmt::format(
        "stores activations as element type {}; int8 and uint8 are supported", p.element));
  }
  return check_zero(node, p, type);
}

/// Place along the axis of each element of a constant.
struct AxisWalk {
  std::size_t inner = 1, extent = 1;
  AxisWalk(const std::vector<std::int64_t>& dims, std::size_t axis) {
    if (axis >= dims.size()) return;
    extent = static_cast<std::size_t>(dims[axis]);
    for (std::size_t i = axis + 1; i < dims.size(); ++i) {
      inner *= static_cast<std::size_t>(dims[i]);
    }
  }
  [[nodiscard]] std::size_t place(std::size_t i) const { return i / inner % extent; }
};

/// The axis of a constant's scales. Errors: where their number does not fit.
Result<std::size_t> scale_axis(const OnnxNode& node, const Constant& x, const Parameters& p) {
  if (p.scale.size() == 1) return std::size_t{0};
  const auto axis = axis_of(node, 1, x.dims.size());
  if (!axis) return axis.error();
  if (x.dims[*axis] == static_cast<std::int64_t>(p.scale.size())) return *axis;
  return node.fail(ErrorCode::kShape, fmt::format("{} scales on axis {} of {}", p.scale.size(),
                                                  *axis, dims_text(x.dims)));
}

Status quantise_constant(Context& context, const OnnxNode& node, const Constant& x,
                         const Parameters& p, Stored type) {
  if (!x.is_float) return node.fail(ErrorCode::kMalformed, "quantises integers");
  const auto axis = scale_axis(node, x, p);
  if (!axis) return axis.error();
  const AxisWalk walk(x.dims, *axis);
  if (const Status status = check_zero(node, p, type); !status) return status;
  const int least = least_of(type);
  auto result = std::make_shared<Constant>();
  result->dims = x.dims;
  result->is_float = false;
  result->element = type == Stored::kUint8 ? TensorProto::UINT8 : TensorProto::INT8;
  for (std::size_t i = 0; i < x.count(); ++i) {
    if (std::isnan(x.floats[i])) return node.fail(ErrorCode::kRange, "quantises a NaN");
    const ir::Quant quant{p.scale[p.scale.size() == 1 ? 0 : walk.place(i)],
                          static_cast<int>(p.zero)};
    result->integers.push_back(ir::stored(x.floats[i], quant, ir::Ties::kEven, least, least + 255));
  }
  context.define(node, std::shared_ptr<const Constant>(std::move(result)));
  return {};
}

Status dequantise_constant(Context& context, const OnnxNode& node, const Constant& x,
                           const Parameters& p) {
  if (x.is_float) return node.fail(ErrorCode::kMalformed, "dequantises floats");
  const auto axis = scale_axis(node, x, p);
  if (!axis) return axis.error();
  const AxisWalk walk(x.dims, *axis);
  auto steps = std::make_shared<ConstantSteps>();
  steps->scale = p.scale;
  steps->zero = p.zero;
  steps->axis = *axis;
  auto result = std::make_shared<Constant>();
  result->dims = x.dims;
  for (std::size_t i = 0; i < x.count(); ++i) {
    constexpr std::int64_t kLimit = std::int64_t{1} << 33;
    if (std::abs(x.integers[i]) > kLimit || std::abs(p.zero) > kLimit) {
      return node.fail(ErrorCode::kRange, fmt::format("dequantises {}", x.integers[i]));
    }
    const std::int64_t step = x.integers[i] - p.zero;
    steps->steps.push_back(step);
    const float scale = p.scale[p.scale.size() == 1 ? 0 : walk.place(i)];
    result->floats.push_back(static_cast<float>(step) * scale);
  }
  result->steps = std::move(steps);
  context.define(node, std::shared_ptr<const Constant>(std::move(result)));
  return {};
}

}  // namespace

Status import_quantise(Context& context, const OnnxNode& node) {
  const auto value = context.value(node, 0);
  if (!value) return value.error();
  const auto p = parameters(context, node);
  if (!p) return p.error();
  int element = p->element;
  if (element == 0) element = static_cast<int>(node.integer("output_dtype", TensorProto::UINT8));
  if (element == 0) element = TensorProto::UINT8;
  const Stored type = stored_type(element);
  if (const auto* constant = std::get_if<std::shared_ptr<const Constant>>(*value)) {
    if (type == Stored::kUnknown) {
      return node.unsupported(
          fmt::format("quantises to element type {}; int8 and uint8 are supported", element));
    }
    const auto kept = *constant;  // defining the result may move the map's values
    return quantise_constant(context, node, *kept, *p, type);
  }
  if (const Status status = check_stored(node, *p, type); !status) return status;
  const Activation x = std::get<Activation>(**value);
  context.emit(node, Quantise{p->scale[0], static_cast<int>(p->zero), type}, {x.tensor},
               context.work.shape(x.tensor), x.view);
  return {};
}

Status import_dequantise(Context& context, const OnnxNode& node) {
  const auto value = context.value(node, 0);
  if (!value) return value.error();
  const auto p = parameters(context, node);
  if (!p) return p.error();
  if (const auto* constant = std::get_if<std::shared_ptr<const Constant>>(*value)) {
    const auto kept = *constant;
    return dequantise_constant(context, node, *kept, *p);
  }
  // Without a zero point the type is that of the input, whose own zero point is then 0.
  const Stored type = stored_type(p->element);
  if (p->element != 0 || p->scale.size() != 1) {
    if (const Status status = check_stored(node, *p, type); !status) return status;
  }
  const Activation x = std::get<Activation>(**value);
  context.emit(node, Dequantise{p->scale[0], static_cast<int>(p->zero), type}, {x.tensor},
               context.work.shape(x.tensor), x.view);
  return {};
}

void keep_steps(Context& context, const OnnxNode& node) {
  static const char* const kMoves[] = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"};
  if (std::find(std::begin(kMoves), std::end(kMoves), node.type()) == std::end(kMoves)) return;
  const auto from = context.constant(node, 0);
  if (!from || (*from)->steps == nullptr) return;
  const auto found = context.values.find(node.proto.output(0));
  if (found == context.values.end()) return;
  auto steps = std::make_shared<ConstantSteps>(*(*from)->steps);
  if (steps->scale.size() > 1) {
    if (node.type() != "Transpose") return;
    std::vector<std::int64_t> order = node.integers("perm");
    if (order.empty()) {
      for (std::size_t d = (*from)->dims.size(); d-- > 0;) {
        order.push_back(static_cast<std::int64_t>(d));
      }
    }
    const auto at = std::find(order.begin(), order.end(), static_cast<std::int64_t>(steps->axis));
    steps->axis = static_cast<std::size_t>(at - order.begin());
  }
  steps->steps.clear();  // in another order now; the values tell them
  auto moved =
      std::make_shared<Constant>(*std::get<std::shared_ptr<const Constant>>(found->second));
  moved->steps = std::move(steps);
  found->second = std::shared_ptr<const Constant>(std::move(moved));
}

void keep_dense(Context& context, const OnnxNode& node) {
  const std::string& type = node.type();
  if (type != "Conv" && type != "Gemm" && type != "MatMul") return;
  if (node.real("alpha", 1) != 1 || node.real("beta", 1) != 1) return;
  const auto found = context.values.find(node.proto.output(0));
  const auto weights = context.constant(node, 1);
  if (found == context.values.end() || !weights || (*weights)->steps == nullptr) return;
  const ConstantSteps& steps = *(*weights)->steps;
  const bool rows_first = type == "Conv" || node.integer("transB", 0) != 0;
  StoredDense dense{steps.scale, steps.axis, rows_first ? 0 : (*weights)->dims.size() - 1,
                    steps.zero,  {},         {}};
  if (node.has_input(2)) {
    const auto bias = context.constant(node, 2);
    if (!bias) return;
    if ((*bias)->steps != nullptr) {
      dense.bias = (*bias)->steps->steps;
      dense.bias_scale = (*bias)->steps->scale;
    }
  }
  context.dense[std::get<Activation>(found->second).tensor] = std::move(dense);
}

}  // namespace espalier::import_
