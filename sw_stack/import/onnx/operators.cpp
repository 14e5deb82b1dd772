#include "import/onnx/operators.hpp"

#include <algorithm>

#include "import/onnx/quant_nodes.hpp"
#include "import/operators.hpp"

namespace espalier::import_ {
namespace {

constexpr OnnxOperator stored(std::string_view name, std::string_view becomes,
                              std::string_view conditions, const StoredForm& form) {
  return {name, becomes, conditions, import_stored, nullptr, form};
}

constexpr auto kOperators = std::to_array<OnnxOperator>({
    {"Add", "residual add, or folded into a convolution",
     "two activations of one shape, or an activation and a constant of one value a channel",
     import_add, fold_arithmetic},
    {"AveragePool", "average pool",
     "both divisor conventions, ceil mode, pads on any side, no dilation, window up to 255",
     import_average_pool},
    {"BatchNormalization", "folded into a convolution", "inference mode, constant parameters",
     import_batch_norm},
    {"Cast", "nothing", "to float", import_identity, fold_cast},
    {"Clip", "clamp of the layer before", "constant bounds", import_clip},
    {"Concat", "a placement in memory", "along channels, or of constants", import_concat,
     fold_concat},
    {"Constant", "folded", "", import_constant},
    {"ConstantOfShape", "folded", "of constants", nullptr, fold_fill},
    {"Conv", "convolution", kWindowConditions, import_conv},
    {"DequantizeLinear", "nothing", "after QuantizeLinear or a constant; int8, uint8; bias int32",
     import_dequantise},
    {"Div", "folded into a convolution", "by a constant of one value a channel", import_div,
     fold_arithmetic},
    {"Dropout", "nothing", "inference mode", import_identity, fold_same},
    {"Flatten", "nothing", "its result feeds a Gemm, a MatMul or the output", import_flatten,
     fold_reshape},
    {"Gather", "a selection of channels", "channels by a constant list, or of constants",
     import_gather, fold_gather},
    {"Gemm", "convolution whose kernel is the image", "constant matrix", import_gemm},
    {"GlobalAveragePool", "sums in post, or an average pool", "", import_global_pool},
    {"GlobalMaxPool", "max pool", "", import_global_pool},
    {"Identity", "nothing", "", import_identity, fold_same},
    {"LogSoftmax", "softmax on the host", "the last operator", import_softmax},
    {"MatMul", "convolution whose kernel is the image", "constant matrix on the right",
     import_matmul},
    {"Max", "clamp of the layer before", "an activation and a constant scalar", import_max},
    {"MaxPool", "max pool",
     "ceil mode, pads on any side, no dilation, window up to 255, one output", import_max_pool},
    {"Min", "clamp of the layer before", "an activation and a constant scalar", import_min},
    {"Mul", "folded into a convolution", "by a constant of one value a channel", import_mul,
     fold_arithmetic},
    {"Neg", "folded into a convolution", "", import_neg},
    {"Pad", "the window's padding, or a convolution", "mode constant; channels with 0", import_pad},
    stored("QGemm", "convolution whose kernel is the image", "of com.microsoft; constant matrix",
           {"Gemm", {0, 3}, 7, 6}),
    stored("QLinearAdd", "residual add, or a convolution",
           "of com.microsoft; two activations of one shape, or a constant of one value a channel",
           {"Add", {0, 3}, 6}),
    stored("QLinearAveragePool", "average pool", "of com.microsoft; as AveragePool",
           {"AveragePool", {0, -1}, 3}),
    stored("QLinearConcat", "a placement in memory", "of com.microsoft; along channels",
           {"Concat", {-1, -1}, 0}),
    stored("QLinearConv", "convolution",
           "a scale a tensor or an output channel, weights that fit int8", {"Conv", {0, 3}, 6, 8}),
    stored("QLinearGlobalAveragePool", "sums in post, or an average pool", "of com.microsoft",
           {"GlobalAveragePool", {0, -1}, 3}),
    stored("QLinearMatMul", "convolution whose kernel is the image", "constant matrix on the right",
           {"MatMul", {0, 3}, 6}),
    stored("QLinearMul", "a convolution", "of com.microsoft; by a constant of one value a channel",
           {"Mul", {0, 3}, 6}),
    stored("QLinearReduceMean", "sums in post, or an average pool",
           "of com.microsoft; over rows and columns", {"ReduceMean", {0, -1}, 3}),
    stored("QLinearSoftmax", "on the host", "of com.microsoft; over channels, the last operator",
           {"Softmax", {0, -1}, 3}),
    {"QuantizeLinear", "the scale of the layer before, or a change of scale",
     "int8, uint8; one scale a tensor", import_quantise},
    {"ReduceMax", "max pool", "over rows and columns", import_reduce_mean},
    {"ReduceMean", "sums in post, or an average pool", "over rows and columns", import_reduce_mean},
    {"Relu", "clamp of the layer before", "", import_relu},
    {"Reshape", "nothing", "constant shape; keeps the order of the axes, splits none",
     import_reshape, fold_reshape},
    {"Shape", "folded", "", import_shape},
    {"Slice", "stride of a convolution, or a selection of channels",
     "constant bounds, forward steps", import_slice, fold_slice},
    {"Softmax", "on the host", "over channels, the last operator", import_softmax},
    {"Split", "selections of channels, rows or columns", "constant sizes", import_split},
    {"Sqrt", "folded", "of constants", nullptr, fold_sqrt},
    {"Squeeze", "nothing", "constant axes", import_squeeze, fold_squeeze},
    {"Sub", "folded into a convolution",
     "two activations of one shape, or a constant of one value a channel", import_sub,
     fold_arithmetic},
    {"Sum", "residual adds", "activations of one shape", import_sum},
    {"Transpose", "nothing", "between layouts of an image", import_transpose, fold_transpose},
    {"Unsqueeze", "nothing", "constant axes", import_unsqueeze, fold_squeeze},
});
static_assert(std::ranges::is_sorted(kOperators, {}, &OnnxOperator::name));

}  // namespace

bool OnnxOperator::quantises() const {
  return stored.type != nullptr || handler == import_quantise || handler == import_dequantise;
}

std::span<const OnnxOperator> onnx_operators() { return kOperators; }

const OnnxOperator* find_onnx_operator(std::string_view type) {
  const auto found = std::ranges::lower_bound(kOperators, type, {}, &OnnxOperator::name);
  return found == kOperators.end() || found->name != type ? nullptr : &*found;
}

Status import_operator(Context& context, const OnnxNode& node) {
  const OnnxOperator* known = find_onnx_operator(node.type());
  if (known == nullptr) return node.unsupported("operator is not supported");
  const auto& inputs = node.proto.input();
  const bool constant =
      !inputs.empty() && std::ranges::all_of(inputs, [&context](const std::string& input) {
        const auto found = context.values.find(input);
        return input.empty() || (found != context.values.end() &&
                                 !std::holds_alternative<Activation>(found->second));
      });
  if (constant && known->fold != nullptr) {
    const Status status = fold_constant(context, node, known->fold);
    if (status) keep_steps(context, node);
    return status;
  }
  if (known->handler == nullptr) return node.unsupported("is supported on constants only");
  const Status status = known->handler(context, node);
  if (status && context.quantised) keep_dense(context, node);
  return status;
}

}  // namespace espalier::import_
