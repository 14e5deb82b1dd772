// Arithmetic, borders, slices, layouts and shape chains of ONNX models.

#include "tests/unit/import/onnx_check.hpp"

namespace espalier::tests {
namespace {

using Ints = std::vector<std::int64_t>;
using plain::Image;

Image random_image(int c, int h, int w, std::uint32_t seed = 1) {
  return {c, h, w, random_floats(std::size_t(c) * h * w, seed)};
}

TEST_CASE("onnx: arithmetic with a constant per channel or a scalar, in either order") {
  struct Case {
    const char* type;
    bool constant_first;
    float (*f)(float, float);
  };
  const auto c = GENERATE(Case{"Add", false, [](float v, float k) { return v + k; }},
                          Case{"Add", true, [](float v, float k) { return v + k; }},
                          Case{"Sub", false, [](float v, float k) { return v - k; }},
                          Case{"Sub", true, [](float v, float k) { return k - v; }},
                          Case{"Mul", false, [](float v, float k) { return v * k; }},
                          Case{"Mul", true, [](float v, float k) { return v * k; }},
                          Case{"Div", false, [](float v, float k) { return v / k; }});
  const bool scalar = GENERATE(false, true);
  const Image x = random_image(3, 4, 4);
  const std::vector<float> k = scalar ? std::vector<float>{1.5F} : std::vector<float>{2, -3, 0.5F};
  OnnxBuilder m;
  m.input("x", {1, 3, 4, 4}).floats("k", scalar ? Ints{} : Ints{3, 1, 1}, k);
  if (c.constant_first) m.node(c.type, {"k", "x"}, {"y"});
  if (!c.constant_first) m.node(c.type, {"x", "k"}, {"y"});
  m.output("y");
  require_same(m, x, plain::map(x, [&](float v, int i) { return c.f(v, k[scalar ? 0 : i]); }));
}

TEST_CASE("onnx: arithmetic around convolutions folds where it is exact") {
  const bool padded = GENERATE(false, true);
  const Image x = random_image(3, 5, 5);
  const auto w = random_floats(2 * 3 * 9, 2);
  const std::vector<float> mean = {0.5F, -0.25F, 0.125F};
  const int pad = padded ? 1 : 0;
  OnnxBuilder m;
  m.input("x", {1, 3, 5, 5}).floats("w", {2, 3, 3, 3}, w);
  m.floats("mean", {1, 3, 1, 1}, mean).floats("two", {}, {2});
  m.node("Sub", {"x", "mean"}, {"a"}).node("Conv", {"a", "w"}, {"c"}, {{"pads", Ints(4, pad)}});
  m.node("Mul", {"c", "two"}, {"y"}).output("y");
  const Image shifted = plain::map(x, [&](float v, int c) { return v - mean[c]; });
  const Image wanted = plain::map(plain::conv(shifted, w, {}, 2, {3, 3, 1, 1, pad, pad, pad, pad}),
                                  [](float v, int) { return 2 * v; });
  const ir::FloatGraph graph = require_same(m, x, wanted);
  REQUIRE(graph.nodes.size() == 1);
  CHECK(std::get<ir::FloatConv>(graph.nodes[0].op).border.empty() == !padded);
}

TEST_CASE("onnx: sums and differences of activations") {
  const std::string type = GENERATE("Add", "Sub", "Sum", "twice");
  const Image x = random_image(2, 3, 3);
  OnnxBuilder m;
  m.input("x", {1, 2, 3, 3}).node("Relu", {"x"}, {"r"});
  if (type == "Sum") {
    m.node("Sum", {"r", "x", "r"}, {"y"});
  } else if (type == "twice") {
    m.node("Add", {"x", "x"}, {"y"});
  } else {
    m.node(type, {"r", "x"}, {"y"});
  }
  m.output("y");
  require_same(
      m, x, plain::map(x, [&](float v, int) {
        const float r = std::max(v, 0.0F);
        return type == "Add" ? r + v : type == "Sub" ? r - v : type == "Sum" ? 2 * r + v : 2 * v;
      }));
}

TEST_CASE("onnx: the spellings of a clamp") {
  const std::string form = GENERATE("Relu", "attributes", "inputs", "lower", "Min");
  const Image x = plain::map(random_image(2, 3, 3), [](float v, int) { return 10 * v; });
  OnnxBuilder m(form == "attributes" ? 7 : 13);
  m.input("x", {1, 2, 3, 3}).floats("lo", {}, {-1}).floats("hi", {}, {6});
  if (form == "Relu") m.node("Relu", {"x"}, {"y"});
  if (form == "attributes") m.node("Clip", {"x"}, {"y"}, {{"min", -1.0F}, {"max", 6.0F}});
  if (form == "inputs") m.node("Clip", {"x", "lo", "hi"}, {"y"});
  if (form == "lower") m.node("Clip", {"x", "lo", ""}, {"y"});
  if (form == "Min") m.node("Min", {"hi", "x"}, {"y"});
  m.output("y");
  require_same(m, x, plain::map(x, [&](float v, int) {
                 if (form == "Relu") return std::max(v, 0.0F);
                 if (form == "lower") return std::max(v, -1.0F);
                 if (form == "Min") return std::min(v, 6.0F);
                 return std::clamp(v, -1.0F, 6.0F);
               }));
}

TEST_CASE("onnx: a border of zeros folds into convolutions and counted averages") {
  const bool average = GENERATE(false, true);
  const bool by_attribute = GENERATE(false, true);
  const Image x = random_image(2, 5, 5);
  const auto w = random_floats(3 * 2 * 9, 2);
  OnnxBuilder m(by_attribute ? 10 : 13);
  m.input("x", {1, 2, 5, 5}).floats("w", {3, 2, 3, 3}, w).ints("p", {0, 0, 1, 2, 0, 0, 0, 1});
  if (by_attribute) m.node("Pad", {"x"}, {"b"}, {{"pads", Ints{0, 0, 1, 2, 0, 0, 0, 1}}});
  if (!by_attribute) m.node("Pad", {"x", "p"}, {"b"});
  if (average) m.node("AveragePool", {"b"}, {"y"}, {{"kernel_shape", Ints{3, 3}}});
  if (!average) m.node("Conv", {"b", "w"}, {"y"});
  m.output("y");
  const Image b = plain::pad(x, 1, 2, 0, 1, 0);
  const Image wanted =
      average ? plain::pool(b, plain::Pool::kAverage, {3, 3}) : plain::conv(b, w, {}, 3, {3, 3});
  CHECK(require_same(m, x, wanted).nodes.size() == 1);
}

TEST_CASE("onnx: a border before a max pool folds behind a ReLU only") {
  const bool relu = GENERATE(false, true);
  const Image x = random_image(2, 6, 6);
  OnnxBuilder m;
  m.input("x", {1, 2, 6, 6}).ints("p", {0, 0, 1, 1, 0, 0, 1, 1}).node("Relu", {"x"}, {"r"});
  m.node("Pad", {relu ? "r" : "x", "p"}, {"b"});
  m.node("MaxPool", {"b"}, {"y"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}});
  m.output("y");
  const Image r = relu ? plain::relu(x) : x;
  const auto graph = require_same(
      m, x, plain::pool(plain::pad(r, 1, 1, 1, 1, 0), plain::Pool::kMax, {3, 3, 2, 2}));
  CHECK(count_ops(graph, "conv") == (relu ? 0 : 1));
}

TEST_CASE("onnx: borders of other values, on their own, and of channels") {
  struct Case {
    Ints pads;
    float value;
  };
  const auto c = GENERATE(Case{{0, 0, 1, 0, 0, 0, 2, 1}, 0}, Case{{0, 0, 1, 2, 0, 0, 0, 1}, 1.5F},
                          Case{{0, 2, 0, 0, 0, 1, 0, 0}, 0}, Case{{0, 1, 1, 0, 0, 0, 0, 1}, 0});
  const int channels = GENERATE(1, 3);
  const Image x = random_image(channels, 4, 1);
  OnnxBuilder m;
  m.input("x", {1, channels, 4, 1}).ints("p", c.pads).floats("v", {}, {c.value});
  m.node("Pad", {"x", "p", "v"}, {"b"}).node("Relu", {"b"}, {"y"}).output("y");
  const auto p = [&](int i) { return static_cast<int>(c.pads[i]); };
  require_same(m, x, plain::relu(plain::pad(x, p(2), p(3), p(6), p(7), c.value, p(1), p(5))));
}

TEST_CASE("onnx: the sliced and padded shortcut is one strided convolution") {
  const int size = GENERATE(7, 8);
  const Image x = random_image(2, size, size);
  OnnxBuilder m;
  m.input("x", {1, 2, size, size}).ints("s", {0, 0}).ints("a", {2, 3}).ints("t", {2, 2});
  m.ints("e", {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()});
  m.ints("p", {0, 1, 0, 0, 0, 1, 0, 0});
  m.node("Slice", {"x", "s", "e", "a", "t"}, {"c"}).node("Pad", {"c", "p"}, {"y"}).output("y");
  Image wanted(4, (size + 1) / 2, (size + 1) / 2);
  for (int c = 0; c < 2; ++c) {
    for (int r = 0; r < wanted.h; ++r) {
      for (int s = 0; s < wanted.w; ++s) wanted.at(c + 1, r, s) = x.at(c, 2 * r, 2 * s);
    }
  }
  const auto graph = require_same(m, x, wanted);
  REQUIRE(graph.nodes.size() == 1);
  const auto& conv = std::get<ir::FloatConv>(graph.nodes[0].op);
  CHECK(conv.window == ir::Window{1, 1, 2, 2});
}

TEST_CASE("onnx: slices crop rows, columns and channels") {
  const bool by_attribute = GENERATE(false, true);
  const Image x = random_image(5, 7, 6);
  OnnxBuilder m(by_attribute ? 9 : 13);
  m.input("x", {1, 5, 7, 6}).ints("s", {1, 1, -4}).ints("e", {4, -1, 100}).ints("a", {1, 2, 3});
  if (by_attribute) {
    m.node("Slice", {"x"}, {"y"},
           {{"starts", Ints{1, 1, -4}}, {"ends", Ints{4, -1, 100}}, {"axes", Ints{1, 2, 3}}});
  } else {
    m.node("Slice", {"x", "s", "e", "a"}, {"y"});
  }
  m.output("y");
  Image wanted(3, 5, 4);
  for (int c = 0; c < 3; ++c) {
    for (int r = 0; r < 5; ++r) {
      for (int s = 0; s < 4; ++s) wanted.at(c, r, s) = x.at(c + 1, r + 1, s + 2);
    }
  }
  require_same(m, x, wanted);
}

TEST_CASE("onnx: a split's parts join to the whole again") {
  const Image x = random_image(5, 3, 3);
  OnnxBuilder m;
  m.input("x", {1, 5, 3, 3}).ints("n", {2, 3});
  m.node("Split", {"x", "n"}, {"a", "b"}, {{"axis", 1}});
  m.node("Concat", {"a", "b"}, {"y"}, {{"axis", 1}}).output("y");
  require_same(m, x, x);
}

TEST_CASE("onnx: a concatenation along channels") {
  const Image x = random_image(2, 3, 3);
  OnnxBuilder m;
  m.input("x", {1, 2, 3, 3}).node("Relu", {"x"}, {"r"});
  m.node("Concat", {"r", "x"}, {"y"}, {{"axis", -3}}).output("y");
  require_same(m, x, plain::concat(plain::relu(x), x));
}

TEST_CASE("onnx: an NHWC input behind its Transpose, flattened as NHWC at the end") {
  const Image x = random_image(3, 4, 5);
  const auto w = random_floats(2 * 3, 2);
  const auto k = random_floats(2 * 4 * 5 * 3, 3);
  OnnxBuilder m;
  m.input("x", {-1, 4, 5, 3}).floats("w", {2, 3, 1, 1}, w).floats("k", {40, 3}, k);
  m.floats("half", {1, 1, 1, 3}, {0.5F, 0.25F, 2}).ints("s", {-1, 40});
  m.node("Mul", {"x", "half"}, {"h"}).node("Transpose", {"h"}, {"t"}, {{"perm", Ints{0, 3, 1, 2}}});
  m.node("Conv", {"t", "w"}, {"c"}).node("Transpose", {"c"}, {"u"}, {{"perm", Ints{0, 2, 3, 1}}});
  m.node("Reshape", {"u", "s"}, {"f"}).node("MatMul", {"f", "k"}, {"y"}).output("y");
  const float gain[] = {0.5F, 0.25F, 2};
  const Image scaled = plain::map(x, [&](float v, int c) { return v * gain[c]; });
  require_same(m, x, plain::dense(plain::channels_last(plain::conv(scaled, w, {}, 2, {})), k, 3));
}

TEST_CASE("onnx: layouts at the ends are the host's to turn") {
  const std::vector<float> w(2 * 3, 0.5F);
  const auto model = [&](const Ints& order, bool flatten) {
    OnnxBuilder m;
    m.input("x", {1, 4, 5, 3}).floats("w", {2, 3, 1, 1}, w);
    m.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{0, 3, 1, 2}}}).node("Conv", {"t", "w"}, {"c"});
    m.node("Transpose", {"c"}, {"y"}, {{"perm", order}});
    if (flatten) m.node("Flatten", {"y"}, {"z"});
    m.output(flatten ? "z" : "y");
    return m;
  };
  const std::string in = "transpose of the input";
  const std::string out = ir::kTransposeOutput;
  using Names = std::vector<std::string>;
  for (const bool flatten : {false, true}) {
    CHECK(import_ok(model({0, 1, 2, 3}, flatten)).host_ops == Names{in});
    CHECK(import_ok(model({0, 2, 3, 1}, flatten)).host_ops == Names{in, out});
    CHECK_THAT(import_error(model({0, 1, 3, 2}, flatten)),
               Catch::Contains("neither C, H, W nor H, W, C"));
    CHECK_THAT(import_error(model({0, 2, 1, 3}, flatten)),
               Catch::Contains("neither C, H, W nor H, W, C"));
  }
}

