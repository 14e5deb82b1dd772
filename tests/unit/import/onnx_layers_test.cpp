// Convolutions, fully connected layers, normalisation and pools of ONNX models.

#include "tests/unit/import/onnx_check.hpp"

namespace espalier::tests {
namespace {

using Ints = std::vector<std::int64_t>;
using plain::Image;

Image random_image(int c, int h, int w, std::uint32_t seed = 1) {
  return {c, h, w, random_floats(std::size_t(c) * h * w, seed)};
}

TEST_CASE("onnx: a convolution with every attribute computes what plain loops compute") {
  const Image x = random_image(4, 9, 7);
  const auto w = random_floats(6 * 4 * 3 * 2, 2);
  const auto b = random_floats(6, 3);
  OnnxBuilder m;
  m.input("x", {1, 4, 9, 7}).floats("w", {6, 4, 3, 2}, w).floats("b", {6}, b);
  m.node("Conv", {"x", "w", "b"}, {"y"},
         {{"strides", Ints{2, 1}},
          {"pads", Ints{1, 2, 0, 1}},
          {"dilations", Ints{2, 3}},
          {"kernel_shape", Ints{3, 2}}});
  m.output("y");
  require_same(m, x, plain::conv(x, w, b, 6, {3, 2, 2, 1, 1, 2, 0, 1, 2, 3}));
}

TEST_CASE("onnx: the comparison sees one weight that is off by a hundredth") {
  const Image x = random_image(2, 3, 3);
  auto w = random_floats(4, 2);
  OnnxBuilder m;
  m.input("x", {1, 2, 3, 3}).floats("w", {2, 2, 1, 1}, w);
  m.node("Conv", {"x", "w"}, {"y"}).output("y");
  const auto graph = import_ok(m);
  CHECK(worst_difference(graph, x, plain::conv(x, w, {}, 2, {})) < 1e-4F);
  w[3] += 0.01F;
  CHECK(worst_difference(graph, x, plain::conv(x, w, {}, 2, {})) > 1e-4F);
}

TEST_CASE("onnx: groups expand to a dense convolution") {
  const int groups = GENERATE(2, 4);
  const Image x = random_image(4, 5, 5);
  const auto w = random_floats(std::size_t(8) * (4 / groups) * 9, 2);
  OnnxBuilder m;
  m.input("x", {1, 4, 5, 5}).floats("w", {8, 4 / groups, 3, 3}, w);
  m.node("Conv", {"x", "w"}, {"y"}, {{"group", groups}, {"pads", Ints{1, 1, 1, 1}}});
  m.output("y");
  const auto graph = require_same(m, x, plain::conv(x, w, {}, 8, {3, 3, 1, 1, 1, 1, 1, 1}, groups));
  const auto& conv = std::get<ir::FloatConv>(graph.nodes[0].op);
  REQUIRE(conv.reads.size() == 8);
  for (int n = 0; n < 8; ++n) {
    const int first = n / (8 / groups) * (4 / groups);
    CHECK(conv.reads[static_cast<std::size_t>(n)] == ir::ChannelRange{first, first + 4 / groups});
  }
}

TEST_CASE("onnx: auto_pad gives the odd pixel to the side it names") {
  const std::string mode = GENERATE("SAME_UPPER", "SAME_LOWER", "VALID");
  const Image x = random_image(2, 6, 6);
  const auto w = random_floats(3 * 2 * 9, 2);
  OnnxBuilder m;
  m.input("x", {1, 2, 6, 6}).floats("w", {3, 2, 3, 3}, w);
  m.node("Conv", {"x", "w"}, {"y"}, {{"auto_pad", mode.c_str()}, {"strides", Ints{2, 2}}});
  m.output("y");
  const int before = mode == "SAME_LOWER" ? 1 : 0;
  const int after = mode == "SAME_UPPER" ? 1 : 0;
  require_same(m, x, plain::conv(x, w, {}, 3, {3, 3, 2, 2, before, before, after, after}));
}

OnnxBuilder normalised(bool conv_first, std::vector<float>& w, std::vector<float> (&p)[4]) {
  w = random_floats(3 * 3 * 9, 2);
  for (std::uint32_t i = 0; i < 4; ++i) p[i] = random_floats(3, 10 + i);
  for (float& variance : p[3]) variance = variance * variance + 0.1F;
  OnnxBuilder m;
  m.input("x", {1, 3, 6, 6}).floats("w", {3, 3, 3, 3}, w);
  const char* names[] = {"scale", "shift", "mean", "variance"};
  for (int i = 0; i < 4; ++i) m.floats(names[i], {3}, p[i]);
  const std::vector<std::string> in = {conv_first ? "c" : "x", "scale", "shift", "mean",
                                       "variance"};
  if (conv_first) m.node("Conv", {"x", "w"}, {"c"}, {{"pads", Ints{1, 1, 1, 1}}});
  m.node("BatchNormalization", in, {"n"}, {{"epsilon", 0.01F}});
  if (!conv_first) m.node("Conv", {"n", "w"}, {"c"}, {{"pads", Ints{1, 1, 1, 1}}});
  m.output(conv_first ? "n" : "c");
  return m;
}

Image normalise(const Image& x, const std::vector<float> (&p)[4]) {
  return plain::map(x, [&](float v, int c) {
    return (v - p[2][c]) / std::sqrt(p[3][c] + 0.01F) * p[0][c] + p[1][c];
  });
}

TEST_CASE("onnx: batch normalisation folds into the convolution before it") {
  std::vector<float> w;
  std::vector<float> p[4];
  const OnnxBuilder m = normalised(true, w, p);
  const Image x = random_image(3, 6, 6);
  const auto graph =
      require_same(m, x, normalise(plain::conv(x, w, {}, 3, {3, 3, 1, 1, 1, 1, 1, 1}), p));
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].name == "node_c");
  CHECK(graph.tensors[graph.output].name == "n");
}

