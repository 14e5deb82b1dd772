#include "import/tflite/reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

namespace espalier::import_ {
namespace {

std::string code_name(lite::BuiltinOperator code) {
  const char* name = lite::EnumNameBuiltinOperator(code);
  return name[0] != '\0' ? std::string(name) : fmt::format("operator {}", static_cast<int>(code));
}

template <typename T, typename V>
std::vector<T> to_vector(const flatbuffers::Vector<V>* values) {
  std::vector<T> result;
  if (values == nullptr) return result;
  result.reserve(values->size());
  for (flatbuffers::uoffset_t i = 0; i < values->size(); ++i) {
    result.push_back(static_cast<T>(values->Get(i)));
  }
  return result;
}

std::size_t element_bytes(lite::TensorType type) {
  switch (type) {
    case lite::TensorType_INT8:
    case lite::TensorType_UINT8:
    case lite::TensorType_BOOL:
      return 1;
    case lite::TensorType_FLOAT16:
    case lite::TensorType_INT16:
    case lite::TensorType_UINT16:
      return 2;
    case lite::TensorType_FLOAT32:
    case lite::TensorType_INT32:
    case lite::TensorType_UINT32:
      return 4;
    case lite::TensorType_FLOAT64:
    case lite::TensorType_INT64:
    case lite::TensorType_UINT64:
      return 8;
    default:
      return 0;
  }
}

Result<LiteTensor> read_tensor(const lite::Model& model, const lite::Tensor* from, std::size_t id) {
  if (from == nullptr) return fail(ErrorCode::kMalformed, fmt::format("tensor {} is absent", id));
  LiteTensor tensor;
  tensor.name = from->name() != nullptr ? from->name()->str() : fmt::format("tensor_{}", id);
  tensor.name = tensor.name.substr(0, tensor.name.find(';'));  // the rest names what was fused
  tensor.dims = to_vector<int>(from->shape());
  tensor.type = from->type();
  const std::string place = "tensor '" + tensor.name + "'";
  if (const auto* quant = from->quantization(); quant != nullptr) {
    tensor.scale = to_vector<float>(quant->scale());
    tensor.zero = to_vector<std::int64_t>(quant->zero_point());
    if (tensor.zero.empty()) tensor.zero = {0};
    tensor.quantised_axis = quant->axis();
  }
  if (tensor.count() < 0) {
    return fail(ErrorCode::kMalformed,
                fmt::format("has dimensions {}", fmt::join(tensor.dims, "x")), place);
  }
  const auto* buffers = model.buffers();
  if (from->buffer() == 0) return tensor;
  if (buffers == nullptr || from->buffer() >= buffers->size() ||
      buffers->Get(from->buffer()) == nullptr) {
    return fail(ErrorCode::kMalformed,
                fmt::format("is in buffer {}, which is absent", from->buffer()), place);
  }
  const auto* data = buffers->Get(from->buffer())->data();
  if (data == nullptr || data->size() == 0) return tensor;
  const std::size_t bytes = element_bytes(tensor.type);
  if (bytes == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("has element type {}", static_cast<int>(tensor.type)), place);
  }
  const std::uint64_t wanted = static_cast<std::uint64_t>(tensor.count()) * bytes;
  if (data->size() != wanted) {
    return fail(ErrorCode::kMalformed,
                fmt::format("has {} bytes; its dimensions want {}", data->size(), wanted), place);
  }
  tensor.data = {data->data(), data->size()};
  return tensor;
}

template <typename Options>
void read_strides(const Options& options, LiteOp& op) {
  op.padding = options.padding();
  op.activation = options.activation();
  op.stride_h = options.stride_h();
  op.stride_w = options.stride_w();
}

template <typename Options>
void read_conv(const Options& options, LiteOp& op) {
  read_strides(options, op);
  op.dilation_h = options.dilation_h();
  op.dilation_w = options.dilation_w();
}

void read_options(const lite::Operator& from, LiteOp& op) {
  if (const auto* conv = from.options_as_Conv2DOptions()) read_conv(*conv, op);
  if (const auto* conv = from.options_as_DepthwiseConv2DOptions()) read_conv(*conv, op);
  if (const auto* pool = from.options_as_Pool2DOptions()) {
    read_strides(*pool, op);
    op.filter_h = pool->filter_h();
    op.filter_w = pool->filter_w();
  }
  if (const auto* fc = from.options_as_FullyConnectedOptions()) op.activation = fc->activation();
  if (const auto* add = from.options_as_AddOptions()) op.activation = add->activation();
  if (const auto* softmax = from.options_as_SoftmaxOptions()) op.beta = softmax->beta();
  if (const auto* concat = from.options_as_ConcatenationOptions()) {
    op.axis = concat->axis();
    op.activation = concat->activation();
  }
}

Result<LiteOp> read_op(const lite::Model& model, const lite::Operator* from, std::size_t id,
                       const std::vector<LiteTensor>& tensors) {
  const std::string place = fmt::format("operator {}", id);
  const auto* codes = model.operator_codes();
  if (from == nullptr || codes == nullptr || from->opcode_index() >= codes->size() ||
      codes->Get(from->opcode_index()) == nullptr) {
    return fail(ErrorCode::kMalformed, "has no code", place);
  }
  const auto* code = codes->Get(from->opcode_index());
  LiteOp op;
  op.code = static_cast<lite::BuiltinOperator>(
      std::max<int>(code->short_code(), static_cast<int>(code->code())));
  op.inputs = to_vector<int>(from->inputs());
  op.outputs = to_vector<int>(from->outputs());
  const auto limit = static_cast<int>(tensors.size());
  for (const int input : op.inputs) {
    if (input < -1 || input >= limit) {
      return fail(ErrorCode::kMalformed, fmt::format("reads tensor {} of {}", input, limit), place);
    }
  }
  for (const int output : op.outputs) {
    if (output < 0 || output >= limit) {
      return fail(ErrorCode::kMalformed, fmt::format("writes tensor {} of {}", output, limit),
                  place);
    }
  }
  if (op.outputs.empty()) return fail(ErrorCode::kMalformed, "has no output", place);
  op.name = tensors[static_cast<std::size_t>(op.outputs[0])].name;
  read_options(*from, op);
  return op;
}

}  // namespace