TEST_CASE("onnx: a view that computes its shape folds away") {
  const std::int64_t batch = GENERATE(-1, 1, 4);
  const Image x = random_image(3, 2, 2);
  const auto w = random_floats(12 * 4, 3);
  OnnxBuilder m;
  m.input("x", {batch, 3, 2, 2}).floats("w", {12, 4}, w).ints("zero", {0}, true).ints("axis", {0});
  m.node("Constant", {}, {"rest"}, {{"value", int_tensor("", {-1})}});
  m.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "zero"}, {"g"}, {{"axis", 0}});
  m.node("Unsqueeze", {"g", "axis"}, {"u"}).node("Cast", {"u"}, {"v"}, {{"to", 7}});
  m.node("Concat", {"v", "rest"}, {"t"}, {{"axis", 0}});
  m.node("Reshape", {"x", "t"}, {"f"}).node("Gemm", {"f", "w"}, {"y"}).output("y");
  CHECK(require_same(m, x, plain::dense(x.values, w, 4)).nodes.size() == 1);
}

TEST_CASE("onnx: operators that change nothing leave nothing") {
  const Image x = random_image(3, 2, 2);
  OnnxBuilder m;
  m.input("x", {1, 3, 2, 2}).ints("a", {2, 3}).ints("b", {-1}).ints("zero", Ints(8, 0));
  m.node("Identity", {"x"}, {"i"}).node("Cast", {"i"}, {"c"}, {{"to", 1}});
  m.node("Dropout", {"c"}, {"d", "mask"}).node("Pad", {"d", "zero"}, {"p"});
  m.node("Relu", {"p"}, {"r"}).node("GlobalAveragePool", {"r"}, {"g"});
  m.node("Squeeze", {"g", "a"}, {"s"}).node("Unsqueeze", {"s", "b"}, {"y"}).output("y");
  m.node("Loop", {"x"}, {"dead"});
  const auto graph = require_same(m, x, plain::pool(plain::relu(x), plain::Pool::kAverage, {2, 2}));
  CHECK(graph.nodes.size() == 2);
}