TEST_CASE("onnx: batch normalisation before a padded convolution on the input folds into it") {
  std::vector<float> w;
  std::vector<float> p[4];
  const OnnxBuilder m = normalised(false, w, p);
  const Image x = random_image(3, 6, 6);
  const auto graph =
      require_same(m, x, plain::conv(normalise(x, p), w, {}, 3, {3, 3, 1, 1, 1, 1, 1, 1}));
  REQUIRE(count_ops(graph, "conv") == 1);
  // What becomes 0 is what padding holds.
  const auto& conv = std::get<ir::FloatConv>(graph.nodes[0].op);
  REQUIRE(conv.border.size() == 3);
  for (std::size_t c = 0; c < 3; ++c) {
    const float gain = p[0][c] / std::sqrt(p[3][c] + 0.01F);
    CHECK(std::abs((conv.border[c] - p[2][c]) * gain + p[1][c]) < 1e-4F);
  }
}

TEST_CASE("onnx: channels taken apart, scaled and joined fold into a padded first convolution") {
  const std::vector<float> w = random_floats(5 * 3 * 49, 3);
  const float gain[] = {0.458F, 0.448F, 0.45F}, shift[] = {-0.03F, -0.088F, -0.188F};
  OnnxBuilder m;
  m.input("x", {1, 3, 12, 13}).floats("w", {5, 3, 7, 7}, w);
  std::vector<std::string> parts;
  for (int c = 0; c < 3; ++c) {
    const std::string n = std::to_string(c);
    m.ints("s" + n, {c}).ints("e" + n, {c + 1}).ints("a" + n, {1});
    m.floats("g" + n, {}, {gain[c]}).floats("h" + n, {}, {shift[c]});
    m.node("Slice", {"x", "s" + n, "e" + n, "a" + n}, {"p" + n});
    m.node("Mul", {"p" + n, "g" + n}, {"q" + n}).node("Add", {"q" + n, "h" + n}, {"r" + n});
    parts.push_back("r" + n);
  }
  m.node("Concat", parts, {"t"}, {{"axis", 1}});
  m.node("Conv", {"t", "w"}, {"y"},
         {{"pads", Ints{3, 3, 3, 3}}, {"strides", Ints{2, 2}}, {"kernel_shape", Ints{7, 7}}});
  m.output("y");
  const Image x = random_image(3, 12, 13);
  const Image t = plain::map(x, [&](float v, int c) { return v * gain[c] + shift[c]; });
  const auto graph = require_same(m, x, plain::conv(t, w, {}, 5, {7, 7, 2, 2, 3, 3, 3, 3}));
  CHECK(graph.nodes.size() == 1);
}

