// The lowering of quantised models of either format: one meaning, and what folds.

#include <random>

#include "catch.hpp"
#include "golden/golden.hpp"
#include "import/onnx/onnx.hpp"
#include "import/tflite/tflite.hpp"
#include "shared_file.hpp"
#include "tests/unit/import/lite_builder.hpp"
#include "tests/unit/import/onnx_builder.hpp"

namespace espalier::tests {
namespace {

using Bytes = std::vector<std::int8_t>;
using Ints = std::vector<std::int64_t>;
using onnx::TensorProto;

ir::QuantGraph graph_of(Result<import_::Model> model) {
  INFO((model ? std::string("imported") : model.error().text()));
  REQUIRE(model.ok());
  REQUIRE(std::holds_alternative<ir::QuantGraph>(*model));
  return std::get<ir::QuantGraph>(std::move(*model));
}
ir::QuantGraph graph_of(LiteBuilder& m, int input, int output) {
  return graph_of(import_::parse_tflite(m.finish({input}, {output}), "test"));
}
ir::QuantGraph graph_of(const OnnxBuilder& m) {
  return graph_of(import_::parse_onnx_model(m.bytes(), ".", "test"));
}

Bytes output_of(const ir::QuantGraph& graph, const Bytes& image) {
  return golden::run(graph, image)[static_cast<std::size_t>(graph.output)];
}

Bytes random_bytes(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::int8_t>(random() % 256);
  return bytes;
}

TensorProto int8(const std::string& name, const Ints& dims, const Bytes& values) {
  TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::INT8);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  for (const std::int8_t value : values) tensor.add_int32_data(value);
  return tensor;
}

/// A QDQ model of int8; value `x` is stored as `x`, and its real numbers are `x.real`.
struct Qdq : OnnxBuilder {
  explicit Qdq(const Ints& dims, float scale, int zero) {
    input("x", dims, TensorProto::INT8);
    parameters("x", scale, zero);
    node("DequantizeLinear", {"x", "x.s", "x.z"}, {"x.real"});
  }
  void parameters(const std::string& name, float scale, int zero) {
    *graph().add_initializer() = float_tensor(name + ".s", {}, {scale});
    *graph().add_initializer() = int8(name + ".z", {}, {static_cast<std::int8_t>(zero)});
  }
  void dense(const std::string& name, const Ints& dims, const Bytes& values, float scale) {
    *graph().add_initializer() = int8(name, dims, values);
    parameters(name, scale, 0);
    node("DequantizeLinear", {name, name + ".s", name + ".z"}, {name + ".real"});
  }
  /// An operator whose result is stored as `name`, and read back.
  void op(const std::string& type, const std::vector<std::string>& inputs, const std::string& name,
          float scale, int zero, const std::vector<Attribute>& attributes = {},
          bool clamp = false) {
    parameters(name, scale, zero);
    node(type, inputs, {name + ".made"}, attributes);
    if (clamp) node("Relu", {name + ".made"}, {name + ".clamped"});
    node("QuantizeLinear", {name + (clamp ? ".clamped" : ".made"), name + ".s", name + ".z"},
         {name});
    node("DequantizeLinear", {name, name + ".s", name + ".z"}, {name + ".real"});
  }
};

/// [N][kh][kw][C] as [N][C][kh][kw].
Bytes channels_first(const Bytes& w, int n, int taps, int c) {
  Bytes turned;
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < c; ++k)
      for (int t = 0; t < taps; ++t) turned.push_back(w[(i * taps + t) * c + k]);
  return turned;
}

}  // namespace