std::int64_t LiteTensor::count() const {
  std::int64_t result = 1;
  for (const int dim : dims) {
    if (dim < 0 || result > (std::int64_t{1} << 31)) return -1;
    result *= dim;
  }
  return result;
}

std::string LiteOp::type() const { return code_name(code); }

Diagnostic LiteOp::fail(ErrorCode error, std::string message) const {
  return {error, std::move(message), fmt::format("node '{}' ({})", name, type())};
}

Diagnostic LiteOp::placed(const Diagnostic& diagnostic) const {
  return diagnostic.place.empty() ? fail(diagnostic.code, diagnostic.message) : diagnostic;
}

Result<const LiteTensor*> LiteGraph::input_of(const LiteOp& op, std::size_t i) const {
  if (i >= op.inputs.size() || op.inputs[i] < 0) {
    return op.fail(ErrorCode::kMalformed, fmt::format("input {} is missing", i));
  }
  return &tensors[static_cast<std::size_t>(op.inputs[i])];
}

Result<const LiteTensor*> LiteGraph::constant_of(const LiteOp& op, std::size_t i) const {
  const auto tensor = input_of(op, i);
  if (!tensor) return tensor.error();
  if (!(*tensor)->constant()) {
    return op.unsupported(
        fmt::format("'{}' is computed at run time; only a constant is supported", (*tensor)->name));
  }
  return tensor;
}

Result<std::vector<std::int64_t>> LiteGraph::integers_of(const LiteOp& op, std::size_t i) const {
  const auto tensor = constant_of(op, i);
  if (!tensor) return tensor.error();
  const LiteTensor& from = **tensor;
  std::vector<std::int64_t> result(static_cast<std::size_t>(from.count()));
  for (std::size_t k = 0; k < result.size(); ++k) {
    if (from.type == lite::TensorType_INT64) {
      std::memcpy(&result[k], from.data.data() + 8 * k, 8);
    } else if (from.type == lite::TensorType_INT32) {
      std::int32_t value = 0;
      std::memcpy(&value, from.data.data() + 4 * k, 4);
      result[k] = value;
    } else {
      return op.fail(ErrorCode::kMalformed, fmt::format("'{}' holds no integers", from.name));
    }
  }
  return result;
}

Result<LiteGraph> read_lite(std::string_view bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  flatbuffers::Verifier verifier(data, bytes.size(), 64, 10'000'000);
  if (!lite::VerifyModelBuffer(verifier)) {
    return fail(ErrorCode::kMalformed, "is not a TensorFlow Lite model, or is damaged");
  }
  const lite::Model& model = *lite::GetModel(data);
  if (model.version() != 3) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("format version is {}; 3 is supported", model.version()));
  }
  const auto* graphs = model.subgraphs();
  if (graphs == nullptr || graphs->size() != 1 || graphs->Get(0) == nullptr) {
    return fail(ErrorCode::kUnsupported, fmt::format("model has {} graphs; 1 is supported",
                                                     graphs == nullptr ? 0 : graphs->size()));
  }
  const lite::SubGraph& from = *graphs->Get(0);
  LiteGraph graph;
  const std::size_t tensors = from.tensors() == nullptr ? 0 : from.tensors()->size();
  for (std::size_t i = 0; i < tensors; ++i) {
    auto tensor =
        read_tensor(model, from.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i)), i);
    if (!tensor) return tensor.error();
    graph.tensors.push_back(std::move(tensor.value()));
  }
  const auto inputs = to_vector<int>(from.inputs());
  const auto outputs = to_vector<int>(from.outputs());
  if (inputs.size() != 1 || outputs.size() != 1) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("model has {} inputs and {} outputs; 1 of each is supported",
                            inputs.size(), outputs.size()));
  }
  graph.input = inputs[0];
  graph.output = outputs[0];
  for (const int id : {graph.input, graph.output}) {
    if (id < 0 || id >= static_cast<int>(tensors)) {
      return fail(ErrorCode::kMalformed, fmt::format("model names tensor {} of {}", id, tensors));
    }
  }
  const std::size_t ops = from.operators() == nullptr ? 0 : from.operators()->size();
  for (std::size_t i = 0; i < ops; ++i) {
    auto op = read_op(model, from.operators()->Get(static_cast<flatbuffers::uoffset_t>(i)), i,
                      graph.tensors);
    if (!op) return op.error();
    graph.ops.push_back(std::move(op.value()));
  }
  return graph;
}

}  // namespace espalier::import_