TEST_CASE("onnx: batch normalisation before a padded convolution inside stays apart") {
  const std::vector<float> w = random_floats(2 * 2 * 9, 2);
  const Image x = random_image(2, 6, 6);
  OnnxBuilder m;
  m.input("x", {1, 2, 6, 6}).floats("w", {2, 2, 3, 3}, w);
  m.floats("g", {2}, {2, 3}).floats("z", {2}, {1, -1}).floats("o", {2}, {1, 1});
  m.node("Relu", {"x"}, {"r"}).node("BatchNormalization", {"r", "g", "z", "z", "o"}, {"n"});
  m.node("Conv", {"n", "w"}, {"y"}, {{"pads", Ints{1, 1, 1, 1}}}).output("y");
  const Image n = plain::map(x, [](float v, int c) {
    const float z = c == 0 ? 1.0F : -1.0F;
    return (std::max(v, 0.0F) - z) / std::sqrt(1.00001F) * (c == 0 ? 2.0F : 3.0F) + z;
  });
  const auto graph = require_same(m, x, plain::conv(n, w, {}, 2, {3, 3, 1, 1, 1, 1, 1, 1}));
  CHECK(count_ops(graph, "conv") == 2);
  // Of its diagonal one product a channel is the network's.
  const auto& affine = std::get<ir::FloatConv>(graph.nodes[1].op);
  CHECK(affine.reads == ir::Reads{{0, 1}, {1, 2}});
  CHECK(std::get<ir::FloatConv>(graph.nodes[2].op).reads.empty());
}

TEST_CASE("onnx: batch normalisation of a tensor with two readers folds into neither") {
  const Image x = random_image(2, 4, 4);
  const auto w = random_floats(4, 2);
  OnnxBuilder m;
  m.input("x", {1, 2, 4, 4}).floats("w", {2, 2, 1, 1}, w);
  m.floats("g", {2}, {2, 3}).floats("z", {2}, {0, 0}).floats("o", {2}, {1, 1});
  m.node("Conv", {"x", "w"}, {"c"});
  m.node("BatchNormalization", {"c", "g", "z", "z", "o"}, {"n"}, {{"epsilon", 0.0F}});
  m.node("Add", {"n", "c"}, {"y"}).output("y");
  const Image c = plain::conv(x, w, {}, 2, {});
  require_same(m, x, plain::map(c, [](float v, int i) { return v * (i == 0 ? 3.0F : 4.0F); }));
}

TEST_CASE("onnx: Gemm after Flatten is a convolution over the whole image") {
  const bool transposed = GENERATE(false, true);
  const Image x = random_image(3, 2, 4);
  const auto b = random_floats(5, 4);
  const auto w = random_floats(24 * 5, 3);  // [24][5]
  std::vector<float> stored = w;
  if (transposed) {
    for (int k = 0; k < 24; ++k) {
      for (int n = 0; n < 5; ++n) stored[n * 24 + k] = w[k * 5 + n];
    }
  }
  OnnxBuilder m;
  m.input("x", {1, 3, 2, 4}).floats("w", transposed ? Ints{5, 24} : Ints{24, 5}, stored);
  m.floats("b", {5}, b).node("Flatten", {"x"}, {"f"});
  m.node("Gemm", {"f", "w", "b"}, {"y"},
         {{"transB", transposed ? 1 : 0}, {"alpha", 0.5F}, {"beta", 2.0F}});
  m.output("y");
  Image wanted = plain::dense(x.values, w, 5);
  for (int n = 0; n < 5; ++n) wanted.values[n] = 0.5F * wanted.values[n] + 2.0F * b[n];
  const auto graph = require_same(m, x, wanted);
  REQUIRE(graph.nodes.size() == 1);
  CHECK(std::get<ir::FloatConv>(graph.nodes[0].op).window.kh == 2);
}

TEST_CASE("onnx: MatMul and Add are one convolution") {
  const Image x = random_image(3, 2, 2);
  const auto w = random_floats(12 * 4, 3);
  const auto b = random_floats(4, 4);
  OnnxBuilder m;
  m.input("x", {1, 3, 2, 2}).floats("w", {12, 4}, w).floats("b", {4}, b).ints("s", {0, -1});
  m.node("Reshape", {"x", "s"}, {"f"}).node("MatMul", {"f", "w"}, {"p"});
  m.node("Add", {"b", "p"}, {"y"}).output("y");
  CHECK(require_same(m, x, plain::dense(x.values, w, 4, b)).nodes.size() == 1);
}

