// A quantised TensorFlow Lite model as a QuantGraph: values, scales and the order of things.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/tflite/judge.hpp"
#include "import/tflite/quant_importer.hpp"
#include "ir/numerics.hpp"

namespace espalier::import_ {

Result<ir::Quant> QuantImporter::quant_of(const LiteOp& op, const LiteTensor& tensor) const {
  if (!tensor.quantised() || tensor.scale.size() != 1 || tensor.zero.size() > 1) {
    return op.unsupported(fmt::format(
        "'{}' needs int8 or uint8 elements, one scale and one zero point", tensor.name));
  }
  const std::int64_t shift = tensor.type == lite::TensorType_UINT8 ? 128 : 0;
  const std::int64_t zero = tensor.zero.empty() ? 0 : tensor.zero[0];
  if (zero < -128 + shift || zero > 127 + shift) {
    return op.fail(ErrorCode::kRange, fmt::format("'{}' has zero point {}; the range is {}..{}",
                                                  tensor.name, zero, shift - 128, shift + 127));
  }
  if (!std::isnormal(tensor.scale[0]) || tensor.scale[0] < 0) {
    return op.fail(ErrorCode::kRange,
                   fmt::format("'{}' has scale {}", tensor.name, tensor.scale[0]));
  }
  return ir::Quant{tensor.scale[0], static_cast<int>(zero - shift)};
}

Result<Bounds> QuantImporter::bounds(const LiteOp& op, lite::Activation activation,
                                     const ir::Quant& y) const {
  // As CalculateActivationRangeQuantized of TensorFlow Lite.
  const auto at = [&](float real) { return ir::stored(real, y, ir::Ties::kAway); };
  switch (activation) {
    case lite::Activation_NONE:
      return Bounds{};
    case lite::Activation_RELU:
      return Bounds{at(0), 127};
    case lite::Activation_RELU6:
      return Bounds{at(0), at(6)};
    case lite::Activation_RELU_N1_TO_1:
      return Bounds{at(-1), at(1)};
    default:
      return op.unsupported(
          fmt::format("activation function {} is not supported", static_cast<int>(activation)));
  }
}

Result<LiteValue> QuantImporter::value(const LiteOp& op, std::size_t i) const {
  const auto tensor = lite_.input_of(op, i);
  if (!tensor) return tensor.error();
  const auto found = values_.find(op.inputs[i]);
  if (found != values_.end()) return found->second;
  return op.unsupported(fmt::format(
      "'{}' is {}", (*tensor)->name,
      (*tensor)->constant() ? "a constant; an activation is needed" : "not made before it"));
}

Result<int> QuantImporter::image(const LiteOp& op, std::size_t i) const {
  const auto x = value(op, i);
  if (!x) return x.error();
  if (!is_image(lite_.tensors[op.inputs[i]], graph_.tensors[x->id].shape)) {
    return op.unsupported(
        fmt::format("'{}' is a flattened image", lite_.tensors[op.inputs[i]].name));
  }
  return x->id;
}

int QuantImporter::add_tensor(int lite_tensor, const ir::Shape& shape, const ir::Quant& quant) {
  const std::string& wanted = lite_.tensors[lite_tensor].name;
  std::string name = wanted;
  for (int n = 2; !tensor_names_.insert(name).second; ++n) name = fmt::format("{}_{}", wanted, n);
  graph_.tensors.push_back({std::move(name), shape, quant});
  made_.push_back({-1, lite_tensor});
  return static_cast<int>(graph_.tensors.size()) - 1;
}

void QuantImporter::emit(const LiteOp& op, int id, std::vector<int> inputs, ir::QuantOp node) {
  std::string name = op.name;
  for (int n = 2; !names_.insert(name).second; ++n) name = fmt::format("{}_{}", op.name, n);
  made_[static_cast<std::size_t>(id)].node = static_cast<int>(graph_.nodes.size());
  graph_.nodes.push_back({std::move(name), std::move(inputs), id, std::move(node)});
}

Result<int> QuantImporter::copy(const LiteOp& op, int from, const std::vector<int>& source,
                                const Border& border, int to, const ir::Quant& quant,
                                Bounds limits) {
  const ir::QuantTensor& x = graph_.tensors[from];
  ir::Window window;
  window.pad_top = border.top;
  window.pad_left = border.left;
  window.pad_bottom = border.bottom;
  window.pad_right = border.right;
  auto selection = selection_conv(source, x.shape.c, {}, {}, window, 0, 0);
  if (!selection) return op.placed(selection.error());
  ir::QuantConv conv;
  conv.window = window;
  conv.out_channels = selection->out_channels;
  conv.reads = selection->reads;
  conv.weights.assign(selection->weights.begin(), selection->weights.end());
  conv.bias.assign(source.size(), 0);
  conv.scale.assign(source.size(), x.quant.scale / quant.scale);
  conv.lo = limits.lo;
  conv.hi = limits.hi;
  const ir::Shape shape{conv.out_channels, x.shape.h + border.top + border.bottom,
                        x.shape.w + border.left + border.right};
  const int id = add_tensor(to, shape, quant);
  emit(op, id, {from}, std::move(conv));
  return id;
}

std::vector<int> every_channel(int count) {
  std::vector<int> source(static_cast<std::size_t>(count));
  for (int c = 0; c < count; ++c) source[c] = c;
  return source;
}

Status QuantImporter::import(const LiteOp& op) {
  switch (op.code) {
    case lite::BuiltinOperator_CONV_2D:
    case lite::BuiltinOperator_DEPTHWISE_CONV_2D:
    case lite::BuiltinOperator_FULLY_CONNECTED:
      return conv(op);
    case lite::BuiltinOperator_ADD:
      return add(op);
    case lite::BuiltinOperator_MAX_POOL_2D:
    case lite::BuiltinOperator_AVERAGE_POOL_2D:
      return pool(op);
    case lite::BuiltinOperator_MEAN:
      return mean(op);
    case lite::BuiltinOperator_CONCATENATION:
      return concat(op);
    case lite::BuiltinOperator_PAD:
    case lite::BuiltinOperator_PADV2:
      return pad(op);
    case lite::BuiltinOperator_RELU:
    case lite::BuiltinOperator_RELU6:
    case lite::BuiltinOperator_RELU_N1_TO_1:
      return relu(op);
    case lite::BuiltinOperator_QUANTIZE:
      return requantise(op);
    case lite::BuiltinOperator_RESHAPE:
    case lite::BuiltinOperator_SQUEEZE:
    case lite::BuiltinOperator_EXPAND_DIMS:
      return rename(op);
    case lite::BuiltinOperator_SOFTMAX:
      return softmax(op);
    case lite::BuiltinOperator_DEQUANTIZE: {
      const auto x = value(op, 0);
      if (!x) return x.error();
      graph_.host_ops.push_back("dequantize");
      define(op, x->id);
      return {};
    }
    default:
      return op.unsupported("operator is not supported");
  }
}

Status QuantImporter::import_one(const LiteOp& op) {
  if (op.outputs.size() != 1) return op.unsupported("has more than one output");
  if (values_.count(op.outputs[0]) != 0) return op.fail(ErrorCode::kMalformed, "is made twice");
  return import(op);
}

bool QuantImporter::stand_in(int tensor) {
  const LiteTensor& made = lite_.tensors[tensor];
  const auto shape = lite_shape(made);
  if (!shape) return false;
  LiteOp whole;
  whole.name = made.name;
  const auto quant = quant_of(whole, made);
  values_[tensor] = {add_tensor(tensor, *shape, quant ? *quant : ir::Quant{1, 0}), {}};
  return true;
}

Result<ir::QuantGraph> QuantImporter::run(const std::string& name) {
  graph_.name = name;
  const LiteTensor& input = lite_.tensors[lite_.input];
  if (input.quantised()) {
    const auto shape = lite_shape(input);
    if (!shape) return shape.error();
    LiteOp whole;
    whole.name = input.name;
    const auto quant = quant_of(whole, input);
    if (!quant)
      return fail(quant.error().code, quant.error().message, "input '" + input.name + "'");
    graph_.input = add_tensor(lite_.input, *shape, *quant);
    values_[lite_.input] = {graph_.input, {}};
  }
  const Status imported = import_all(
      lite_, refusals_, [this](const LiteOp& op) { return import_one(op); },
      [this](int tensor) { return stand_in(tensor); });
  if (!imported) return imported.error();
  const auto output = values_.find(lite_.output);
  if (output == values_.end()) return fail(ErrorCode::kMalformed, "no operator makes the output");
  graph_.output = output->second.id;
  const ir::Shape& shape = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape;
  if (shape.c > 1 && shape.h * shape.w > 1) graph_.host_ops.emplace_back(ir::kTransposeOutput);
  if (const Status status = ir::verify(graph_); !status) return status.error();
  return std::move(graph_);
}

Result<ir::QuantGraph> lite_quantised(const LiteGraph& graph, const std::string& name,
                                      Refusals* refusals) {
  return QuantImporter(graph, refusals).run(name);
}

}  // namespace espalier::import_
