// Quantised ONNX models: both forms, types, scales, and what is refused by name.

#include <algorithm>
#include <cmath>

#include "golden/golden.hpp"
#include "tests/unit/import/onnx_check.hpp"

namespace espalier::tests {
namespace {

using onnx::TensorProto;
using Ints = std::vector<std::int64_t>;

onnx::TensorProto typed(const std::string& name, int type, const Ints& dims, const Ints& values) {
  TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  for (const std::int64_t value : values) tensor.add_int32_data(static_cast<std::int32_t>(value));
  return tensor;
}

/// The small model of these tests: a convolution, a pool, an average and a matrix product.
struct Model {
  int stored = TensorProto::UINT8;  ///< type of activations
  int weights = TensorProto::INT8;  ///< type of the convolution's weights
  std::int64_t weight_zero = 0;
  Ints w, b, m, mb;
  std::vector<float> ws{0.01F, 0.02F, 0.015F}, ms{0.0123F};

  Model() {
    for (int i = 0; i < 3 * 2 * 9; ++i) w.push_back(i * 37 % 255 - 127);
    b = {500, -700, 20};
    for (int i = 0; i < 4 * 3; ++i) m.push_back(i * 53 % 255 - 127);
    mb = {10, -20, 30, -40};
  }
  [[nodiscard]] std::int64_t zero(std::int64_t signed_zero) const {
    return stored == TensorProto::UINT8 ? signed_zero + 128 : signed_zero;
  }

  void constants(OnnxBuilder& o) const {
    auto& g = o.graph();
    const auto pair = [&](const char* name, float scale, std::int64_t z) {
      *g.add_initializer() = float_tensor(std::string(name) + "s", {}, {scale});
      *g.add_initializer() = typed(std::string(name) + "z", stored, {}, {zero(z)});
    };
    pair("x", 0.02F, -20);
    pair("c", 0.03F, -128);
    pair("a", 0.011F, -100);
    pair("y", 0.05F, 7);
    Ints shifted = w;
    for (std::int64_t& value : shifted) value += weight_zero;
    *g.add_initializer() = typed("w", weights, {3, 2, 3, 3}, shifted);
    o.floats("ws", {3}, ws);
    *g.add_initializer() = typed("wz", weights, {3}, {weight_zero, weight_zero, weight_zero});
    *g.add_initializer() = typed("b", TensorProto::INT32, {3}, b);
    o.floats("bs", {3}, {0.02F * ws[0], 0.02F * ws[1], 0.02F * ws[2]});
    *g.add_initializer() = typed("m", TensorProto::INT8, {4, 3}, m);
    *g.add_initializer() = float_tensor("ms", {}, ms);
    *g.add_initializer() = typed("mz", TensorProto::INT8, {}, {0});
    *g.add_initializer() = typed("mb", TensorProto::INT32, {4}, mb);
    *g.add_initializer() = float_tensor("mbs", {}, {0.011F * ms[0]});
  }