TEST_CASE("quantised: one model in both formats is one graph") {
  const Bytes w = random_bytes(4 * 9 * 2, 1), f = random_bytes(3 * 4, 2);
  LiteBuilder m;
  const int x = m.int8("x", {1, 6, 6, 2}, 0.5F, -3), c = m.int8("c", {1, 6, 6, 4}, 3.0F, -20);
  const int s = m.int8("s", {1, 6, 6, 4}, 5.0F, 4), p = m.int8("p", {1, 3, 3, 4}, 5.0F, 4);
  const int a = m.int8("a", {1, 4}, 4.0F, 1), y = m.int8("y", {1, 3}, 9.0F, 0);
  m.conv({x, m.constant("w", {4, 3, 3, 2}, lite::TensorType_INT8, w, {{0.02F}, {0}})}, c,
         lite::Padding_SAME, 1, lite::Activation_RELU);
  m.add_op(c, c, s);
  m.pool(lite::BuiltinOperator_MAX_POOL_2D, s, p, 2, 2);
  m.op(lite::BuiltinOperator_MEAN, {p, m.ints("axes", {2}, {1, 2})}, {a},
       lite::Options_ReducerOptions, lite::CreateReducerOptions(m.fb(), false).Union());
  m.op(lite::BuiltinOperator_FULLY_CONNECTED,
       {a, m.constant("f", {3, 4}, lite::TensorType_INT8, f, {{0.1F}, {0}})}, {y},
       lite::Options_FullyConnectedOptions, lite::CreateFullyConnectedOptions(m.fb()).Union());
  const ir::QuantGraph light = graph_of(m, x, y);

  Qdq o({1, 2, 6, 6}, 0.5F, -3);
  o.dense("w", {4, 2, 3, 3}, channels_first(w, 4, 9, 2), 0.02F);
  o.op("Conv", {"x.real", "w.real"}, "c", 3.0F, -20, {{"pads", Ints{1, 1, 1, 1}}}, true);
  o.op("Add", {"c.real", "c.real"}, "s", 5.0F, 4);
  o.op("MaxPool", {"s.real"}, "p", 5.0F, 4,
       {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  o.op("GlobalAveragePool", {"p.real"}, "a", 4.0F, 1);
  o.node("Flatten", {"a.real"}, {"v"});
  o.dense("f", {3, 4}, f, 0.1F);
  o.op("Gemm", {"v", "f.real"}, "y", 9.0F, 0, {{"transB", 1}});
  o.output("y");
  const ir::QuantGraph open = graph_of(o);

  REQUIRE(light.nodes.size() == 5);
  REQUIRE(open.nodes.size() == 5);
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(ir::op_name(light.nodes[i].op) == ir::op_name(open.nodes[i].op));
  for (std::size_t i = 0; i < light.tensors.size(); ++i) {
    CHECK(light.tensors[i].quant == open.tensors[i].quant);
    CHECK(light.tensors[i].name == open.tensors[i].name);
  }
  for (std::uint32_t seed = 3; seed < 8; ++seed) {
    const Bytes image = random_bytes(72, seed);
    CHECK(golden::run(light, image) == golden::run(open, image));
  }
}

TEST_CASE("quantised: a border that is stored in its input's scale is its readers' padding") {
  const bool reread = GENERATE(false, true);  // by an addition, which takes no border
  Qdq o({1, 1, 3, 3}, 0.5F, 7);
  o.ints("pads", {0, 0, 1, 2, 0, 0, 0, 1});
  o.op("Pad", {"x.real", "pads"}, "b", 0.5F, 7);
  o.dense("w", {1, 1, 2, 2}, {1, 2, 3, 4}, 1.0F);
  o.op("Conv", {"b.real", "w.real"}, "c", 0.5F, 0);
  if (reread) {
    o.op("MaxPool", {"b.real"}, "p", 0.5F, 7, {{"kernel_shape", Ints{2, 2}}});
    o.op("Add", {"p.real", "c.real"}, "y", 0.5F, 0);
  }
  o.output(reread ? "y" : "c");
  const ir::QuantGraph graph = graph_of(o);
  CHECK(graph.nodes.size() == (reread ? 4 : 1));  // the maximum sees pixels below 0
  const Bytes image = random_bytes(9, 5);
  const Bytes y = output_of(graph, image);
  REQUIRE(y.size() == 15);
  const auto at = [&](int row, int column) {
    row -= 1, column -= 2;
    return row < 0 || row > 2 || column < 0 || column > 2 ? 0 : image[row * 3 + column] - 7;
  };
  for (int i = 0; i < 15; ++i) {
    const int r = i / 5, c = i % 5;
    const int pixels[] = {at(r, c), at(r, c + 1), at(r + 1, c), at(r + 1, c + 1)};
    const int sum = pixels[0] + 2 * pixels[1] + 3 * pixels[2] + 4 * pixels[3];
    const int conv = std::clamp(sum, -128, 127);
    const int most = *std::max_element(pixels, pixels + 4);
    CHECK(y[i] == (reread ? std::clamp(conv + most, -128, 127) : conv));
  }
}

TEST_CASE("quantised: a window that sees only a border's pixels keeps the border") {
  Qdq o({1, 1, 1, 2}, 1.0F, 7);
  o.ints("pads", {0, 0, 1, 0, 0, 0, 0, 0});
  o.op("Pad", {"x.real", "pads"}, "b", 1.0F, 7);
  o.op("AveragePool", {"b.real"}, "y", 0.5F, 0, {{"kernel_shape", Ints{1, 2}}});
  o.output("y");
  const ir::QuantGraph graph = graph_of(o);
  CHECK(graph.nodes.size() == 2);
  CHECK(output_of(graph, Bytes{9, 11}) == Bytes{0, 6});
}

TEST_CASE("quantised: what the output does not need is not computed") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 2, 2, 1}, 1.0F, 0), y = m.int8("y", {1, 2, 2, 1}, 2.0F, 0);
  const int a = m.int8("a", {1, 2, 2, 1}, 2.0F, 0), b = m.int8("b", {1, 4, 4, 1}, 2.0F, 0);
  m.add_op(x, x, a);
  m.op(lite::BuiltinOperator_PAD, {a, m.ints("pads", {4, 2}, {0, 0, 1, 1, 1, 1, 0, 0})}, {b});
  m.add_op(x, x, y);
  CHECK(graph_of(m, x, y).nodes.size() == 1);
}

