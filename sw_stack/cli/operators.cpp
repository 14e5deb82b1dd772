#include "cli/operators.hpp"

#include <array>

namespace espalier::cli {
namespace {

constexpr std::string_view kWindow =
    "any kernel and pads, stride up to 15, dilation up to 31; groups are expanded";

constexpr auto kOperators = std::to_array<Operator>({
    {"onnx", "Add", "residual add, or folded into a convolution",
     "two activations of one shape, or an activation and a constant of one value a channel"},
    {"onnx", "AveragePool", "average pool",
     "both divisor conventions, ceil mode, pads on any side, no dilation, window up to 255"},
    {"onnx", "BatchNormalization", "folded into a convolution",
     "inference mode, constant parameters"},
    {"onnx", "Cast", "nothing", "to float"},
    {"onnx", "Clip", "clamp of the layer before", "constant bounds"},
    {"onnx", "Concat", "a placement in memory", "along channels, or of constants"},
    {"onnx", "Constant", "folded", ""},
    {"onnx", "Conv", "convolution", kWindow},
    {"onnx", "DequantizeLinear", "nothing",
     "after QuantizeLinear or a constant; int8, uint8; bias int32"},
    {"onnx", "Div", "folded into a convolution", "by a constant of one value a channel"},
    {"onnx", "Dropout", "nothing", "inference mode"},
    {"onnx", "Flatten", "nothing", "its result feeds a Gemm, a MatMul or the output"},
    {"onnx", "Gather", "a selection of channels", "channels by a constant list, or of constants"},
    {"onnx", "Gemm", "convolution whose kernel is the image", "constant matrix"},
    {"onnx", "GlobalAveragePool", "sums in post, or an average pool", ""},
    {"onnx", "GlobalMaxPool", "max pool", ""},
    {"onnx", "Identity", "nothing", ""},
    {"onnx", "LogSoftmax", "softmax on the host", "the last operator"},
    {"onnx", "MatMul", "convolution whose kernel is the image", "constant matrix on the right"},
    {"onnx", "Max", "clamp of the layer before", "an activation and a constant scalar"},
    {"onnx", "MaxPool", "max pool",
     "ceil mode, pads on any side, no dilation, window up to 255, one output"},
    {"onnx", "Min", "clamp of the layer before", "an activation and a constant scalar"},
    {"onnx", "Mul", "folded into a convolution", "by a constant of one value a channel"},
    {"onnx", "Neg", "folded into a convolution", ""},
    {"onnx", "Pad", "the window's padding, or a convolution", "mode constant; channels with 0"},
    {"onnx", "QLinearConv", "convolution",
     "a scale a tensor or an output channel, weights that fit int8"},
    {"onnx", "QLinearMatMul", "convolution whose kernel is the image",
     "constant matrix on the right"},
    {"onnx", "QuantizeLinear", "the scale of the layer before, or a change of scale",
     "int8, uint8; one scale a tensor"},
    {"onnx", "ReduceMax", "max pool", "over rows and columns"},
    {"onnx", "ReduceMean", "sums in post, or an average pool", "over rows and columns"},
    {"onnx", "Relu", "clamp of the layer before", ""},
    {"onnx", "Reshape", "nothing", "constant shape; keeps the order of the axes, splits none"},
    {"onnx", "Shape", "folded", ""},
    {"onnx", "Slice", "stride of a convolution, or a selection of channels",
     "constant bounds, forward steps"},
    {"onnx", "Softmax", "on the host", "over channels, the last operator"},
    {"onnx", "Split", "selections of channels, rows or columns", "constant sizes"},
    {"onnx", "Squeeze", "nothing", "constant axes"},
    {"onnx", "Sub", "folded into a convolution",
     "two activations of one shape, or a constant of one value a channel"},
    {"onnx", "Sum", "residual adds", "activations of one shape"},
    {"onnx", "Transpose", "nothing", "between layouts of an image"},
    {"onnx", "Unsqueeze", "nothing", "constant axes"},
    {"tflite", "ADD", "residual add", "two activations of one shape"},
    {"tflite", "AVERAGE_POOL_2D", "average pool", "padding same or valid"},
    {"tflite", "CONCATENATION", "a placement in memory", "along channels"},
    {"tflite", "CONV_2D", "convolution", kWindow},
    {"tflite", "DEPTHWISE_CONV_2D", "convolution", "expanded to all channels"},
    {"tflite", "DEQUANTIZE", "nothing", "the last operator"},
    {"tflite", "EXPAND_DIMS", "nothing", ""},
    {"tflite", "FULLY_CONNECTED", "convolution whose kernel is the image", "constant matrix"},
    {"tflite", "MAX_POOL_2D", "max pool", "padding same or valid"},
    {"tflite", "MEAN", "sums in post, or an average pool", "over rows and columns"},
    {"tflite", "PAD", "the window's padding, or a convolution", "constant"},
    {"tflite", "PADV2", "the window's padding, or a convolution", "constant"},
    {"tflite", "QUANTIZE", "a convolution that changes the scale, or nothing at the input", ""},
    {"tflite", "RELU", "clamp of the layer before", ""},
    {"tflite", "RELU6", "clamp of the layer before", ""},
    {"tflite", "RELU_N1_TO_1", "clamp of the layer before", ""},
    {"tflite", "RESHAPE", "nothing", "keeps the order of the axes"},
    {"tflite", "SOFTMAX", "on the host", "the last operator"},
    {"tflite", "SQUEEZE", "nothing", ""},
});

constexpr std::string_view kHead =
    "<!-- Generated by `espalier ops --markdown` from sw_stack/cli/operators.cpp. Do not edit. "
    "-->\n"
    "# Operators\n\n"
    "Files: `sw_stack/cli/operators.cpp`, `sw_stack/import`.\n\n"
    "What a model may hold. Anything else is refused with the operator and the node's name.\n"
    "Models are float, and are quantised at compile time, or quantised already; ONNX models of "
    "the\n"
    "latter kind may also hold operators of com.microsoft: see "
    "[quantised-models](../quantised-models.md).\n";

}  // namespace

std::span<const Operator> operators() { return kOperators; }

std::string operators_page() {
  std::string page(kHead);
  std::string_view format;
  for (const Operator& op : kOperators) {
    if (op.format != format) {
      format = op.format;
      page += format == "onnx" ? "\n## ONNX\n\n" : "\n## TensorFlow Lite\n\n";
      page += "| operator | becomes | conditions |\n|---|---|---|\n";
    }
    page += "| `" + std::string(op.name) + "` | " + std::string(op.becomes) + " | " +
            std::string(op.conditions) + " |\n";
  }
  return page;
}

}  // namespace espalier::cli