  [[nodiscard]] OnnxBuilder qdq(int opset = 13) const {
    OnnxBuilder o(opset);
    constants(o);
    o.input("image", {1, 2, 6, 6}).output("out");
    o.node("QuantizeLinear", {"image", "xs", "xz"}, {"x"});
    o.node("DequantizeLinear", {"x", "xs", "xz"}, {"xr"});
    o.node("DequantizeLinear", {"w", "ws", "wz"}, {"wr"}, {{"axis", 0}});
    o.node("DequantizeLinear", {"b", "bs"}, {"br"}, {{"axis", 0}});
    o.node("Conv", {"xr", "wr", "br"}, {"cf"}, {{"pads", Ints{1, 1, 1, 1}}});
    o.node("Relu", {"cf"}, {"cr"});
    o.node("QuantizeLinear", {"cr", "cs", "cz"}, {"c"});
    o.node("DequantizeLinear", {"c", "cs", "cz"}, {"cd"});
    o.node("MaxPool", {"cd"}, {"pf"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
    o.node("QuantizeLinear", {"pf", "cs", "cz"}, {"p"});
    o.node("DequantizeLinear", {"p", "cs", "cz"}, {"pd"});
    o.node("GlobalAveragePool", {"pd"}, {"af"});
    o.node("QuantizeLinear", {"af", "as", "az"}, {"a"});
    o.node("DequantizeLinear", {"a", "as", "az"}, {"ad"});
    o.node("Flatten", {"ad"}, {"v"});
    o.node("DequantizeLinear", {"m", "ms", "mz"}, {"mr"});
    o.node("DequantizeLinear", {"mb", "mbs"}, {"mbr"});
    o.node("Gemm", {"v", "mr", "mbr"}, {"yf"}, {{"transB", 1}});
    o.node("QuantizeLinear", {"yf", "ys", "yz"}, {"y"});
    o.node("DequantizeLinear", {"y", "ys", "yz"}, {"out"});
    return o;
  }

  [[nodiscard]] OnnxBuilder qoperator() const {
    OnnxBuilder o(13);
    constants(o);
    o.input("image", {1, 2, 6, 6}).output("out");
    o.node("QuantizeLinear", {"image", "xs", "xz"}, {"x"});
    o.node("QLinearConv", {"x", "xs", "xz", "w", "ws", "wz", "cs", "cz", "b"}, {"c"},
           {{"pads", Ints{1, 1, 1, 1}}});
    o.node("MaxPool", {"c"}, {"p"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
    microsoft(o, "QLinearGlobalAveragePool", {"p", "cs", "cz", "as", "az"}, {"a"});
    o.node("Flatten", {"a"}, {"v"});
    microsoft(o, "QGemm", {"v", "as", "az", "m", "ms", "mz", "mb", "ys", "yz"}, {"y"},
              {{"transB", 1}});
    o.node("DequantizeLinear", {"y", "ys", "yz"}, {"out"});
    return o;
  }

  static void microsoft(OnnxBuilder& o, const std::string& type,
                        const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs,
                        const std::vector<Attribute>& attributes = {}) {
    o.node(type, inputs, outputs, attributes);
    o.graph().mutable_node(o.graph().node_size() - 1)->set_domain("com.microsoft");
  }
};

int requantised(std::int64_t acc, float scale, int zero) {
  const float scaled = static_cast<float>(acc) * scale;
  return std::clamp(static_cast<int>(std::nearbyint(scaled)) + zero, -128, 127);
}

/// What the model computes, written down plainly.
std::vector<std::int8_t> expected(const Model& model, const std::vector<std::int8_t>& x) {
  std::vector<int> c(3 * 36), p(3 * 9);
  for (int n = 0; n < 3; ++n) {
    for (int at = 0; at < 36; ++at) {
      std::int64_t acc = model.b[n];
      for (int k = 0; k < 18; ++k) {
        const int row = at / 6 + k % 9 / 3 - 1, column = at % 6 + k % 3 - 1;
        if (row < 0 || row > 5 || column < 0 || column > 5) continue;
        acc += (x[k / 9 * 36 + row * 6 + column] + 20) * model.w[n * 18 + k];
      }
      c[n * 36 + at] = requantised(acc, 0.02F * model.ws[n] / 0.03F, -128);
    }
    for (int at = 0; at < 9; ++at) {
      const int first = n * 36 + at / 3 * 12 + at % 3 * 2;
      p[n * 9 + at] = std::max({c[first], c[first + 1], c[first + 6], c[first + 7]});
    }
  }
  std::vector<std::int8_t> y;
  for (int n = 0; n < 4; ++n) {
    std::int64_t acc = model.mb[n];
    for (int k = 0; k < 3; ++k) {
      std::int64_t sum = 0;
      for (int at = 0; at < 9; ++at) sum += p[k * 9 + at] + 128;
      acc += (requantised(sum, 0.03F / (0.011F * 9), -100) + 100) * model.m[n * 3 + k];
    }
    y.push_back(static_cast<std::int8_t>(requantised(acc, 0.011F * model.ms[0] / 0.05F, 7)));
  }
  return y;
}

std::vector<std::int8_t> image() {
  std::vector<std::int8_t> x;
  for (int i = 0; i < 72; ++i) x.push_back(static_cast<std::int8_t>(i * 101 % 256 - 128));
  return x;
}

ir::QuantGraph quantised(const OnnxBuilder& builder) {
  auto model = import_::parse_onnx_model(builder.bytes(), ".", "test");
  INFO((model ? std::string("imported") : model.error().text()));
  REQUIRE(model.ok());
  REQUIRE(std::holds_alternative<ir::QuantGraph>(*model));
  return std::get<ir::QuantGraph>(std::move(*model));
}

std::string refusal(const OnnxBuilder& builder) {
  const auto model = import_::parse_onnx_model(builder.bytes(), ".", "test");
  REQUIRE_FALSE(model.ok());
  return model.error().text();
}

std::vector<std::int8_t> output(const ir::QuantGraph& graph, const std::vector<std::int8_t>& x) {
  return golden::run(graph, x)[static_cast<std::size_t>(graph.output)];
}

/// A model of one operator between two quantised tensors.
OnnxBuilder around(const std::string& type, const std::vector<Attribute>& attributes = {}) {
  OnnxBuilder o(13);
  Model().constants(o);
  o.input("image", {1, 2, 6, 6}).output("out");
  o.node("QuantizeLinear", {"image", "xs", "xz"}, {"x"});
  o.node("DequantizeLinear", {"x", "xs", "xz"}, {"xr"});
  o.node(type, {"xr"}, {"f"}, attributes);
  o.node("QuantizeLinear", {"f", "cs", "cz"}, {"c"});
  o.node("DequantizeLinear", {"c", "cs", "cz"}, {"out"});
  return o;
}

}  // namespace

TEST_CASE("onnx: quantised models of both forms and both types compute what their scales say") {
  Model model;
  model.stored = GENERATE(TensorProto::UINT8, TensorProto::INT8);
  if (GENERATE(false, true)) {
    model.weights = TensorProto::UINT8;
    model.weight_zero = 128;
  }
  const auto x = image();
  CHECK(output(quantised(model.qdq()), x) == expected(model, x));
  CHECK(output(quantised(model.qoperator()), x) == expected(model, x));
}

TEST_CASE("onnx: every opset that writes quantised models is read") {
  const Model model;
  const int opset = GENERATE(11, 12, 13, 17, 19, 21);
  CHECK(output(quantised(model.qdq(opset)), image()) == expected(model, image()));
}

TEST_CASE("onnx: tensors of a quantised model have the names of its values") {
  const ir::QuantGraph graph = quantised(Model().qoperator());
  std::vector<std::string> names;
  for (const auto& tensor : graph.tensors) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"x", "c", "p", "a", "y"});
}

TEST_CASE("onnx: a float bias of a quantised convolution is rounded to steps") {
  Model model;
  OnnxBuilder o = model.qdq();
  std::vector<float> real;
  for (int n = 0; n < 3; ++n) {
    real.push_back(static_cast<float>(model.b[n]) * 0.02F * model.ws[n]);
  }
  o.floats("float_bias", {3}, real);
  o.graph().mutable_node(4)->set_input(2, "float_bias");
  CHECK(output(quantised(o), image()) == expected(model, image()));
}

TEST_CASE("onnx: a weight that is transposed after it is dequantised is found") {
  const Model model;
  OnnxBuilder o = model.qdq();
  auto& gemm = *o.graph().mutable_node(17);
  REQUIRE(gemm.op_type() == "Gemm");
  gemm.set_input(1, "turned");
  gemm.clear_attribute();
  onnx::NodeProto turn;
  turn.set_op_type("Transpose");
  turn.add_input("mr");
  turn.add_output("turned");
  // Before the Gemm: nodes stand in topological order.
  *o.graph().add_node() = turn;
  for (int i = o.graph().node_size() - 1; i > 17; --i) {
    o.graph().mutable_node()->SwapElements(i, i - 1);
  }
  CHECK(output(quantised(o), image()) == expected(model, image()));
}

TEST_CASE("onnx: inputs of a concatenation may have scales of their own") {
  OnnxBuilder o(13);
  const Model model;
  model.constants(o);
  o.input("image", {1, 2, 6, 6}).output("out");
  o.node("QuantizeLinear", {"image", "xs", "xz"}, {"x"});
  o.node("DequantizeLinear", {"x", "xs", "xz"}, {"xr"});
  o.node("MaxPool", {"xr"}, {"pf"}, {{"kernel_shape", Ints{1, 1}}});
  o.node("QuantizeLinear", {"pf", "xs", "xz"}, {"p"});
  Model::microsoft(o, "QLinearConcat", {"cs", "cz", "x", "xs", "xz", "p", "xs", "xz"}, {"c"},
                   {{"axis", 1}});
  o.node("DequantizeLinear", {"c", "cs", "cz"}, {"out"});
  const ir::QuantGraph graph = quantised(o);
  const auto x = image();
  const auto y = output(graph, x);
  REQUIRE(y.size() == 144);
  int off = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double exact = (x[i % 72] + 20) * (double{0.02F} / double{0.03F});
    const int wanted = std::clamp(static_cast<int>(std::nearbyint(exact)) - 128, -128, 127);
    off += y[i] != wanted ? 1 : 0;
  }
  CHECK(off == 0);
}

TEST_CASE("onnx: a tensor stored again in another scale, clamped or not, is rescaled") {
  OnnxBuilder o(13);
  Model().constants(o);
  o.input("image", {1, 2, 6, 6}).output("out");
  o.node("QuantizeLinear", {"image", "xs", "xz"}, {"x"});
  o.node("DequantizeLinear", {"x", "xs", "xz"}, {"xr"});
  o.node("Relu", {"xr"}, {"r"});
  o.node("QuantizeLinear", {"r", "ys", "yz"}, {"y"});
  o.node("DequantizeLinear", {"y", "ys", "yz"}, {"out"});
  const ir::QuantGraph graph = quantised(o);
  const auto x = image();
  const auto y = output(graph, x);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double exact = std::max(0, x[i] + 20) * (double{0.02F} / double{0.05F});
    REQUIRE(int{y[i]} == std::min(127, static_cast<int>(std::nearbyint(exact)) + 7));
  }
}

/// Clip between two tensors of one scale, with int8 of zero point `zero`, as the node or after a
/// convolution by 1.
OnnxBuilder clipped(float scale, int zero, float low, float high, bool dense) {
  OnnxBuilder o(13);
  o.input("x", {1, 1, 16, 16}, TensorProto::INT8).output("out");
  auto& g = o.graph();
  *g.add_initializer() = float_tensor("s", {}, {scale});
  *g.add_initializer() = typed("z", TensorProto::INT8, {}, {zero});
  *g.add_initializer() = float_tensor("low", {}, {low});
  *g.add_initializer() = float_tensor("high", {}, {high});
  *g.add_initializer() = typed("w", TensorProto::INT8, {1, 1, 1, 1}, {1});
  *g.add_initializer() = float_tensor("ws", {}, {1.0F});
  o.node("DequantizeLinear", {"x", "s", "z"}, {"real"});
  if (dense) {
    o.node("DequantizeLinear", {"w", "ws"}, {"wr"});
    o.node("Conv", {"real", "wr"}, {"made"});
  }
  o.node("Clip", {dense ? "made" : "real", "low", "high"}, {"f"});
  o.node("QuantizeLinear", {"f", "s", "z"}, {"out"});
  return o;
}

TEST_CASE("onnx: the bounds of a Clip are quantised as QuantizeLinear does, in fp32") {
  struct Bounds {
    float low, high;
  };
  const Bounds bounds = GENERATE(Bounds{0, 6}, Bounds{-1, 1}, Bounds{-3, 6});
  const int zero = GENERATE(-128, 0, 5);
  const bool dense = GENERATE(false, true);
  std::vector<std::int8_t> x;
  for (int i = 0; i < 256; ++i) x.push_back(static_cast<std::int8_t>(i - 128));
  std::size_t compared = 0, off = 0, differs_in_double = 0;
  for (int k = 0; k < 120; ++k) {
    const auto scale = static_cast<float>(bounds.high / (k + 0.5));
    const auto y = output(quantised(clipped(scale, zero, bounds.low, bounds.high, dense)), x);
    REQUIRE(y.size() == x.size());
    for (std::size_t i = 0; i < x.size(); ++i, ++compared) {
      const float real = static_cast<float>(x[i] - zero) * scale;
      const float kept = std::clamp(real, bounds.low, bounds.high);
      const float steps = std::nearbyintf(kept / scale);
      off += int{y[i]} != std::clamp(static_cast<int>(steps) + zero, -128, 127) ? 1 : 0;
    }
    const double exact = double{bounds.high} / double{scale};
    differs_in_double += std::nearbyint(exact) != std::nearbyintf(bounds.high / scale) ? 1 : 0;
  }
  CHECK(compared == 120 * 256);
  CHECK(differs_in_double > 20);  // the sweep can tell
  CHECK(off == 0);
}

TEST_CASE("onnx: a float bias is stored in steps as an fp32 division rounds it") {
  // Half-way in fp32, and not in double.
  std::size_t tellable = 0;
  for (int k = 0; k < 120; ++k) {
    Model model;
    model.ws = {0.01F, 0.02F, 0.015F};
    const float unit = 0.02F * model.ws[0];
    const float bias = unit * (static_cast<float>(k) + 0.5F);
    OnnxBuilder o = model.qdq();
    o.floats("float_bias", {3}, {bias, 0, 0});
    o.graph().mutable_node(4)->set_input(2, "float_bias");
    const ir::QuantGraph graph = quantised(o);
    const auto& conv = std::get<ir::QuantConv>(graph.nodes[0].op);
    REQUIRE(conv.bias[0] == static_cast<std::int32_t>(std::nearbyintf(bias / unit)));
    tellable += std::nearbyint(double{bias} / double{unit}) != conv.bias[0] ? 1 : 0;
  }
  CHECK(tellable > 0);
}

TEST_CASE("onnx: constants quantised in the graph are rounded and saturated as QuantizeLinear") {
  std::size_t compared = 0;
  for (int k = 0; k < 120; ++k) {
    const auto scale = static_cast<float>(6 / (k + 0.5));
    OnnxBuilder o(13);
    o.input("x", {1, 1, 1, 1}, TensorProto::INT8).output("out");
    auto& g = o.graph();
    *g.add_initializer() = float_tensor("s", {}, {scale});
    *g.add_initializer() = typed("z", TensorProto::INT8, {}, {0});
    const std::vector<float> real{6, -6, 3, scale * 0.5F, scale * 1.5F, 1000, -1000};
    o.floats("wf", {7, 1, 1, 1}, real);
    o.node("DequantizeLinear", {"x", "s", "z"}, {"xr"});
    o.node("QuantizeLinear", {"wf", "s", "z"}, {"w"});
    o.node("DequantizeLinear", {"w", "s", "z"}, {"wr"});
    o.node("Conv", {"xr", "wr"}, {"f"});
    o.node("QuantizeLinear", {"f", "s", "z"}, {"out"});
    const ir::QuantGraph graph = quantised(o);
    const auto& conv = std::get<ir::QuantConv>(graph.nodes[0].op);
    REQUIRE(conv.weights.size() == real.size());
    for (std::size_t i = 0; i < real.size(); ++i, ++compared) {
      const float steps = std::nearbyintf(real[i] / scale);
      REQUIRE(int{conv.weights[i]} == static_cast<int>(std::clamp(steps, -128.0F, 127.0F)));
    }
  }
  CHECK(compared == 840);
}

TEST_CASE("onnx: a constant on quantised activations becomes a convolution") {
  OnnxBuilder o = around("Mul");
  o.floats("gain", {1, 2, 1, 1}, {0.5F, -1.25F});
  o.graph().mutable_node(2)->add_input("gain");
  const ir::QuantGraph graph = quantised(o);
  const auto x = image();
  const auto y = output(graph, x);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double exact = (x[i] + 20) * 0.02 * (i < 36 ? 0.5 : -1.25) / 0.03;
    const int wanted = std::clamp(static_cast<int>(std::nearbyint(exact)) - 128, -128, 127);
    REQUIRE(std::abs(y[i] - wanted) <= 1);
  }
  CHECK(ir::macs(graph, graph.nodes[0]) == 72);  // one a value, whatever the convolution holds
}

