// The tables of operators: each has a way to be imported and a model that uses it, and the
// importers take no other.

#include "import/operators.hpp"

#include <onnx/defs/schema.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "catch.hpp"
#include "import/onnx/onnx.hpp"
#include "import/onnx/operators.hpp"
#include "import/tflite/operators.hpp"
#include "import/tflite/tflite.hpp"
#include "tests/unit/import/lite_builder.hpp"
#include "tests/unit/import/onnx_builder.hpp"

namespace espalier::tests {
namespace {

using Ints = std::vector<std::int64_t>;
using Names = std::set<std::string>;
using Op = lite::BuiltinOperator;

Names listed(std::string_view format) {
  Names names;
  for (const import_::Operator& op : import_::operators()) {
    if (op.format == format) names.emplace(op.name);
  }
  return names;
}

template <typename Models>
Names names_of(const Models& models) {
  Names names;
  for (const auto& [name, model] : models) names.insert(name);
  return names;
}

void check_read(const std::string& name, const Result<import_::Model>& model) {
  INFO(name << ": " << (model ? std::string("imported") : model.error().text()));
  CHECK(model.ok());
}

// ------------------------------------------------------------------------------------ ONNX

/// A model whose image is `x` and whose result is `y`.
using OnnxModel = std::function<void(OnnxBuilder&)>;

/// An operator between the image and the output, with constants of its own behind.
OnnxModel on_image(const std::string& type, const std::vector<std::string>& others = {},
                   const std::vector<Attribute>& attributes = {}) {
  return [=](OnnxBuilder& b) {
    std::vector<std::string> inputs{"x"};
    inputs.insert(inputs.end(), others.begin(), others.end());
    b.node(type, inputs, {"y"}, attributes);
  };
}

/// An operator on constants, which makes the bias of a convolution.
OnnxModel on_constants(const std::string& type, const std::vector<std::string>& inputs,
                       const std::vector<Attribute>& attributes = {}) {
  return [=](OnnxBuilder& b) {
    b.node(type, inputs, {"bias"}, attributes);
    b.node("Conv", {"x", "weights", "bias"}, {"y"});
  };
}

/// The image stored, an operator on what is stored, and its result read back.
OnnxModel on_stored(const std::string& type, const std::vector<std::string>& inputs,
                    const std::vector<Attribute>& attributes = {}, bool flat = false) {
  return [=](OnnxBuilder& b) {
    b.node("QuantizeLinear", {"x", "scale", "zero"}, {"input"});
    b.node("MaxPool", {"input"}, {"q"}, {{"kernel_shape", Ints{2, 2}}});
    if (flat) {
      b.node("DequantizeLinear", {"q", "scale", "zero"}, {"real"});
      b.node("GlobalAveragePool", {"real"}, {"mean"});
      b.node("QuantizeLinear", {"mean", "scale", "zero"}, {"pooled"});
      b.node("Flatten", {"pooled"}, {"flat"});
    }
    b.node(type, inputs, {"r"}, attributes);
    if (import_::find_onnx_operator(type)->conditions.starts_with("of com.microsoft"))
      b.graph().mutable_node(b.graph().node_size() - 1)->set_domain("com.microsoft");
    b.node("DequantizeLinear", {"r", "scale", "zero"}, {"y"});
  };
}

std::map<std::string, OnnxModel> onnx_models() {
  const Attribute pool("kernel_shape", Ints{2, 2}), rows("axes", Ints{2, 3});
  std::map<std::string, OnnxModel> models;
  const std::vector<std::string> q{"q", "scale", "zero"}, r{"scale", "zero"};
  const auto with = [](std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  models["Add"] = on_image("Add", {"x"});
  models["AveragePool"] = on_image("AveragePool", {}, {pool});
  models["BatchNormalization"] = on_image("BatchNormalization", {"four", "four", "four", "four"});
  models["Cast"] = on_image("Cast", {}, {{"to", 1}});
  models["Clip"] = on_image("Clip", {"low", "high"});
  models["Concat"] = on_image("Concat", {"x"}, {{"axis", 1}});
  models["Constant"] =
      on_constants("Constant", {}, {{"value", float_tensor("v", {4}, {1, 2, 3, 4})}});
  models["ConstantOfShape"] = on_constants("ConstantOfShape", {"shape4"});
  models["Conv"] = on_image("Conv", {"weights", "four"});
  models["DequantizeLinear"] = on_stored("MaxPool", {"q"}, {pool});
  models["Div"] = on_image("Div", {"four11"});
  models["Dropout"] = on_image("Dropout");
  models["Flatten"] = on_image("Flatten");
  models["Gather"] = on_image("Gather", {"picks"}, {{"axis", 1}});
  models["Gemm"] = [](OnnxBuilder& b) {
    b.node("Flatten", {"x"}, {"flat"}).node("Gemm", {"flat", "matrix"}, {"y"});
  };
  models["GlobalAveragePool"] = on_image("GlobalAveragePool");
  models["GlobalMaxPool"] = on_image("GlobalMaxPool");
  models["Identity"] = on_image("Identity");
  models["LogSoftmax"] = on_image("LogSoftmax", {}, {{"axis", 1}});
  models["MatMul"] = [](OnnxBuilder& b) {
    b.node("Flatten", {"x"}, {"flat"}).node("MatMul", {"flat", "matrix"}, {"y"});
  };
  models["Max"] = on_image("Max", {"low"});
  models["MaxPool"] = on_image("MaxPool", {}, {pool});
  models["Min"] = on_image("Min", {"high"});
  models["Mul"] = on_image("Mul", {"four11"});
  models["Neg"] = on_image("Neg");
  models["Pad"] = on_image("Pad", {"pads"});
  models["QGemm"] =
      on_stored("QGemm", with({"flat", "scale", "zero", "qm", "scale", "wzero", ""}, r), {}, true);
  models["QLinearAdd"] = on_stored("QLinearAdd", with(with(q, q), r));
  models["QLinearAveragePool"] = on_stored("QLinearAveragePool", with(q, r), {pool});
  models["QLinearConcat"] = on_stored("QLinearConcat", with(r, with(q, q)), {{"axis", 1}});
  models["QLinearConv"] =
      on_stored("QLinearConv", with(with(q, {"qw", "scale", "wzero"}), with(r, {"qb"})));
  models["QLinearGlobalAveragePool"] = on_stored("QLinearGlobalAveragePool", with(q, r));
  models["QLinearMatMul"] = on_stored(
      "QLinearMatMul", with({"flat", "scale", "zero", "qm", "scale", "wzero"}, r), {}, true);
  models["QLinearMul"] = on_stored("QLinearMul", with(with(q, {"qc", "scale", "wzero"}), r));
  models["QLinearReduceMean"] = on_stored("QLinearReduceMean", with(q, r), {rows});
  models["QLinearSoftmax"] = on_stored("QLinearSoftmax", with(q, r), {{"axis", 1}});
  models["QuantizeLinear"] = on_stored("MaxPool", {"q"}, {pool});
  models["ReduceMax"] = on_image("ReduceMax", {}, {rows});
  models["ReduceMean"] = on_image("ReduceMean", {}, {rows});
  models["Relu"] = on_image("Relu");
  models["Reshape"] = on_image("Reshape", {"flat_shape"});
  models["Shape"] = [](OnnxBuilder& b) {
    b.node("Shape", {"x"}, {"shape"}).node("Reshape", {"x", "shape"}, {"y"});
  };
  models["Slice"] = on_image("Slice", {"starts", "ends"});
  models["Softmax"] = on_image("Softmax", {}, {{"axis", 1}});
  models["Split"] = [](OnnxBuilder& b) {
    b.node("Split", {"x"}, {"half", "other"}, {{"axis", 1}}).node("Neg", {"half"}, {"y"});
  };
  models["Sqrt"] = on_constants("Sqrt", {"four"});
  models["Squeeze"] = [](OnnxBuilder& b) {
    b.node("GlobalMaxPool", {"x"}, {"m"}).node("Squeeze", {"m", "axes23"}, {"y"});
  };
  models["Sub"] = on_image("Sub", {"four11"});
  models["Sum"] = on_image("Sum", {"x", "x"});
  models["Transpose"] = on_image("Transpose", {}, {{"perm", Ints{0, 2, 3, 1}}});
  models["Unsqueeze"] = [](OnnxBuilder& b) {
    b.node("Flatten", {"x"}, {"flat"}).node("Unsqueeze", {"flat", "axes23"}, {"y"});
  };
  return models;
}

onnx::TensorProto stored(const std::string& name, int type, const Ints& dims) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(type);
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) tensor.add_dims(dim), count *= dim;
  for (std::int64_t i = 0; i < count; ++i) tensor.add_int32_data(dims.empty() ? 0 : 3);
  return tensor;
}

std::string onnx_bytes(const OnnxModel& model, bool quantised = false) {
  OnnxBuilder b;
  b.input("image", {1, 4, 8, 8}).output("y");
  b.floats("four", {4}, {1, 2, 3, 4}).floats("four11", {1, 4, 1, 1}, {1, 2, 3, 4});
  b.floats("weights", {4, 4, 1, 1}, random_floats(16, 1));
  b.floats("matrix", {256, 3}, random_floats(768, 2));
  b.floats("low", {}, {0}).floats("high", {}, {6}).floats("scale", {}, {0.5F});
  b.ints("picks", {2, 0}).ints("shape4", {4}).ints("flat_shape", {1, 256}).ints("axes23", {2, 3});
  b.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1});
  b.ints("starts", {0, 0, 1, 1}).ints("ends", {1, 4, 7, 7});
  using onnx::TensorProto;
  for (const auto& [name, type, dims] : {std::tuple{"zero", TensorProto::UINT8, Ints{}},
                                         {"wzero", TensorProto::INT8, {}},
                                         {"qw", TensorProto::INT8, {4, 4, 1, 1}},
                                         {"qb", TensorProto::INT32, {4}},
                                         {"qm", TensorProto::INT8, {4, 3}},
                                         {"qc", TensorProto::INT8, {1, 4, 1, 1}}})
    *b.graph().add_initializer() = stored(name, type, dims);
  if (quantised) {
    b.node("Identity", {"image"}, {"x"});
  } else {  // what computes
    b.node("Conv", {"image", "weights"}, {"x"});
  }
  model(b);
  return b.bytes();
}

