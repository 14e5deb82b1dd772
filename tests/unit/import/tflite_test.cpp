// TensorFlow Lite models: literals, every operator, refusals and damaged files.

#include "import/tflite/tflite.hpp"

#include <cmath>
#include <random>

#include "catch.hpp"
#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "golden/numerics.hpp"
#include "seed.hpp"
#include "tests/unit/import/lite_builder.hpp"
#include "tests/unit/import/plain.hpp"

namespace espalier::tests {
namespace {

using Catch::Matchers::Contains;
using Bytes = std::vector<std::int8_t>;

ir::QuantGraph quantised(const std::string& bytes) {
  auto model = import_::parse_tflite(bytes, "test");
  INFO((model ? std::string("imported") : model.error().text()));
  REQUIRE(model.ok());
  REQUIRE(std::holds_alternative<ir::QuantGraph>(model.value()));
  return std::get<ir::QuantGraph>(std::move(model.value()));
}

std::string refusal(const std::string& bytes) {
  const auto model = import_::parse_tflite(bytes, "test");
  REQUIRE_FALSE(model.ok());
  return model.error().text();
}

Bytes output_of(const ir::QuantGraph& graph, const Bytes& input) {
  return golden::run(graph, input)[graph.output];
}

Bytes random_bytes(std::size_t count, std::uint32_t from = 1) {
  std::mt19937 random(from);
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::int8_t>(random() % 256);
  return bytes;
}

TEST_CASE("tflite: a convolution keeps its numbers: scales, zero points, biases, layout") {
  const bool per_channel = GENERATE(true, false);
  LiteBuilder m;
  const int x = m.int8("x", {1, 3, 4, 2}, 0.5F, -3);
  const Bytes stored = random_bytes(2 * 2 * 2 * 2);
  const std::vector<float> scales = per_channel ? std::vector{0.25F, 0.1F} : std::vector{0.3F};
  const int w = m.constant("w", {2, 2, 2, 2}, lite::TensorType_INT8, stored,
                           {scales, std::vector<std::int64_t>(scales.size(), 0), 0});
  const int b = m.ints("b", {2}, {100, -200});
  const int y = m.int8("y;fused names", {1, 2, 2, 2}, 7.0F, 5);
  m.conv({x, w, b}, y, lite::Padding_SAME, 2, lite::Activation_RELU6);
  const auto graph = quantised(m.finish({x}, {y}));
  REQUIRE(graph.nodes.size() == 1);
  const auto& conv = std::get<ir::QuantConv>(graph.nodes[0].op);
  CHECK(graph.nodes[0].name == "y");
  CHECK(graph.tensors[graph.input].shape == ir::Shape{2, 3, 4});
  CHECK(graph.tensors[graph.input].quant == ir::Quant{0.5F, -3});
  CHECK(conv.weights == stored);
  CHECK(conv.bias == std::vector<std::int32_t>{100, -200});
  CHECK(conv.scale[0] == (0.5F * scales[0]) / 7.0F);
  CHECK(conv.scale[1] == (0.5F * scales.back()) / 7.0F);
  CHECK(conv.window == ir::Window{2, 2, 2, 2, 0, 0, 1, 0});  // 3 rows: the odd one below
  CHECK(conv.lo == 5);
  CHECK(conv.hi == 6);
}

TEST_CASE("tflite: uint8 tensors move by 128") {
  LiteBuilder m;
  const auto u8 = lite::TensorType_UINT8;
  const int x = m.tensor("x", {1, 1, 1, 2}, u8, {{0.5F}, {120}});
  const int w =
      m.constant("w", {1, 1, 1, 2}, u8, std::vector<std::uint8_t>{128, 200}, {{0.25F}, {130}});
  const int y = m.tensor("y", {1, 1, 1, 1}, u8, {{1.0F}, {0}});
  m.conv({x, w}, y);
  const auto graph = quantised(m.finish({x}, {y}));
  CHECK(graph.tensors[graph.input].quant.zero == -8);
  CHECK(graph.tensors[graph.output].quant.zero == -128);
  CHECK(std::get<ir::QuantConv>(graph.nodes[0].op).weights == Bytes{-2, 70});
}

TEST_CASE("tflite: weights of uint8 that leave int8 are refused") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 1}, 0.5F, 0);
  const int w = m.constant("w", {1, 1, 1, 1}, lite::TensorType_UINT8,
                           std::vector<std::uint8_t>{255}, {{0.25F}, {3}});
  const int y = m.int8("y", {1, 1, 1, 1}, 1.0F, 0);
  m.conv({x, w}, y);
  CHECK_THAT(refusal(m.finish({x}, {y})),
             Contains("node 'y' (CONV_2D)") && Contains("zero point 3"));
}

