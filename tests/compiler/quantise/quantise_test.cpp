// Whole small graphs through the quantiser, run by golden and compared with the float reference.

#include "quantise/quantise.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "seed.hpp"

namespace espalier::tests {
namespace {

using Catch::Matchers::Contains;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Builds a float graph node by node.
class Floats {
 public:
  explicit Floats(const ir::Shape& input) : random_(seed()) {
    graph.name = "test";
    graph.tensors.push_back({"x", input});
    graph.input = 0;
  }
  int add(const std::string& name, ir::FloatOp op, std::vector<int> inputs,
          const ir::Shape& shape) {
    graph.tensors.push_back({name, shape});
    const int id = static_cast<int>(graph.tensors.size()) - 1;
    graph.nodes.push_back({name, std::move(inputs), id, std::move(op)});
    graph.output = id;
    return id;
  }
  int conv(const std::string& name, int from, int channels, int kernel = 3) {
    const ir::Shape in = graph.tensors[from].shape;
    ir::FloatConv conv;
    conv.window.kh = conv.window.kw = kernel;
    conv.window.pad_top = conv.window.pad_left = kernel / 2;
    conv.window.pad_bottom = conv.window.pad_right = kernel / 2;
    conv.out_channels = channels;
    const int depth = kernel * kernel * in.c;
    std::normal_distribution<float> normal(0, 1.0F / std::sqrt(static_cast<float>(depth)));
    for (int i = 0; i < channels * depth; ++i) conv.weights.push_back(normal(random_));
    for (int i = 0; i < channels; ++i) conv.bias.push_back(normal(random_));
    return add(name, std::move(conv), {from}, {channels, in.h, in.w});
  }
  int clamp(const std::string& name, int from, float lo = 0, float hi = kInfinity) {
    return add(name, ir::FloatClamp{lo, hi}, {from}, graph.tensors[from].shape);
  }
  std::vector<float> image() {
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> values(static_cast<std::size_t>(graph.tensors[0].shape.count()));
    for (float& v : values) v = normal(random_);
    return values;
  }
  quantise::Calibration calibration(std::size_t count = 8) {
    std::vector<std::vector<float>> images;
    for (std::size_t i = 0; i < count; ++i) images.push_back(image());
    return {count, [images](std::size_t i) -> Result<std::vector<float>> { return images[i]; }};
  }

  ir::FloatGraph graph;

