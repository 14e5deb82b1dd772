// A float TensorFlow Lite model as a FloatGraph.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include "import/tflite/judge.hpp"

namespace espalier::import_ {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class FloatImporter {
 public:
  FloatImporter(const LiteGraph& graph, Refusals* refusals) : lite_(graph), refusals_(refusals) {}
  Result<ir::FloatGraph> run(const std::string& name);

 private:
  Status import_one(const LiteOp& op);
  bool stand_in(int tensor);
  Status import(const LiteOp& op);
  Status conv(const LiteOp& op);
  Status add(const LiteOp& op);
  Status pool(const LiteOp& op);
  Status mean(const LiteOp& op);
  Status concat(const LiteOp& op);
  Status pad(const LiteOp& op);
  Status activate(const LiteOp& op, int tensor, lite::Activation activation);
  Status rename(const LiteOp& op);
  Status softmax(const LiteOp& op);

  Result<int> value(const LiteOp& op, std::size_t i) const;
  Result<int> image(const LiteOp& op, std::size_t i) const;
  Result<std::vector<float>> floats(const LiteOp& op, std::size_t i) const;
  /// Emits an operator and the activation function fused into it.
  Status emit(const LiteOp& op, WorkOp node, std::vector<int> inputs, const ir::Shape& shape);

