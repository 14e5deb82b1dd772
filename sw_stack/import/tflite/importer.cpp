#include "import/tflite/importer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "import/tflite/operators.hpp"

namespace espalier::import_ {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

LiteImporter::LiteImporter(const LiteGraph& graph, Refusals* refusals)
    : lite_(graph), refusals_(refusals) {
  quantised_ = std::ranges::any_of(
      graph.ops, [this](const LiteOp& op) { return output_tensor(op).quantised(); });
}

Result<int> LiteImporter::value(const LiteOp& op, std::size_t i) const {
  const auto tensor = lite_.input_of(op, i);
  if (!tensor) return tensor.error();
  const auto found = values_.find(op.inputs[i]);
  if (found != values_.end()) return found->second;
  return op.unsupported(fmt::format(
      "'{}' is {}", (*tensor)->name,
      (*tensor)->constant() ? "a constant; an activation is needed" : "not made before it"));
}

Result<int> LiteImporter::image(const LiteOp& op, std::size_t i) const {
  const auto x = value(op, i);
  if (!x) return x.error();
  const LiteTensor& tensor = lite_.tensors[op.inputs[i]];
  if (is_image(tensor, work_.shape(*x))) return *x;
  return op.unsupported(fmt::format("'{}' is a flattened image", tensor.name));
}

Result<std::vector<float>> LiteImporter::reals(const LiteOp& op, std::size_t i) const {
  const auto tensor = lite_.constant_of(op, i);
  if (!tensor) return tensor.error();
  const LiteTensor& from = **tensor;
  if (quantised_ && from.quantised()) {
    const auto quant = quant_of(op, from);
    if (!quant) return quant.error();
    std::vector<float> values;
    for (std::int64_t at = 0; at < from.count(); ++at) {
      const auto step = static_cast<float>(from.stored(at) - from.zero[0]);
      values.push_back(step * quant->scale);
    }
    return values;
  }
  if (from.type != lite::TensorType_FLOAT32) {
    return op.unsupported(fmt::format(
        "'{}' is {}", from.name,
        quantised_ ? "not quantised" : "quantised or of half precision in a float model"));
  }
  std::vector<float> values(from.data.size() / sizeof(float));
  std::memcpy(values.data(), from.data.data(), values.size() * sizeof(float));
  return values;
}

Result<ir::Quant> LiteImporter::quant_of(const LiteOp& op, const LiteTensor& tensor) const {
  if (!tensor.quantised() || tensor.scale.size() != 1 || tensor.zero.size() != 1) {
    return op.unsupported(fmt::format(
        "'{}' needs int8 or uint8 elements, one scale and one zero point", tensor.name));
  }
  const std::int64_t shift = tensor.type == lite::TensorType_UINT8 ? 128 : 0;
  const std::int64_t zero = tensor.zero[0];
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

int LiteImporter::add_node(const LiteOp& op, WorkOp node, std::vector<int> inputs,
                           const ir::Shape& shape) {
  const bool fused = op.activation != lite::Activation_NONE;
  return work_.add_node(op.name, fused ? op.name + "_linear" : op.name, std::move(node),
                        std::move(inputs), shape);
}

Status LiteImporter::emit(const LiteOp& op, WorkOp node, std::vector<int> inputs,
                          const ir::Shape& shape) {
  return activate(op, add_node(op, std::move(node), std::move(inputs), shape), op.activation);
}

Status LiteImporter::activate(const LiteOp& op, int tensor, lite::Activation activation) {
  ir::FloatClamp clamp;
  switch (activation) {
    case lite::Activation_NONE:
      return define(op, tensor);
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
  return define(
      op, work_.add_node(op.name + "_activation", op.name, clamp, {tensor}, work_.shape(tensor)));
}

int LiteImporter::stored(const LiteOp& op, int tensor, int as, const ir::Quant& quant) {
  const std::string& name = lite_.tensors[as].name;
  const ir::Shape shape = work_.shape(tensor);
  const int made = work_.add_node(op.name, name, Quantise{quant.scale, quant.zero, Stored::kInt8},
                                  {tensor}, shape);
  return work_.add_node(op.name, name, Dequantise{quant.scale, quant.zero, Stored::kInt8}, {made},
                        shape);
}

Status LiteImporter::define(const LiteOp& op, int tensor) {
  if (quantised_) {
    const auto quant = quant_of(op, output_tensor(op));
    if (!quant) return quant.error();
    tensor = stored(op, tensor, op.outputs[0], *quant);
  }
  values_[op.outputs[0]] = tensor;
  return {};
}

Status LiteImporter::import_one(const LiteOp& op) {
  if (op.outputs.size() != 1) return op.unsupported("has more than one output");
  if (values_.count(op.outputs[0]) != 0) return op.fail(ErrorCode::kMalformed, "is made twice");
  const LiteOperator* known = find_lite_operator(op.code);
  if (known == nullptr) return op.unsupported("operator is not supported");
  work_.type = op.type();
  return (this->*known->handler)(op);
}

bool LiteImporter::stand_in(int tensor) {
  const LiteTensor& made = lite_.tensors[tensor];
  const auto shape = lite_shape(made);
  if (shape) values_[tensor] = work_.add_tensor(made.name, *shape);
  return shape.ok();
}

/// All operators, one after the other; with refusals_ behind those that are refused, too.
Status LiteImporter::import_all() {
  std::set<int> unknown;
  for (const LiteOp& op : lite_.ops) {
    if (refusals_ == nullptr) {
      if (const Status status = import_one(op); !status) return status;
      continue;
    }
    Refusals::Node note{op.type(), op.name, lite_macs(lite_, op), {}, true};
    note.judged = std::ranges::none_of(op.inputs, [&](int id) { return unknown.count(id) != 0; });
    Status status;
    if (note.judged) status = import_one(op);
    if (!status) {
      if (!Refusals::goes_on(status.error())) return status;
      note.refused = status.error();
    }
    if (!status || !note.judged) {
      for (const int id : op.outputs) {
        if (!note.judged || !stand_in(id)) unknown.insert(id);
      }
    }
    refusals_->note(std::move(note));
  }
  if (refusals_ != nullptr && refusals_->any()) return *refusals_->first();
  return {};
}

Status LiteImporter::read_input() {
  const LiteTensor& input = lite_.tensors[lite_.input];
  const std::string place = "input '" + input.name + "'";
  const bool integers = quantised_ && input.quantised();
  if ((!integers && input.type != lite::TensorType_FLOAT32) || input.constant())
    return fail(ErrorCode::kUnsupported, "is neither float nor quantised to 8 bits", place);
  const auto shape = lite_shape(input);
  if (!shape) return shape.error();
  work_.input = work_.add_tensor(input.name, *shape);
  values_[lite_.input] = work_.input;
  if (!integers) return {};
  LiteOp whole;
  whole.name = input.name;
  const auto quant = quant_of(whole, input);
  if (!quant) return fail(quant.error().code, quant.error().message, place);
  values_[lite_.input] =
      work_.add_node(input.name, input.name, Dequantise{quant->scale, quant->zero, Stored::kInt8},
                     {work_.input}, *shape);
  return {};
}

Result<Model> LiteImporter::run(const std::string& name) {
  if (const Status status = read_input(); !status) return status.error();
  if (const Status status = import_all(); !status) return status.error();
  const auto output = values_.find(lite_.output);
  if (output == values_.end()) return fail(ErrorCode::kMalformed, "no operator makes the output");
  work_.output = output->second;
  const ir::Shape& made = work_.shape(work_.output);
  if (made.c > 1 && made.h * made.w > 1) work_.host_ops.emplace_back(ir::kTransposeOutput);
  if (quantised_) {
    auto graph = lower_quantised(std::move(work_), constants_, kTensorFlowLite, name);
    if (!graph) return graph.error();
    return Model(std::move(*graph));
  }
  auto graph = std::move(work_).finish(name);
  if (!graph) return graph.error();
  return Model(std::move(*graph));
}

}  // namespace espalier::import_