// ------------------------------------------------------------------------- TensorFlow Lite

/// A model with int8 or float activations; it returns its output.
struct Lite : LiteBuilder {
  bool quantised;
  int input, x;  ///< what computes stands before each operator
  explicit Lite(bool q)
      : quantised(q), input(image("image", {1, 4, 4, 2})), x(image("x", {1, 4, 4, 2})) {
    add_op(input, input, x);
  }
  int image(const std::string& name, const std::vector<int>& dims) {
    return quantised ? int8(name, dims, 0.5F, 0) : tensor(name, dims, lite::TensorType_FLOAT32);
  }
  int weights(const std::vector<int>& dims) {
    std::size_t count = 1;
    for (const int dim : dims) count *= static_cast<std::size_t>(dim);
    if (!quantised) return floats("w", dims, random_floats(count, 1));
    return constant("w", dims, lite::TensorType_INT8, std::vector<std::int8_t>(count, 3),
                    {{0.25F}, {0}});
  }
  int plain(Op code, const std::vector<int>& out, const std::vector<int>& others = {}) {
    std::vector<int> inputs{x};
    inputs.insert(inputs.end(), others.begin(), others.end());
    const int y = image("y", out);
    op(code, inputs, {y});
    return y;
  }
};
using LiteModel = std::function<int(Lite&)>;