TEST_CASE("tflite: a fully connected layer over an image takes its weights in the image's order") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 2, 2, 3}, 1.0F, 0);
  const int flat = m.int8("flat", {1, 12}, 1.0F, 0);
  const int shape = m.ints("shape", {2}, {1, 12});
  const Bytes stored = random_bytes(24);
  const int w = m.constant("w", {2, 12}, lite::TensorType_INT8, stored, {{0.5F}, {0}});
  const int y = m.int8("y", {1, 2}, 64.0F, 0);
  const int p = m.int8("p", {1, 2}, 0.0625F, -128);
  m.op(lite::BuiltinOperator_RESHAPE, {x, shape}, {flat});
  m.op(lite::BuiltinOperator_FULLY_CONNECTED, {flat, w, -1}, {y},
       lite::Options_FullyConnectedOptions,
       lite::CreateFullyConnectedOptions(m.fb(), lite::Activation_RELU).Union());
  m.softmax(y, p);
  const auto graph = quantised(m.finish({x}, {p}));
  CHECK(graph.softmax);
  const Bytes input = random_bytes(12, 5);
  const Bytes got = output_of(graph, input);
  for (int n = 0; n < 2; ++n) {
    int sum = 0;
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        for (int c = 0; c < 3; ++c) {
          sum += input[(c * 2 + i) * 2 + j] * stored[n * 12 + (i * 2 + j) * 3 + c];
        }
      }
    }
    CHECK(got[n] == golden::requantise_clamp(sum, 0.5F / 64.0F, 0, 0, 127));
  }
}

TEST_CASE("tflite: depthwise convolutions expand, each channel to its own outputs") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 2}, 1.0F, 0);
  const int w = m.constant("w", {1, 1, 1, 4}, lite::TensorType_INT8, Bytes{1, 2, 3, 4},
                           {{1, 1, 1, 1}, {0, 0, 0, 0}, 3});
  const int y = m.int8("y", {1, 1, 1, 4}, 1.0F, 0);
  m.op(lite::BuiltinOperator_DEPTHWISE_CONV_2D, {x, w}, {y}, lite::Options_DepthwiseConv2DOptions,
       lite::CreateDepthwiseConv2DOptions(m.fb(), lite::Padding_VALID, 1, 1, 2).Union());
  const auto graph = quantised(m.finish({x}, {y}));
  CHECK(output_of(graph, {10, 5}) == Bytes{10, 20, 15, 20});
  CHECK(ir::macs(graph, graph.nodes[0]) == 4);
}

TEST_CASE("tflite: an addition gets the largest multipliers below 2^22") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 4}, 0.5F, -1);
  const int y = m.int8("y", {1, 1, 1, 4}, 0.75F, 2);
  m.add_op(x, x, y, lite::Activation_RELU);
  const auto graph = quantised(m.finish({x}, {y}));
  const auto& add = std::get<ir::QuantAdd>(graph.nodes[0].op);
  CHECK(add.ma == 2796203);  // 2/3 in 22 bits
  CHECK(add.mb == 2796203);
  CHECK(add.shift == 22);
  CHECK(add.lo == 2);
  CHECK(output_of(graph, {-1, 2, 5, -100}) == Bytes{2, 6, 10, 2});
}