  const LiteGraph& lite_;
  Refusals* refusals_;
  WorkGraph work_;
  std::map<int, int> values_;  ///< tensor of the model to tensor of the graph
};

Result<int> FloatImporter::value(const LiteOp& op, std::size_t i) const {
  const auto tensor = lite_.input_of(op, i);
  if (!tensor) return tensor.error();
  const auto found = values_.find(op.inputs[i]);
  if (found != values_.end()) return found->second;
  return op.unsupported(fmt::format(
      "'{}' is {}", (*tensor)->name,
      (*tensor)->constant() ? "a constant; an activation is needed" : "not made before it"));
}

Result<int> FloatImporter::image(const LiteOp& op, std::size_t i) const {
  const auto x = value(op, i);
  if (!x) return x.error();
  const LiteTensor& tensor = lite_.tensors[op.inputs[i]];
  if (is_image(tensor, work_.shape(*x))) return *x;
  return op.unsupported(fmt::format("'{}' is a flattened image", tensor.name));
}

Result<std::vector<float>> FloatImporter::floats(const LiteOp& op, std::size_t i) const {
  const auto tensor = lite_.constant_of(op, i);
  if (!tensor) return tensor.error();
  if ((*tensor)->type != lite::TensorType_FLOAT32) {
    return op.unsupported(
        fmt::format("'{}' is quantised or of half precision in a float model", (*tensor)->name));
  }
  std::vector<float> values((*tensor)->data.size() / sizeof(float));
  std::memcpy(values.data(), (*tensor)->data.data(), values.size() * sizeof(float));
  return values;
}

Status FloatImporter::activate(const LiteOp& op, int tensor, lite::Activation activation) {
  ir::FloatClamp clamp;
  switch (activation) {
    case lite::Activation_NONE:
      values_[op.outputs[0]] = tensor;
      return {};
    case lite::Activation_RELU:
      clamp = {0, kInfinity};
      break;
    case lite::Activation_RELU6:
      clamp = {0, 6};
      break;
    case lite::Activation_RELU_N1_TO_1:
      clamp = {-1, 1};
      break;
    default:
      return op.unsupported(
          fmt::format("activation function {} is not supported", static_cast<int>(activation)));
  }
  values_[op.outputs[0]] =
      work_.add_node(op.name + "_activation", op.name, clamp, {tensor}, work_.shape(tensor));
  return {};
}

Status FloatImporter::emit(const LiteOp& op, WorkOp node, std::vector<int> inputs,
                           const ir::Shape& shape) {
  const bool fused = op.activation != lite::Activation_NONE;
  const int tensor = work_.add_node(op.name, fused ? op.name + "_linear" : op.name, std::move(node),
                                    std::move(inputs), shape);
  return activate(op, tensor, op.activation);
}

Status FloatImporter::conv(const LiteOp& op) {
  const bool fc = op.code == lite::BuiltinOperator_FULLY_CONNECTED;
  const auto x = fc ? value(op, 0) : image(op, 0);
  if (!x) return x.error();
  const auto weights = floats(op, 1);
  if (!weights) return weights.error();
  const ir::Shape in = work_.shape(*x);
  const auto layout = weight_layout(op, lite_.tensors[op.inputs[1]], in);
  if (!layout) return layout.error();
  LiteOp plain = op;
  if (fc) plain.padding = lite::Padding_VALID;
  const auto window = lite_window(plain, in, {}, layout->kh, layout->kw);
  if (!window) return window.error();
  ir::FloatConv conv;
  conv.window = window->window;
  conv.out_channels = layout->outputs;
  conv.reads = layout->reads();
  conv.weights.reserve(static_cast<std::size_t>(layout->dense_count()));
  for (int n = 0; n < layout->outputs; ++n) {
    for (int tap = 0; tap < layout->kh * layout->kw; ++tap) {
      for (int c = 0; c < layout->channels; ++c) {
        const std::int64_t at = layout->at(n, tap, c);
        conv.weights.push_back(at < 0 ? 0.0F : (*weights)[static_cast<std::size_t>(at)]);
      }
    }
  }
  const auto outputs = static_cast<std::size_t>(layout->outputs);
  conv.bias.assign(outputs, 0.0F);
  if (op.inputs.size() > 2 && op.inputs[2] >= 0) {
    auto bias = floats(op, 2);
    if (!bias) return bias.error();
    if (bias->size() != outputs) {
      return op.fail(ErrorCode::kShape,
                     fmt::format("has {} biases for {} channels", bias->size(), outputs));
    }
    conv.bias = std::move(bias.value());
  }
  return emit(op, std::move(conv), {*x}, {layout->outputs, window->h, window->w});
}

Status FloatImporter::add(const LiteOp& op) {
  const auto a = image(op, 0);
  if (!a) return a.error();
  const auto b = image(op, 1);
  if (!b) return b.error();
  if (!(work_.shape(*a) == work_.shape(*b))) {
    return op.unsupported("adds tensors of different shapes");
  }
  return emit(op, ir::FloatAdd{}, {*a, *b}, work_.shape(*a));
}

Status FloatImporter::pool(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const ir::Shape in = work_.shape(*x);
  const auto window = lite_window(op, in, {}, op.filter_h, op.filter_w);
  if (!window) return window.error();
  ir::FloatPool pool;
  pool.kind =
      op.code == lite::BuiltinOperator_MAX_POOL_2D ? ir::PoolKind::kMax : ir::PoolKind::kAverage;
  pool.window = window->window;
  return emit(op, std::move(pool), {*x}, {in.c, window->h, window->w});
}

Status FloatImporter::mean(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto axes = lite_mean(lite_, op);
  if (!axes) return axes.error();
  const ir::Shape in = work_.shape(*x);
  ir::FloatPool pool;
  pool.kind = ir::PoolKind::kAverage;
  pool.window.kh = pool.window.stride_h = axes->rows ? in.h : 1;
  pool.window.kw = pool.window.stride_w = axes->columns ? in.w : 1;
  const ir::Shape out{in.c, in.h / pool.window.kh, in.w / pool.window.kw};
  return emit(op, std::move(pool), {*x}, out);
}

Status FloatImporter::concat(const LiteOp& op) {
  const auto rank = static_cast<int>(lite_.tensors[op.outputs[0]].dims.size());
  if (op.axis != -1 && op.axis != rank - 1) {
    return op.unsupported(
        fmt::format("joins axis {} of {}; only channels are supported", op.axis, rank));
  }
  std::vector<int> inputs;
  ir::Shape shape;
  std::int64_t channels = 0;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const auto x = image(op, i);
    if (!x) return x.error();
    shape = work_.shape(*x);
    channels += shape.c;
    inputs.push_back(*x);
  }
  if (inputs.empty() || channels > kMaxExtent) {
    return op.fail(ErrorCode::kRange,
                   fmt::format("makes {} channels; the limits are 1 and {}", channels, kMaxExtent));
  }
  if (inputs.size() == 1) return activate(op, inputs[0], op.activation);
  shape.c = static_cast<int>(channels);
  return emit(op, ir::FloatConcat{}, std::move(inputs), shape);
}