std::map<std::string, LiteModel> lite_models() {
  const std::vector<int> same{1, 4, 4, 2};
  std::map<std::string, LiteModel> models;
  const auto window = [](Op code) {
    return [code](Lite& m) {
      const int y = m.image("y", {1, 2, 2, 2});
      m.pool(code, m.x, y, 2, 2);
      return y;
    };
  };
  const auto clamp = [same](Op code) { return [=](Lite& m) { return m.plain(code, same); }; };
  const auto renamed = [](Op code) {
    return [code](Lite& m) { return m.plain(code, {1, 32}, {m.ints("shape", {2}, {1, 32})}); };
  };
  models["ADD"] = [same](Lite& m) {
    const int y = m.image("y", same);
    m.add_op(m.x, m.x, y);
    return y;
  };
  models["AVERAGE_POOL_2D"] = window(Op::BuiltinOperator_AVERAGE_POOL_2D);
  models["CONCATENATION"] = [](Lite& m) {
    const int y = m.image("y", {1, 4, 4, 4});
    m.concat({m.x, m.x}, y);
    return y;
  };
  models["CONV_2D"] = [](Lite& m) {
    const int y = m.image("y", {1, 4, 4, 3});
    m.conv({m.x, m.weights({3, 1, 1, 2})}, y);
    return y;
  };
  models["DEPTHWISE_CONV_2D"] = [same](Lite& m) {
    const int y = m.image("y", same);
    m.op(Op::BuiltinOperator_DEPTHWISE_CONV_2D, {m.x, m.weights({1, 1, 1, 2})}, {y},
         lite::Options_DepthwiseConv2DOptions,
         lite::CreateDepthwiseConv2DOptions(m.fb(), lite::Padding_VALID, 1, 1, 1).Union());
    return y;
  };
  models["DEQUANTIZE"] = [same](Lite& m) {
    const int y = m.image("y", same), f = m.tensor("f", same, lite::TensorType_FLOAT32);
    m.add_op(m.x, m.x, y);
    m.op(Op::BuiltinOperator_DEQUANTIZE, {y}, {f});
    return f;
  };
  models["EXPAND_DIMS"] = renamed(Op::BuiltinOperator_EXPAND_DIMS);
  models["FULLY_CONNECTED"] = [](Lite& m) {
    const int y = m.image("y", {1, 3});
    m.op(Op::BuiltinOperator_FULLY_CONNECTED, {m.x, m.weights({3, 32})}, {y},
         lite::Options_FullyConnectedOptions, lite::CreateFullyConnectedOptions(m.fb()).Union());
    return y;
  };
  models["MAX_POOL_2D"] = window(Op::BuiltinOperator_MAX_POOL_2D);
  models["MEAN"] = [](Lite& m) {
    return m.plain(Op::BuiltinOperator_MEAN, {1, 2}, {m.ints("axes", {2}, {1, 2})});
  };
  models["PAD"] = [](Lite& m) {
    return m.plain(Op::BuiltinOperator_PAD, {1, 6, 6, 2},
                   {m.ints("pads", {4, 2}, {0, 0, 1, 1, 1, 1, 0, 0})});
  };
  models["PADV2"] = [](Lite& m) {
    const int filling = m.quantised ? m.constant("zero", {1}, lite::TensorType_INT8,
                                                 std::vector<std::int8_t>{0}, {{0.5F}, {0}})
                                    : m.floats("zero", {1}, {0});
    return m.plain(Op::BuiltinOperator_PADV2, {1, 6, 6, 2},
                   {m.ints("pads", {4, 2}, {0, 0, 1, 1, 1, 1, 0, 0}), filling});
  };
  models["QUANTIZE"] = [same](Lite& m) {
    const int y = m.int8("y", same, 0.25F, 3);
    m.op(Op::BuiltinOperator_QUANTIZE, {m.x}, {y});
    return y;
  };
  models["RELU"] = clamp(Op::BuiltinOperator_RELU);
  models["RELU6"] = clamp(Op::BuiltinOperator_RELU6);
  models["RELU_N1_TO_1"] = clamp(Op::BuiltinOperator_RELU_N1_TO_1);
  models["RESHAPE"] = renamed(Op::BuiltinOperator_RESHAPE);
  models["SOFTMAX"] = [](Lite& m) {
    const int v = m.image("v", {1, 3}), y = m.image("y", {1, 3});
    m.op(Op::BuiltinOperator_FULLY_CONNECTED, {m.x, m.weights({3, 32})}, {v},
         lite::Options_FullyConnectedOptions, lite::CreateFullyConnectedOptions(m.fb()).Union());
    m.softmax(v, y);
    return y;
  };
  models["SQUEEZE"] = renamed(Op::BuiltinOperator_SQUEEZE);
  return models;
}

}  // namespace