TEST_CASE("onnx: MatMul over the channels of NHWC is a 1 x 1 convolution") {
  const Image x = random_image(3, 2, 4);
  const auto w = random_floats(3 * 5, 3);
  std::vector<float> kernel(15);
  for (int n = 0; n < 5; ++n) {
    for (int c = 0; c < 3; ++c) kernel[n * 3 + c] = w[c * 5 + n];
  }
  OnnxBuilder m;
  m.input("x", {1, 3, 2, 4}).floats("w", {3, 5}, w);
  m.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{0, 2, 3, 1}}});
  m.node("MatMul", {"t", "w"}, {"p"});
  m.node("Transpose", {"p"}, {"y"}, {{"perm", Ints{0, 3, 1, 2}}}).output("y");
  require_same(m, x, plain::conv(x, kernel, {}, 5, {}));
}

TEST_CASE("onnx: pools in floor and ceil mode, with and without counted pads") {
  const bool ceil = GENERATE(false, true);
  const auto kind =
      GENERATE(plain::Pool::kMax, plain::Pool::kAverage, plain::Pool::kAverageWithPads);
  const int size = GENERATE(6, 7, 8);
  const Image x = random_image(2, size, size + 1);
  OnnxBuilder m;
  m.input("x", {1, 2, size, size + 1});
  m.node(kind == plain::Pool::kMax ? "MaxPool" : "AveragePool", {"x"}, {"y"},
         {{"kernel_shape", Ints{3, 3}},
          {"strides", Ints{2, 2}},
          {"pads", Ints{1, 1, 1, 1}},
          {"ceil_mode", ceil ? 1 : 0},
          {"count_include_pad", kind == plain::Pool::kAverageWithPads ? 1 : 0}});
  m.output("y");
  require_same(m, x, plain::pool(x, kind, {3, 3, 2, 2, 1, 1, 1, 1}, ceil));
}

TEST_CASE("onnx: global pools and means over rows and columns are one pool") {
  const std::string form =
      GENERATE("GlobalAveragePool", "attribute", "input", "flat", "GlobalMaxPool", "ReduceMax");
  const Image x = random_image(5, 4, 3);
  OnnxBuilder m(form == "input" ? 18 : 13);
  m.input("x", {1, 5, 4, 3});
  const bool max = form == "GlobalMaxPool" || form == "ReduceMax";
  if (form == "attribute") m.node("ReduceMean", {"x"}, {"y"}, {{"axes", Ints{2, 3}}});
  if (form == "ReduceMax") m.node("ReduceMax", {"x"}, {"y"}, {{"axes", Ints{-1, -2}}});
  if (form == "input")
    m.ints("a", {-1, 2}).node("ReduceMean", {"x", "a"}, {"y"}, {{"keepdims", 0}});
  if (form == "flat") m.node("ReduceMean", {"x"}, {"y"}, {{"axes", Ints{2, 3}}, {"keepdims", 0}});
  if (form.substr(0, 6) == "Global") m.node(form, {"x"}, {"y"});
  m.output("y");
  const auto kind = max ? plain::Pool::kMax : plain::Pool::kAverage;
  CHECK(require_same(m, x, plain::pool(x, kind, {4, 3})).nodes.size() == 1);
}

TEST_CASE("onnx: initialisers of half and double precision and unpacked data are read") {
  const int type = GENERATE(onnx::TensorProto::FLOAT16, onnx::TensorProto::DOUBLE,
                            onnx::TensorProto::FLOAT, onnx::TensorProto::BFLOAT16);
  const Image x = random_image(2, 3, 3);
  const std::vector<float> w = {1.0F, -0.5F, 0.25F, 2.0F};
  OnnxBuilder m;
  m.input("x", {1, 2, 3, 3});
  m.input("w", {2, 2, 1, 1});  // an initialiser that is listed as an input, too
  onnx::TensorProto& t = *m.graph().add_initializer();
  t.set_name("w");
  t.set_data_type(type);
  for (const int dim : {2, 2, 1, 1}) t.add_dims(dim);
  const std::uint16_t halves[] = {0x3C00, 0xB800, 0x3400, 0x4000};
  const std::uint16_t brains[] = {0x3F80, 0xBF00, 0x3E80, 0x4000};
  for (int i = 0; i < 4; ++i) {
    if (type == onnx::TensorProto::DOUBLE) t.add_double_data(static_cast<double>(w[i]));
    if (type == onnx::TensorProto::FLOAT) t.add_float_data(w[i]);
    if (type == onnx::TensorProto::FLOAT16) t.add_int32_data(halves[i]);
  }
  if (type == onnx::TensorProto::BFLOAT16) t.set_raw_data(brains, sizeof(brains));
  m.node("Conv", {"x", "w"}, {"y"}).output("y");
  require_same(m, x, plain::conv(x, w, {}, 2, {}));
}

}  // namespace
}  // namespace espalier::tests