Status FloatImporter::pad(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  const auto pad = lite_pad(lite_, op);
  if (!pad) return pad.error();
  if (op.code == lite::BuiltinOperator_PADV2) {
    const auto filling = floats(op, 2);
    if (!filling) return filling.error();
    if (filling->size() != 1 || (*filling)[0] != 0) {
      return op.unsupported("pads with a value that is not zero");
    }
  }
  int tensor = *x;
  ir::Shape shape = work_.shape(tensor);
  if (pad->channels_before + pad->channels_after != 0) {
    Select select{std::vector<int>(static_cast<std::size_t>(pad->channels_before), -1),
                  {0, 1, shape.h},
                  {0, 1, shape.w}};
    for (int c = 0; c < shape.c; ++c) select.source.push_back(c);
    shape.c += pad->channels_before + pad->channels_after;
    if (shape.c > kMaxExtent || shape.count() > kMaxActivation) {
      return op.fail(ErrorCode::kRange,
                     fmt::format("makes {} channels; the limit is {}", shape.c, kMaxExtent));
    }
    select.source.resize(static_cast<std::size_t>(shape.c), -1);
    tensor = work_.add_node(op.name + ".channels", op.name, std::move(select), {tensor}, shape);
  }
  const Border& border = pad->border;
  shape.h += border.top + border.bottom;
  shape.w += border.left + border.right;
  if (shape == work_.shape(tensor)) return activate(op, tensor, lite::Activation_NONE);
  if (shape.h > kMaxExtent || shape.w > kMaxExtent || shape.count() > kMaxActivation) {
    return op.fail(ErrorCode::kRange, fmt::format("makes {}x{} pixels", shape.h, shape.w));
  }
  return emit(op, border, {tensor}, shape);
}

Status FloatImporter::rename(const LiteOp& op) {
  const auto x = value(op, 0);
  if (!x) return x.error();
  const ir::Shape& shape = work_.shape(*x);
  const LiteTensor& to = lite_.tensors[op.outputs[0]];
  const auto last = to.dims.empty() ? 0 : to.dims.back();
  if (to.count() != shape.count() || (!is_image(to, shape) && last != shape.count())) {
    return op.unsupported("reshapes an image other than to a vector");
  }
  values_[op.outputs[0]] = *x;
  return {};
}

Status FloatImporter::softmax(const LiteOp& op) {
  const auto x = image(op, 0);
  if (!x) return x.error();
  if (op.beta != 1.0F) return op.unsupported(fmt::format("beta is {}; 1 is supported", op.beta));
  work_.host_ops.push_back("softmax");
  return emit(op, ir::FloatSoftmax{}, {*x}, work_.shape(*x));
}

Status FloatImporter::import(const LiteOp& op) {
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
    case lite::BuiltinOperator_RESHAPE:
    case lite::BuiltinOperator_SQUEEZE:
    case lite::BuiltinOperator_EXPAND_DIMS:
      return rename(op);
    case lite::BuiltinOperator_SOFTMAX:
      return softmax(op);
    case lite::BuiltinOperator_RELU:
    case lite::BuiltinOperator_RELU6:
    case lite::BuiltinOperator_RELU_N1_TO_1: {
      const auto x = value(op, 0);
      if (!x) return x.error();
      return activate(op, *x,
                      op.code == lite::BuiltinOperator_RELU    ? lite::Activation_RELU
                      : op.code == lite::BuiltinOperator_RELU6 ? lite::Activation_RELU6
                                                               : lite::Activation_RELU_N1_TO_1);
    }
    default:
      return op.unsupported("operator is not supported");
  }
}

Status FloatImporter::import_one(const LiteOp& op) {
  if (op.outputs.size() != 1) return op.unsupported("has more than one output");
  if (values_.count(op.outputs[0]) != 0) return op.fail(ErrorCode::kMalformed, "is made twice");
  return import(op);
}

bool FloatImporter::stand_in(int tensor) {
  const LiteTensor& made = lite_.tensors[tensor];
  const auto shape = lite_shape(made);
  if (shape) values_[tensor] = work_.add_tensor(made.name, *shape);
  return shape.ok();
}

Result<ir::FloatGraph> FloatImporter::run(const std::string& name) {
  const LiteTensor& input = lite_.tensors[lite_.input];
  const std::string place = "input '" + input.name + "'";
  if (input.type != lite::TensorType_FLOAT32 || input.constant()) {
    return fail(ErrorCode::kUnsupported, "is neither float nor quantised to 8 bits", place);
  }
  const auto shape = lite_shape(input);
  if (!shape) return shape.error();
  work_.input = work_.add_tensor(input.name, *shape);
  values_[lite_.input] = work_.input;
  const Status status = import_all(
      lite_, refusals_, [this](const LiteOp& op) { return import_one(op); },
      [this](int tensor) { return stand_in(tensor); });
  if (!status) return status.error();
  const auto output = values_.find(lite_.output);
  if (output == values_.end()) return fail(ErrorCode::kMalformed, "no operator makes the output");
  work_.output = output->second;
  const ir::Shape& made = work_.shape(work_.output);
  if (made.c > 1 && made.h * made.w > 1) work_.host_ops.emplace_back(ir::kTransposeOutput);
  return std::move(work_).finish(name);
}

}  // namespace

Result<ir::FloatGraph> lite_float(const LiteGraph& graph, const std::string& name,
                                  Refusals* refusals) {
  return FloatImporter(graph, refusals).run(name);
}

}  // namespace espalier::import_