TEST_CASE("operators: each of the tables has a way to be imported") {
  for (const import_::OnnxOperator& op : import_::onnx_operators()) {
    INFO(op.name);
    CHECK((op.handler != nullptr || op.fold != nullptr));
    CHECK(import_::find_onnx_operator(op.name) == &op);
    CHECK_FALSE(op.becomes.empty());
  }
  for (const import_::LiteOperator& op : import_::lite_operators()) {
    INFO(lite::EnumNameBuiltinOperator(op.code));
    CHECK(op.handler != nullptr);
    CHECK(import_::find_lite_operator(op.code) == &op);
    CHECK_FALSE(op.becomes.empty());
  }
  const auto& all = import_::operators();
  CHECK(all.size() == import_::onnx_operators().size() + import_::lite_operators().size());
  CHECK(std::ranges::is_sorted(
      all, {}, [](const import_::Operator& op) { return std::pair(op.format, op.name); }));
}

TEST_CASE("operators: each of ONNX is in a model that is read") {
  const auto models = onnx_models();
  CHECK(names_of(models) == listed("onnx"));
  for (const auto& [name, model] : models) {
    const import_::OnnxOperator* op = import_::find_onnx_operator(name);
    const std::string bytes = onnx_bytes(model, op != nullptr && op->quantises());
    onnx::ModelProto proto;
    REQUIRE(proto.ParseFromString(bytes));
    INFO(name);
    CHECK(std::ranges::any_of(proto.graph().node(), [&name = name](const onnx::NodeProto& node) {
      return node.op_type() == name;
    }));
    check_read(name, import_::parse_onnx_model(bytes, ".", "test"));
  }
}