TEST_CASE("quantised: a border of channels and pixels is one convolution") {
  Qdq o({1, 1, 1, 2}, 1.0F, 7);
  o.ints("pads", {0, 1, 0, 1, 0, 0, 0, 0});
  o.op("Pad", {"x.real", "pads"}, "y", 1.0F, 7);
  o.output("y");
  const ir::QuantGraph graph = graph_of(o);
  CHECK(graph.nodes.size() == 1);
  CHECK(output_of(graph, {1, -2}) == Bytes{7, 7, 7, 7, 1, -2});
}

TEST_CASE("quantised: a clamp of a stored tensor narrows its maker where nothing else reads that") {
  const bool reread = GENERATE(false, true);
  Qdq o({1, 1, 1, 3}, 1.0F, 0);
  o.op("Add", {"x.real", "x.real"}, "s", 2.0F, -10);
  o.op("Relu", {"s.real"}, "y", 2.0F, -10);
  if (reread) {  // as exporters write it: each reader dequantises for itself
    o.node("DequantizeLinear", {"s", "s.s", "s.z"}, {"s.again"});
    o.op("Add", {"y.real", "s.again"}, "z", 2.0F, 0);
  }
  o.output(reread ? "z" : "y");
  const ir::QuantGraph graph = graph_of(o);
  CHECK(graph.nodes.size() == (reread ? 3 : 1));
  CHECK(graph.tensors[graph.output].name == (reread ? "z" : "y"));
  CHECK(output_of(graph, {-30, 2, 100}) == (reread ? Bytes{-30, 4, 127} : Bytes{-10, -8, 90}));
}

TEST_CASE("quantised: a softmax that is stored again is the host's") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 4}, 0.5F, 3), y = m.int8("y", {1, 4}, 1.0F, 0);
  const int p = m.int8("p", {1, 4}, 1.0F / 256, -128);
  const int u = m.tensor("u", {1, 4}, lite::TensorType_UINT8, {{1.0F / 256}, {0}});
  m.op(lite::BuiltinOperator_FULLY_CONNECTED,
       {x, m.constant("w", {4, 4}, lite::TensorType_INT8, random_bytes(16, 1), {{0.1F}, {0}})}, {y},
       lite::Options_FullyConnectedOptions, lite::CreateFullyConnectedOptions(m.fb()).Union());
  m.softmax(y, p);
  m.op(lite::BuiltinOperator_QUANTIZE, {p}, {u});
  const ir::QuantGraph graph = graph_of(m, x, u);
  CHECK(graph.softmax);
  CHECK(graph.host_ops == std::vector<std::string>{"softmax"});
  CHECK(graph.tensors[graph.output].name == "y");
}

TEST_CASE(
    "quantised: a foreign MobileNetV2 is read whole, with a softmax stored twice at its end") {
  const std::string file = "models/foreign/tf2_mobilenet_v2_1.0_224_ptq.tflite";
  if (absent(file)) return;
  const ir::QuantGraph graph = graph_of(import_::load(shared_file(file)));
  CHECK(graph.softmax);
  CHECK(graph.tensors[graph.output].shape == ir::Shape{1001, 1, 1});
  std::int64_t macs = 0;
  for (const ir::QuantNode& node : graph.nodes) macs += ir::macs(graph, node);
  CHECK(macs == 300'775'552);
}

TEST_CASE("quantised: a refusal of the lowering names the operator and its node") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 4}, 0.5F, 3), p = m.int8("p", {1, 4}, 0.01F, 0);
  const int y = m.int8("y", {1, 1, 1, 4}, 0.5F, 3);
  m.softmax(x, p);
  m.add_op(p, p, y);
  const auto model = import_::parse_tflite(m.finish({x}, {y}), "test");
  REQUIRE_FALSE(model.ok());
  CHECK_THAT(model.error().text(),
             Catch::Matchers::Contains("node 'y' (ADD)") && Catch::Matchers::Contains("softmax"));
}

}  // namespace espalier::tests
