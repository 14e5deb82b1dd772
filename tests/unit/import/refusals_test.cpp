// Models that are refused: all of their nodes at once, and the share of the work that maps.

#include "import/refusals.hpp"

#include "catch.hpp"
#include "import/onnx/onnx.hpp"
#include "import/tflite/tflite.hpp"
#include "lite_builder.hpp"
#include "onnx_builder.hpp"

using namespace espalier;
using import_::Refusals;
using Lines = std::vector<std::string>;

namespace {

void onnx_conv(tests::OnnxBuilder& b, const std::string& from, const std::string& to, int in,
               int out, int kernel) {
  const std::vector<std::int64_t> dims{out, in, kernel, kernel};
  const auto count = static_cast<std::size_t>(out * in * kernel * kernel);
  b.floats(to + ".w", dims, tests::random_floats(count, 1));
  const std::int64_t pad = kernel / 2;
  b.node("Conv", {from, to + ".w"}, {to}, {{"pads", {pad, pad, pad, pad}}});
}

}  // namespace

TEST_CASE("refusals: all nodes of an ONNX model that are refused, and those behind them") {
  tests::OnnxBuilder b;
  b.input("x", {-1, 3, 8, 8});
  onnx_conv(b, "x", "conv1", 3, 4, 3);  // 64 pixels x 4 x 27 = 6,912
  b.node("Erf", {"conv1"}, {"e1"});
  onnx_conv(b, "e1", "conv2", 4, 4, 1);  // 64 x 4 x 4 = 1,024
  b.node("Erf", {"conv2"}, {"e2"});
  b.floats("up.w", {4, 2, 2, 2}, tests::random_floats(32, 2));
  b.node("ConvTranspose", {"e2", "up.w"}, {"up"}, {{"strides", {2, 2}}});  // 64 x 4 x 8 = 2,048
  onnx_conv(b, "up", "conv3", 2, 5, 1);                                    // 256 x 5 x 2 = 2,560
  b.node("Strange", {"conv3"}, {"s"});
  b.graph().mutable_node(b.graph().node_size() - 1)->set_domain("my.ops");
  onnx_conv(b, "s", "conv4", 5, 5, 1);  // of a shape that nobody knows
  b.node("Relu", {"conv4"}, {"y"}).output("y");
  const std::string bytes = b.bytes();
  Refusals refusals;
  const auto model = import_::parse_onnx_model(bytes, "", "m", &refusals);
  REQUIRE_FALSE(model.ok());
  const std::string first = "node 'node_e1' (Erf): operator is not supported";
  CHECK(model.error().text() == first);
  CHECK(refusals.lines() ==
        Lines{"4 of 9 nodes are refused:", "  2 Erf: operator is not supported: node_e1, node_e2",
              "  1 ConvTranspose: operator is not supported: node_up",
              "  1 Strange: operator of domain 'my.ops' is not supported: node_s",
              "2 behind them have inputs of unknown shape: not judged",
              "83.7 % of 12,544 multiply-accumulates map, as far as shapes are known"});
  // Without a place for them the first ends it, as ever.
  CHECK(import_::parse_onnx_model(bytes, "", "m").error().text() == first);
}

TEST_CASE("refusals: other reasons of one operator stand apart, and a good model has none") {
  tests::OnnxBuilder b;
  b.input("x", {1, 4, 8, 8});
  b.node("Softmax", {"x"}, {"a"}, {{"axis", 3}});
  b.node("Softmax", {"a"}, {"b"}, {{"axis", 2}});
  onnx_conv(b, "b", "y", 4, 4, 1);
  b.output("y");
  Refusals refusals;
  const auto model = import_::parse_onnx_model(b.bytes(), "", "m", &refusals);
  REQUIRE_FALSE(model.ok());
  const Lines lines = refusals.lines();
  REQUIRE(lines.size() >= 3);
  CHECK(lines[0] == "2 of 3 nodes are refused:");
  CHECK(lines.back() == "100.0 % of 1,024 multiply-accumulates map");
  tests::OnnxBuilder good;
  good.input("x", {1, 4, 8, 8});
  onnx_conv(good, "x", "y", 4, 4, 1);
  good.output("y");
  Refusals none;
  CHECK(import_::parse_onnx_model(good.bytes(), "", "m", &none).ok());
  CHECK_FALSE(none.any());
  CHECK(none.lines().empty());
  CHECK(none.nodes().size() == 1);
}

TEST_CASE("refusals: a damaged model is no refused one") {
  tests::OnnxBuilder b;
  b.input("x", {1, 4, 8, 8});
  b.node("Erf", {"x"}, {"a"}).node("Relu", {"a", "nothing"}, {"b"});
  b.node("Add", {"b", "nowhere"}, {"y"}).output("y");
  Refusals refusals;
  const auto model = import_::parse_onnx_model(b.bytes(), "", "m", &refusals);
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().code == ErrorCode::kMalformed);
}

TEST_CASE("refusals: all operators of a TensorFlow Lite model that are refused") {
  for (const bool quantised : {false, true}) {
    INFO((quantised ? "int8" : "float"));
    tests::LiteBuilder b;
    const auto image = [&](const std::string& name, const std::vector<int>& dims) {
      return quantised ? b.int8(name, dims, 0.5F, 0)
                       : b.tensor(name, dims, lite::TensorType_FLOAT32);
    };
    const auto weights = [&](const std::string& name, const std::vector<int>& dims) {
      std::size_t count = 1;
      for (const int dim : dims) count *= static_cast<std::size_t>(dim);
      if (!quantised) return b.floats(name, dims, tests::random_floats(count, 3));
      return b.constant(name, dims, lite::TensorType_INT8, std::vector<std::int8_t>(count, 1),
                        {{0.25F}, {0}});
    };
    const int x = image("x", {1, 8, 8, 3}), a = image("a", {1, 8, 8, 4});
    b.conv({x, weights("a.w", {4, 1, 1, 3})}, a);  // 64 x 4 x 3 = 768
    const int h = image("h", {1, 8, 8, 4}), g = image("g", {1, 8, 8, 4});
    b.op(lite::BuiltinOperator_HARD_SWISH, {a}, {h});
    b.op(lite::BuiltinOperator_LOGISTIC, {h}, {g});
    const int c = image("c", {1, 8, 8, 2});
    b.conv({g, weights("c.w", {2, 1, 1, 4})}, c);  // 64 x 2 x 4 = 512
    const int u = image("u", {1, 16, 16, 2}), v = image("v", {1, 16, 16, 2});
    b.op(lite::BuiltinOperator_TRANSPOSE_CONV,
         {b.ints("u.s", {4}, {1, 16, 16, 2}), weights("u.w", {2, 2, 2, 2}), c}, {u});  // 64 x 2 x 8
    b.op(lite::BuiltinOperator_HARD_SWISH, {u}, {v});
    Refusals refusals;
    const auto model = import_::parse_tflite(b.finish({x}, {v}), "m", &refusals);
    REQUIRE_FALSE(model.ok());
    CHECK(model.error().text() == "node 'h' (HARD_SWISH): operator is not supported");
    CHECK(refusals.lines() ==
          Lines{"4 of 6 nodes are refused:", "  2 HARD_SWISH: operator is not supported: h, v",
                "  1 LOGISTIC: operator is not supported: g",
                "  1 TRANSPOSE_CONV: operator is not supported: u",
                "55.6 % of 2,304 multiply-accumulates map"});
  }
}