 private:
  std::mt19937_64 random_;
};

ir::QuantGraph quantised(Floats& floats, const quantise::Options& options = {}) {
  auto graph = quantise::quantise(floats.graph, floats.calibration(), options);
  INFO((graph ? std::string("quantised") : graph.error().text()));
  REQUIRE(graph.ok());
  return std::move(graph.value());
}

/// Signal to noise of the output on fresh images. Units: dB.
double output_sqnr(Floats& floats, const ir::QuantGraph& quant) {
  golden::SqnrMeter meter;
  const ir::QuantTensor& x = quant.tensors[quant.input];
  const ir::QuantTensor& y = quant.tensors[quant.output];
  for (int i = 0; i < 4; ++i) {
    const auto image = floats.image();
    std::vector<std::int8_t> input;
    for (const float v : image) {
      const float q = std::nearbyint(v / x.quant.scale) + static_cast<float>(x.quant.zero);
      input.push_back(static_cast<std::int8_t>(std::clamp(q, -128.0F, 127.0F)));
    }
    meter.add(golden::run_float(floats.graph, image)[floats.graph.output],
              golden::run(quant, input)[quant.output], y.quant);
  }
  return meter.db();
}

TEST_CASE("quantise: a residual block folds its clamps and keeps its signal") {
  const auto method = GENERATE(quantise::RangeMethod::kMinMax, quantise::RangeMethod::kPercentile,
                               quantise::RangeMethod::kMse);
  Floats f({3, 8, 8});
  const int a = f.clamp("a_relu", f.conv("a", 0, 8));
  const int b = f.clamp("b_relu", f.conv("b", a, 8), 0, 6);
  const int c = f.conv("c", b, 8);
  const int sum = f.clamp("sum_relu", f.add("sum", ir::FloatAdd{}, {c, a}, {8, 8, 8}));
  ir::FloatPool mean{ir::PoolKind::kAverage, {8, 8, 8, 8}};
  const int pooled = f.add("mean", mean, {sum}, {8, 1, 1});
  f.add("prob", ir::FloatSoftmax{}, {f.conv("fc", pooled, 4, 1)}, {4, 1, 1});
  quantise::Options options;
  options.method = method;
  options.preprocess = {{0, 0, 0}, {1, 1, 1}};
  const auto q = quantised(f, options);
  CHECK(q.softmax);
  CHECK(q.preprocess.std.size() == 3);
  REQUIRE(q.nodes.size() == 6);
  CHECK(q.nodes[0].name == "a");
  CHECK(q.tensors[q.nodes[0].output].name == "a_relu");
  const auto& conv = std::get<ir::QuantConv>(q.nodes[0].op);
  CHECK(conv.lo == q.tensors[q.nodes[0].output].quant.zero);
  CHECK(conv.lo == -128);
  f.graph.nodes.pop_back();  // logits are compared
  f.graph.output = f.graph.nodes.back().output;
  f.graph.tensors.pop_back();
  CHECK(output_sqnr(f, q) > 25.0);
}

TEST_CASE("quantise: a clamp that others read around stays apart") {
  Floats f({4, 4, 4});
  const int a = f.conv("a", 0, 4);
  const int r = f.clamp("r", a);
  f.add("sum", ir::FloatAdd{}, {a, r}, {4, 4, 4});
  const auto q = quantised(f);
  CHECK(q.nodes.size() == 3);
  CHECK(output_sqnr(f, q) > 30.0);
}

TEST_CASE("quantise: clamps of the input, of a concatenation and of the output") {
  Floats f({4, 4, 4});
  const int r = f.clamp("r", 0, -0.5F, 1.0F);
  const int joined = f.add("joined", ir::FloatConcat{}, {r, 0}, {8, 4, 4});
  f.clamp("y", joined);
  const auto q = quantised(f);
  CHECK(q.nodes.size() == 3);
  CHECK(output_sqnr(f, q) > 30.0);
}

TEST_CASE("quantise: chained clamps fold into one") {
  Floats f({4, 4, 4});
  f.clamp("c", f.clamp("b", f.conv("a", 0, 4), -1, 5), 0, 0.5F);
  const auto q = quantised(f);
  REQUIRE(q.nodes.size() == 1);
  CHECK(q.tensors[q.output].quant.zero == -128);
  CHECK(output_sqnr(f, q) > 20.0);
}

TEST_CASE("quantise: what meets in a concatenation or a max pool shares one scale") {
  Floats f({4, 8, 8});
  const int a = f.conv("a", 0, 4);
  const int b = f.clamp("b", f.conv("b_conv", 0, 4), 0, 0.125F);
  ir::FloatPool pool{ir::PoolKind::kMax, {3, 3, 1, 1, 1, 1, 1, 1}};
  const int p = f.add("p", pool, {a}, {4, 8, 8});
  const int first = f.add("first", ir::FloatConcat{}, {p, b}, {8, 8, 8});
  f.add("second", ir::FloatConcat{}, {first, 0}, {12, 8, 8});
  const auto q = quantised(f);
  for (const auto& tensor : q.tensors) CHECK(tensor.quant == q.tensors[0].quant);
  CHECK(output_sqnr(f, q) > 30.0);
}

TEST_CASE("quantise: an addition whose result is tiny gets a wider scale") {
  Floats f({2, 4, 4});
  const int a = f.conv("a", 0, 2);
  ir::FloatConv negative;  // -1 on the diagonal: the sum is 0
  negative.out_channels = 2;
  negative.weights = {-1, 0, 0, -1};
  negative.bias = {1e-5F, 1e-5F};
  const int b = f.add("b", negative, {a}, {2, 4, 4});
  f.add("sum", ir::FloatAdd{}, {a, b}, {2, 4, 4});
  const auto q = quantised(f);
  CHECK(std::get<ir::QuantAdd>(q.nodes.back().op).shift >= 13);
}

TEST_CASE("quantise: the ratios of a sum's scales are short, so that fp32 adds exactly") {
  Floats f({4, 6, 6});
  int x = f.clamp("first", f.conv("first_conv", 0, 4));
  for (const char* name : {"a", "b", "c"}) {
    const int branch = f.conv(std::string(name) + "_conv", x, 4);
    const int sum = f.add(std::string(name) + "_sum", ir::FloatAdd{}, {branch, x}, {4, 6, 6});
    x = f.clamp(name, sum);
  }
  const auto q = quantised(f);
  int sums = 0;
  for (const ir::QuantNode& node : q.nodes) {
    if (!std::holds_alternative<ir::QuantAdd>(node.op)) continue;
    for (const int input : node.inputs) {
      const float ratio = q.tensors[input].quant.scale / q.tensors[node.output].quant.scale;
      CHECK(ratio * 16384 == std::floor(ratio * 16384));
      ++sums;
    }
  }
  CHECK(sums == 6);
  CHECK(output_sqnr(f, q) > 23.0);
}

TEST_CASE("quantise: averages with counted pads and in ceil mode keep their signal") {
  const bool counted = GENERATE(false, true);
  Floats f({4, 7, 7});
  ir::FloatPool pool{ir::PoolKind::kAverage, {3, 3, 2, 2, 1, 1, 0, 0}, counted};
  f.add("y", pool, {0}, {4, 4, 4});
  CHECK(output_sqnr(f, quantised(f)) > 30.0);
}

TEST_CASE("quantise: refuses what it cannot do, by name") {
  Floats f({2, 4, 4});
  f.conv("a", 0, 2);
  CHECK_THAT(quantise::quantise(f.graph, {}, {}).error().text(), Contains("one image"));
  const quantise::Calibration short_image{
      1, [](std::size_t) -> Result<std::vector<float>> { return std::vector<float>(3); }};
  CHECK_THAT(quantise::quantise(f.graph, short_image, {}).error().text(),
             Contains("calibration image 0: has 3 values; the network takes 32"));
  const quantise::Calibration broken{1, [](std::size_t) -> Result<std::vector<float>> {
                                       return fail(ErrorCode::kIo, "gone", "a.png");
                                     }};
  CHECK_THAT(quantise::quantise(f.graph, broken, {}).error().text(), Contains("a.png: gone"));
  const quantise::Calibration nan{1, [](std::size_t) -> Result<std::vector<float>> {
                                    return std::vector<float>(32, std::nanf(""));
                                  }};
  CHECK_THAT(quantise::quantise(f.graph, nan, {}).error().text(), Contains("tensor 'x'"));
  quantise::Options options;
  options.percentile = 12;
  CHECK_THAT(quantise::quantise(f.graph, f.calibration(), options).error().text(),
             Contains("percentile is 12"));
}

TEST_CASE("quantise: refuses a layer whose sum could leave the accumulator") {
  Floats f({7311, 3, 3});
  f.conv("wide", 0, 1);
  CHECK_THAT(quantise::quantise(f.graph, f.calibration(1), {}).error().text(),
             Contains("node 'wide'") && Contains("65799 products"));
}

TEST_CASE("quantise: tells how far calibration is") {
  Floats f({2, 4, 4});
  f.conv("a", 0, 2);
  std::vector<std::size_t> seen;
  quantise::Options options;
  options.progress = [&](std::size_t done, std::size_t total) {
    seen.push_back(done * 100 + total);
  };
  REQUIRE(quantise::quantise(f.graph, f.calibration(3), options).ok());
  CHECK(seen == std::vector<std::size_t>{103, 203, 303});
}

TEST_CASE("quantise: the same images give the same graph") {
  Floats f({3, 6, 6});
  f.clamp("y", f.conv("a", 0, 5));
  const auto images = f.calibration();
  const auto first = quantise::quantise(f.graph, images, {});
  const auto second = quantise::quantise(f.graph, images, {});
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(ir::serialise(first.value()) == ir::serialise(second.value()));
}

}  // namespace
}  // namespace espalier::tests