TEST_CASE("onnx: weights that an exporter left unfolded are folded") {
  const Image x = random_image(3, 2, 2);
  const auto w = random_floats(12, 3);
  OnnxBuilder m;
  m.input("x", {1, 3, 2, 2}).floats("w", {2, 3, 2, 1}, w).floats("two", {}, {2});
  m.node("Mul", {"w", "two"}, {"v"}).node("Transpose", {"v"}, {"t"}, {{"perm", Ints{0, 1, 3, 2}}});
  m.node("Conv", {"x", "t"}, {"y"}).output("y");
  std::vector<float> doubled = w;  // [2][3][2][1] is [2][3][1][2] in memory
  for (float& v : doubled) v *= 2;
  require_same(m, x, plain::conv(x, doubled, {}, 2, {1, 2}));
}

TEST_CASE("onnx: softmax ends a graph, log-softmax is left to the reader of the logits") {
  const std::string type = GENERATE("Softmax", "LogSoftmax");
  const Image x = random_image(4, 1, 1);
  OnnxBuilder m;
  m.input("x", {1, 4}).node("Relu", {"x"}, {"r"});
  m.node(type, {"r"}, {"y"}, {{"axis", 1}}).output("y");
  Image wanted = plain::relu(x);
  if (type == "Softmax") {
    float sum = 0;
    for (const float v : wanted.values) sum += std::exp(v);
    for (float& v : wanted.values) v = std::exp(v) / sum;
  }
  const auto graph = require_same(m, x, wanted);
  CHECK(graph.host_ops == std::vector<std::string>{type == "Softmax" ? "softmax" : "log_softmax"});
}

TEST_CASE("onnx: names are the model's, and unique") {
  OnnxBuilder m;
  m.input("x", {1, 2, 2, 2});
  m.node("Relu", {"x"}, {"a"}).node("Relu", {"a"}, {"b"}).node("Relu", {"b"}, {"c"}).output("c");
  m.graph().mutable_node(0)->set_name("same");
  m.graph().mutable_node(1)->set_name("same");
  m.graph().mutable_node(2)->set_name("");
  const auto graph = import_ok(m);
  CHECK(graph.nodes[0].name == "same");
  CHECK(graph.nodes[1].name == "same_2");
  CHECK(graph.nodes[2].name == "c");
}

}  // namespace
}  // namespace espalier::tests