TEST_CASE("tflite: pools, means, and borders that fold into them") {
  const bool max = GENERATE(true, false);
  LiteBuilder m;
  const int x = m.int8("x", {1, 4, 4, 2}, 1.0F, 3);
  const int w = m.constant("w", {2, 1, 1, 2}, lite::TensorType_INT8, Bytes{1, 0, 0, 1}, {{1}, {0}});
  const int r = m.int8("r", {1, 4, 4, 2}, 1.0F, 3);
  const int pads = m.ints("pads", {4, 2}, {0, 0, 1, 1, 1, 1, 0, 0});
  const int b = m.int8("b", {1, 6, 6, 2}, 1.0F, 3);
  const int q = m.int8("q", {1, 2, 2, 2}, 1.0F, 3);
  const int axes = m.ints("axes", {2}, {1, 2});
  const int y = m.int8("y", {1, 2}, 0.5F, 0);
  m.conv({x, w}, r, lite::Padding_VALID, 1, lite::Activation_RELU);
  m.op(lite::BuiltinOperator_PAD, {r, pads}, {b});
  m.pool(max ? lite::BuiltinOperator_MAX_POOL_2D : lite::BuiltinOperator_AVERAGE_POOL_2D, b, q, 3,
         3);
  m.op(lite::BuiltinOperator_MEAN, {q, axes}, {y}, lite::Options_ReducerOptions,
       lite::CreateReducerOptions(m.fb(), false).Union());
  const auto graph = quantised(m.finish({x}, {y}));
  CHECK(graph.nodes.size() == 3);
  const Bytes input = random_bytes(32);
  plain::Image image(2, 4, 4);
  for (std::size_t i = 0; i < 32; ++i) image.values[i] = std::max(0.0F, input[i] - 3.0F);
  const auto kind = max ? plain::Pool::kMax : plain::Pool::kAverage;
  plain::Image pooled = plain::pool(plain::pad(image, 1, 1, 1, 1, 0), kind, {3, 3, 3, 3});
  for (float& v : pooled.values) v = std::min(std::nearbyint(v), 124.0F);
  const plain::Image mean = plain::pool(pooled, plain::Pool::kAverage, {2, 2});
  const Bytes got = output_of(graph, input);
  for (int c = 0; c < 2; ++c) {
    CHECK(got[c] == static_cast<int>(std::min(127.0F, std::nearbyint(2 * mean.values[c]))));
  }
}

TEST_CASE("tflite: a border of channels, or one that not every reader takes, is a convolution") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 2, 1}, 1.0F, 7);
  const int pads = m.ints("pads", {4, 2}, {0, 0, 0, 0, 1, 0, 1, 0});
  const int y = m.int8("y", {1, 1, 3, 2}, 1.0F, 7);
  m.op(lite::BuiltinOperator_PAD, {x, pads}, {y});
  CHECK(output_of(quantised(m.finish({x}, {y})), {1, -2}) == Bytes{7, 7, 7, 7, 1, -2});
}

TEST_CASE("tflite: a concatenation of other scales requantises its inputs") {
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 2}, 1.0F, 0);
  const int w = m.constant("w", {1, 1, 1, 2}, lite::TensorType_INT8, Bytes{1, 1}, {{1}, {0}});
  const int c = m.int8("c", {1, 1, 1, 1}, 2.0F, 5);
  const int y = m.int8("y", {1, 1, 1, 3}, 1.0F, 0);
  m.conv({x, w}, c);
  m.concat({x, c}, y, -1);
  CHECK(output_of(quantised(m.finish({x}, {y})), {10, 5}) == Bytes{10, 5, 16});
}

TEST_CASE("tflite: a ReLU of its own folds where it may") {
  const bool same_scale = GENERATE(true, false);
  LiteBuilder m;
  const int x = m.int8("x", {1, 1, 1, 3}, 1.0F, 0);
  const int sum = m.int8("sum", {1, 1, 1, 3}, 2.0F, -10);
  const int y = m.int8("y", {1, 1, 1, 3}, same_scale ? 2.0F : 1.0F, -10);
  m.add_op(x, x, sum);
  m.op(lite::BuiltinOperator_RELU6, {sum}, {y});
  const auto graph = quantised(m.finish({x}, {y}));
  CHECK(graph.nodes.size() == (same_scale ? 1 : 2));
  CHECK(output_of(graph, {-3, 2, 100}) == (same_scale ? Bytes{-10, -8, -7} : Bytes{-10, -6, -4}));
}

TEST_CASE("tflite: the bounds of activation functions are rounded away from ties, in fp32") {
  const auto [activation, op, low, high] = GENERATE(
      std::tuple{lite::Activation_RELU6, lite::BuiltinOperator_RELU6, 0.0F, 6.0F},
      std::tuple{lite::Activation_RELU_N1_TO_1, lite::BuiltinOperator_RELU_N1_TO_1, -1.0F, 1.0F});
  const bool fused = GENERATE(true, false);
  const int zero = GENERATE(-128, 0, 5);
  Bytes every(256);
  for (int i = 0; i < 256; ++i)
    every[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i - 128);
  std::size_t compared = 0, off = 0, tellable = 0;
  for (int k = 0; k < 120; ++k) {
    const auto scale = static_cast<float>(high / (k + 0.5));
    LiteBuilder m;
    const int x = m.int8("x", {1, 16, 16, 1}, scale, zero);
    const int y = m.int8("y", {1, 16, 16, 1}, scale, zero);
    if (fused) {
      const int w =
          m.constant("w", {1, 1, 1, 1}, lite::TensorType_INT8, Bytes{1}, {{1.0F}, {0}, 0});
      m.conv({x, w}, y, lite::Padding_SAME, 1, activation);
    } else {
      m.op(op, {x}, {y});
    }
    const Bytes got = output_of(quantised(m.finish({x}, {y})), every);
    REQUIRE(got.size() == every.size());
    // TfLiteRound(f / scale), in fp32.
    const auto bound = [&, z = zero](float real) {
      return std::clamp(z + static_cast<int>(std::roundf(real / scale)), -128, 127);
    };
    for (std::size_t i = 0; i < every.size(); ++i, ++compared) {
      off += int{got[i]} != std::clamp(int{every[i]}, bound(low), bound(high)) ? 1 : 0;
    }
    tellable += std::roundf(high / scale) != std::nearbyintf(high / scale) ? 1 : 0;
  }
  CHECK(compared == 120 * 256);
  CHECK(tellable > 20);
  CHECK(off == 0);
}