TEST_CASE("onnx: groups of a quantised model are its work") {
  OnnxBuilder o(13);
  o.input("x", {1, 4, 3, 3}, TensorProto::INT8).output("out");
  auto& g = o.graph();
  *g.add_initializer() = float_tensor("s", {}, {0.5F});
  *g.add_initializer() = typed("z", TensorProto::INT8, {}, {3});
  Ints w;
  for (int i = 0; i < 8 * 2 * 9; ++i) w.push_back(i * 37 % 255 - 127);
  *g.add_initializer() = typed("w", TensorProto::INT8, {8, 2, 3, 3}, w);
  *g.add_initializer() = float_tensor("ws", {}, {0.01F});
  o.node("DequantizeLinear", {"x", "s", "z"}, {"xr"});
  o.node("DequantizeLinear", {"w", "ws"}, {"wr"});
  o.node("Conv", {"xr", "wr"}, {"f"}, {{"group", 2}, {"pads", Ints{1, 1, 1, 1}}});
  o.node("QuantizeLinear", {"f", "s", "z"}, {"out"});
  const ir::QuantGraph graph = quantised(o);
  CHECK(ir::macs(graph, graph.nodes[0]) == 8 * 2 * 9 * 9);
}

TEST_CASE("onnx: what a quantised model may not hold is refused by name") {
  using Catch::Contains;
  const Model model;
  SECTION("an operator between float values") {
    OnnxBuilder o = around("Relu");
    o.graph().mutable_node(2)->set_op_type("AveragePool");
    *o.graph().mutable_node(2)->add_attribute() = Attribute("kernel_shape", Ints{2, 2}).proto;
    o.node("MaxPool", {"f"}, {"island"}, {{"kernel_shape", Ints{1, 1}}});
    o.graph().mutable_node()->SwapElements(3, 5);
    o.graph().mutable_node()->SwapElements(4, 5);
    o.graph().mutable_node(4)->set_input(0, "island");
    CHECK_THAT(refusal(o), Contains("node 'node_island'") && Contains("float island"));
  }
  SECTION("a first layer in float") {
    OnnxBuilder o = model.qdq();
    o.graph().mutable_node(4)->set_input(0, "image");
    CHECK_THAT(refusal(o), Contains("node 'node_cf'") && Contains("model's input in float"));
  }
  SECTION("an output that is never stored") {
    OnnxBuilder o = around("Relu");
    o.graph().mutable_output(0)->set_name("f");
    CHECK_THAT(refusal(o), Contains("output 'f'") && Contains("float island"));
  }
  SECTION("float weights") {
    OnnxBuilder o = model.qdq();
    o.floats("wf", {3, 2, 3, 3}, random_floats(54, 1));
    o.graph().mutable_node(4)->set_input(1, "wf");
    CHECK_THAT(refusal(o),
               Contains("node 'node_cf'") && Contains("weights that are not quantised"));
  }
  SECTION("a zero point a channel") {
    OnnxBuilder o = model.qdq();
    *o.graph().add_initializer() = typed("zeros", TensorProto::INT8, {3}, {0, 1, 0});
    o.graph().mutable_node(2)->set_input(2, "zeros");
    CHECK_THAT(refusal(o), Contains("node 'node_wr'") && Contains("zero point per channel"));
  }
  SECTION("weights that are not symmetric") {
    Model odd;
    odd.weights = TensorProto::UINT8;
    OnnxBuilder o = odd.qdq();
    for (auto& tensor : *o.graph().mutable_initializer()) {
      if (tensor.name() == "w") tensor.set_int32_data(5, 250);
    }
    CHECK_THAT(refusal(o), Contains("node 'node_cf'") && Contains("zero point 0") &&
                               Contains("limits are -128 and 127"));
  }
  SECTION("scales a channel on an activation") {
    OnnxBuilder o = model.qdq();
    o.floats("two", {2}, {0.1F, 0.2F});
    o.graph().mutable_node(0)->set_input(1, "two");
    CHECK_THAT(refusal(o), Contains("node 'node_x'") && Contains("activation with 2 scales"));
  }
  SECTION("channels last") {
    OnnxBuilder o = model.qoperator();
    *o.graph().mutable_node(3)->add_attribute() = Attribute("channels_last", 1).proto;
    CHECK_THAT(refusal(o), Contains("node 'node_a'") && Contains("mixed layouts"));
  }
  SECTION("16 bits") {
    OnnxBuilder o = model.qdq();
    *o.graph().add_initializer() = typed("wide", TensorProto::UINT16, {}, {0});
    o.graph().mutable_node(0)->set_input(2, "wide");
    CHECK_THAT(refusal(o), Contains("node 'node_x'") && Contains("int8 and uint8"));
  }
  SECTION("another scale than that it was stored with") {
    OnnxBuilder o = model.qdq();
    o.graph().mutable_node(7)->set_input(1, "as");
    CHECK_THAT(refusal(o), Contains("node 'node_cd'") && Contains("0.011") && Contains("0.03"));
  }
  SECTION("arithmetic on integers as they are stored") {
    OnnxBuilder o = around("Relu");
    o.graph().mutable_node(2)->set_op_type("GlobalAveragePool");
    o.graph().mutable_node(2)->set_input(0, "x");
    CHECK_THAT(refusal(o), Contains("node 'node_f'") && Contains("without its scale"));
  }
}