TEST_CASE("operators: each of TensorFlow Lite is in a model that is read, in int8 and in float") {
  const auto models = lite_models();
  CHECK(names_of(models) == listed("tflite"));
  for (const auto& [name, model] : models) {
    for (const bool quantised : {true, false}) {
      if (!quantised && (name == "DEQUANTIZE" || name == "QUANTIZE")) continue;
      Lite m(quantised);
      const int y = model(m);
      const auto read = import_::parse_tflite(m.finish({m.input}, {y}), "test");
      check_read(name + (quantised ? " int8" : " float"), read);
    }
  }
}

TEST_CASE("operators: the importer takes those of ONNX that are listed, and no other") {
  Names names = listed("onnx"), known;
  for (const auto& schema : onnx::OpSchemaRegistry::get_all_schemas()) {
    if (schema.domain().empty()) names.insert(schema.Name());
  }
  REQUIRE(names.size() > 100);
  for (const std::string& name : names) {
    const auto model = import_::parse_onnx_model(onnx_bytes(on_image(name)), ".", "test");
    if (model.ok() || model.error().message != "operator is not supported") known.insert(name);
  }
  CHECK(known == listed("onnx"));
}

TEST_CASE("operators: the importer takes those of TensorFlow Lite that are listed, and no other") {
  Names known;
  for (const Op code : lite::EnumValuesBuiltinOperator()) {
    Lite m(true);
    const int y = m.plain(code, {1, 4, 4, 2});
    const auto model = import_::parse_tflite(m.finish({m.input}, {y}), "test");
    if (model.ok() || model.error().message != "operator is not supported")
      known.insert(lite::EnumNameBuiltinOperator(code));
  }
  CHECK(known == listed("tflite"));
}

}  // namespace espalier::tests