TEST_CASE("tflite: QUANTIZE and DEQUANTIZE at the ends are the host's") {
  LiteBuilder m;
  const int f = m.tensor("f", {1, 1, 1, 2}, lite::TensorType_FLOAT32);
  const int x = m.int8("x", {1, 1, 1, 2}, 0.5F, 1);
  const int s = m.int8("s", {1, 1, 1, 2}, 1.0F, 0);
  const int g = m.tensor("g", {1, 1, 1, 2}, lite::TensorType_FLOAT32);
  m.op(lite::BuiltinOperator_QUANTIZE, {f}, {x});
  m.op(lite::BuiltinOperator_QUANTIZE, {x}, {s});
  m.op(lite::BuiltinOperator_DEQUANTIZE, {s}, {g});
  const auto graph = quantised(m.finish({f}, {g}));
  CHECK(graph.tensors[graph.input].quant == ir::Quant{0.5F, 1});
  CHECK(graph.host_ops == std::vector<std::string>{"quantize", "dequantize"});
  CHECK(output_of(graph, {21, -40}) == Bytes{10, -20});
}

TEST_CASE("tflite: a float model becomes a float graph") {
  LiteBuilder m;
  const auto f32 = lite::TensorType_FLOAT32;
  const std::vector<float> weights = {1, -1, 0.5F, 2};
  const int x = m.tensor("x", {1, 2, 2, 2}, f32);
  const int w = m.floats("w", {2, 1, 1, 2}, weights);
  const int c = m.tensor("c", {1, 2, 2, 2}, f32);
  const int a = m.tensor("a", {1, 2, 2, 2}, f32);
  const int y = m.tensor("y", {1, 1, 1, 2}, f32);
  m.conv({x, w}, c, lite::Padding_SAME, 1, lite::Activation_RELU);
  m.add_op(c, x, a);
  m.pool(lite::BuiltinOperator_AVERAGE_POOL_2D, a, y, 2, 2);
  const auto model = import_::parse_tflite(m.finish({x}, {y}), "test");
  REQUIRE(model.ok());
  const auto& graph = std::get<ir::FloatGraph>(model.value());
  const plain::Image image(2, 2, 2, {1, 2, -3, 4, 5, -6, 7, 8});
  const plain::Image wanted =
      plain::pool(plain::add(plain::relu(plain::conv(image, weights, {}, 2, {})), image),
                  plain::Pool::kAverage, {2, 2});
  const auto got = golden::run_float(graph, image.values)[graph.output];
  CHECK(std::abs(got[0] - wanted.values[0]) < 1e-5F);
  CHECK(std::abs(got[1] - wanted.values[1]) < 1e-5F);
}