TEST_CASE("onnx: damaged quantised models are answered, not crashed on") {
  const std::string whole = Model().qoperator().bytes();
  std::mt19937 random(5);
  int read = 0;
  for (int i = 0; i < 400; ++i) {
    std::string damaged = whole;
    for (int k = i % 3; k >= 0; --k)
      damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
    const auto model = import_::parse_onnx_model(damaged, ".", "test");
    read += model.ok() ? 1 : 0;
    if (!model.ok()) REQUIRE_FALSE(model.error().message.empty());
    if (!model.ok()) continue;
    if (const auto* graph = std::get_if<ir::QuantGraph>(&*model)) CHECK(ir::verify(*graph).ok());
  }
  CHECK(read > 20);
  CHECK(read < 380);
}

TEST_CASE("onnx: another network's normalisation at the input folds into the first convolution") {
  OnnxBuilder o(11);
  o.input("x", {1, 3, 8, 8}).output("y");
  std::vector<std::string> parts;
  const float gain[3] = {0.458F, 0.448F, 0.45F}, shift[3] = {-0.03F, -0.088F, -0.188F};
  for (int c = 0; c < 3; ++c) {
    const std::string n = std::to_string(c);
    o.ints("i" + n, {c}, true).floats("g" + n, {}, {gain[c]}).floats("s" + n, {}, {shift[c]});
    o.node("Gather", {"x", "i" + n}, {"t" + n}, {{"axis", 1}});
    o.node("Unsqueeze", {"t" + n}, {"u" + n}, {{"axes", Ints{1}}});
    o.node("Mul", {"u" + n, "g" + n}, {"m" + n});
    o.node("Add", {"m" + n, "s" + n}, {"a" + n});
    parts.push_back("a" + n);
  }
  o.node("Concat", parts, {"z"}, {{"axis", 1}});
  const int pad = GENERATE(0, 1);
  const auto w = random_floats(4 * 3 * 9, 3);
  o.floats("w", {4, 3, 3, 3}, w);
  o.node("Conv", {"z", "w"}, {"y"}, {{"pads", Ints{pad, pad, pad, pad}}});
  const ir::FloatGraph graph = import_ok(o);
  CHECK(count_ops(graph, "concat") == 0);
  CHECK(count_ops(graph, "conv") == 1);
  // Shifted zeros are no zeros: the padding has values of its own.
  CHECK(std::get<ir::FloatConv>(graph.nodes[0].op).border.empty() == (pad == 0));
  const auto x = random_floats(3 * 64, 4);
  const auto y = golden::run_float(graph, x)[graph.output];
  const int size = 6 + 2 * pad;
  for (int at = 0; at < 4 * size * size; ++at) {
    double sum = 0;
    for (int k = 0; k < 27; ++k) {
      const int row = at / size % size + k % 9 / 3 - pad, column = at % size + k % 3 - pad;
      if (row < 0 || row > 7 || column < 0 || column > 7) continue;
      const int c = k / 9;
      sum += (x[c * 64 + row * 8 + column] * gain[c] + shift[c]) * w[at / (size * size) * 27 + k];
    }
    REQUIRE(std::abs(y[at] - sum) < 1e-4);
  }
}

}  // namespace espalier::tests