TEST_CASE("tflite: refusals name the operator and its output") {
  const auto with = [](lite::BuiltinOperator code) {
    LiteBuilder m;
    const int x = m.int8("x", {1, 2, 2, 2}, 1.0F, 0);
    const int y = m.int8("y", {1, 2, 2, 2}, 1.0F, 0);
    m.op(code, {x}, {y});
    return refusal(m.finish({x}, {y}));
  };
  CHECK_THAT(with(lite::BuiltinOperator_HARD_SWISH), Contains("node 'y' (HARD_SWISH)"));
  CHECK_THAT(with(static_cast<lite::BuiltinOperator>(140)), Contains("(operator 140)"));
  CHECK_THAT(with(lite::BuiltinOperator_CONV_2D), Contains("input 1 is missing"));

  LiteBuilder version;
  const int v = version.int8("v", {1, 1, 1, 1}, 1.0F, 0);
  CHECK_THAT(refusal(version.finish({v}, {v}, 2)), Contains("format version is 2"));
  LiteBuilder nothing;
  const int x = nothing.int8("x", {1, 1, 1, 1}, 1.0F, 0);
  CHECK_THAT(refusal(nothing.finish({x, x}, {x})), Contains("2 inputs"));
  LiteBuilder batch;
  const int z = batch.int8("z", {2, 1, 1, 1}, 1.0F, 0);
  const int y = batch.int8("y", {2, 1, 1, 1}, 1.0F, 0);
  batch.add_op(z, z, y);
  CHECK_THAT(refusal(batch.finish({z}, {y})), Contains("tensor 'z'") && Contains("2x1x1x1"));
  LiteBuilder ratio;
  const int a = ratio.int8("a", {1, 1, 1, 1}, 600.0F, 0);
  const int s = ratio.int8("s", {1, 1, 1, 1}, 1.0F, 0);
  ratio.add_op(a, a, s);
  CHECK_THAT(refusal(ratio.finish({a}, {s})), Contains("node 's' (ADD)") && Contains("512"));
}

std::string rich_model() {
  LiteBuilder m;
  const int x = m.int8("x", {1, 4, 4, 2}, 0.5F, -3);
  const int w = m.constant("w", {2, 3, 3, 2}, lite::TensorType_INT8, random_bytes(36),
                           {{0.25F, 0.1F}, {0, 0}, 0});
  const int b = m.ints("b", {2}, {100, -200});
  const int pads = m.ints("pads", {4, 2}, {0, 0, 1, 1, 1, 1, 0, 0});
  const int p = m.int8("p", {1, 6, 6, 2}, 0.5F, -3);
  const int c = m.int8("c", {1, 4, 4, 2}, 0.5F, -3);
  const int s = m.int8("s", {1, 4, 4, 2}, 1.0F, 0);
  const int q = m.int8("q", {1, 2, 2, 2}, 1.0F, 0);
  const int d = m.int8("d", {1, 2, 2, 4}, 1.0F, 0);
  const int shape = m.ints("shape", {2}, {1, 16});
  const int f = m.int8("f", {1, 16}, 1.0F, 0);
  const int k = m.constant("k", {3, 16}, lite::TensorType_INT8, random_bytes(48), {{0.5F}, {0}});
  const int y = m.int8("y", {1, 3}, 8.0F, 0);
  const int out = m.int8("out", {1, 3}, 0.00390625F, -128);
  m.op(lite::BuiltinOperator_PAD, {x, pads}, {p});
  m.conv({p, w, b}, c);
  m.add_op(c, x, s, lite::Activation_RELU);
  m.pool(lite::BuiltinOperator_MAX_POOL_2D, s, q, 2, 2);
  m.concat({q, q}, d);
  m.op(lite::BuiltinOperator_RESHAPE, {d, shape}, {f});
  m.op(lite::BuiltinOperator_FULLY_CONNECTED, {f, k}, {y});
  m.softmax(y, out);
  return m.finish({x}, {out});
}

/// Whether it is read; what is read is right.
bool read_or_refuse(const std::string& bytes) {
  const auto model = import_::parse_tflite(bytes, "test");
  if (!model.ok()) {
    CHECK_FALSE(model.error().message.empty());
    return false;
  }
  if (const auto* graph = std::get_if<ir::QuantGraph>(&model.value())) {
    CHECK(ir::verify(*graph).ok());
  } else {
    CHECK(ir::verify(std::get<ir::FloatGraph>(model.value())).ok());
  }
  return true;
}

TEST_CASE("tflite: a model cut off anywhere is refused or read, never more") {
  const std::string whole = rich_model();
  REQUIRE(import_::parse_tflite(whole, "test").ok());
  std::size_t refused = 0;
  for (std::size_t size = 0; size < whole.size(); ++size)
    refused += read_or_refuse(whole.substr(0, size)) ? 0 : 1;
  CHECK(2 * refused > whole.size());
}

TEST_CASE("tflite: a model with flipped bits is refused or read, never more") {
  const std::string whole = rich_model();
  std::mt19937_64 random(seed());
  INFO("seed " << seed());
  int read = 0;
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = whole;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < flips; ++i) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
    }
    read += read_or_refuse(damaged) ? 1 : 0;
  }
  CHECK(read > kRounds / 20);
  CHECK(read < kRounds * 19 / 20);
}

}  // namespace
}  // namespace espalier::tests
