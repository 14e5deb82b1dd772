// Backward passes on small networks: scores against finite differences in float, sums against plain
// loops, scales, and what stays uncomputed.

#include "golden/backward.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "catch.hpp"
#include "golden/backward_layers.hpp"
#include "golden/float_reference.hpp"
#include "quant_builder.hpp"
#include "quantise/quantise.hpp"

namespace espalier::tests {
namespace {

std::size_t index(int id) { return static_cast<std::size_t>(id); }

ir::Window square(int kernel, int stride, int pad) {
  return {kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
}

/// Builds a float network node by node, with random weights.
class FloatBuilder {
 public:
  explicit FloatBuilder(ir::Shape input) {
    graph.input = tensor(input);
    graph.output = graph.input;
  }
  int conv(int x, int channels, ir::Window w) {
    const ir::Shape s = graph.tensors[index(x)].shape;
    ir::FloatConv op{w, channels, {}, {}};
    std::normal_distribution<float> normal(0, std::sqrt(2.0F / float(w.kh * w.kw * s.c)));
    for (int i = 0; i < channels * w.kh * w.kw * s.c; ++i) op.weights.push_back(normal(random));
    for (int i = 0; i < channels; ++i) op.bias.push_back(0.1F * normal(random));
    return node({x},
                {channels, ir::window_extent(s.h, w.kh, w.stride_h, 1, w.pad_top, w.pad_bottom),
                 ir::window_extent(s.w, w.kw, w.stride_w, 1, w.pad_left, w.pad_right)},
                op);
  }
  int relu(int x) { return node({x}, shape(x), ir::FloatClamp{0, INFINITY}); }
  int add(int a, int b) { return node({a, b}, shape(a), ir::FloatAdd{}); }
  int concat(int a, int b) {
    ir::Shape s = shape(a);
    s.c += shape(b).c;
    return node({a, b}, s, ir::FloatConcat{});
  }
  int pool(int x, ir::PoolKind kind, ir::Window w) {
    const ir::Shape s = shape(x);
    return node({x},
                {s.c, ir::window_extent(s.h, w.kh, w.stride_h, 1, w.pad_top, w.pad_bottom),
                 ir::window_extent(s.w, w.kw, w.stride_w, 1, w.pad_left, w.pad_right)},
                ir::FloatPool{kind, w, false});
  }
  [[nodiscard]] ir::Shape shape(int id) const { return graph.tensors[index(id)].shape; }

  ir::FloatGraph graph;
  std::mt19937 random{11};

 private:
  int tensor(ir::Shape s) {
    graph.tensors.push_back({std::string("t").append(std::to_string(graph.tensors.size())), s});
    return static_cast<int>(graph.tensors.size()) - 1;
  }
  int node(std::vector<int> inputs, ir::Shape s, ir::FloatOp op) {
    graph.output = tensor(s);
    graph.nodes.push_back({std::string("n").append(std::to_string(graph.nodes.size())),
                           std::move(inputs), graph.output, std::move(op)});
    return graph.output;
  }
};

/// Every operator: strided and pointwise convolutions, both pools, a concatenation, two residual
/// adds, one of them read three times.
ir::FloatGraph network() {
  FloatBuilder b({4, 12, 12});
  const int a = b.relu(b.conv(0, 8, square(3, 1, 1)));
  const int s = b.relu(b.conv(a, 12, square(3, 2, 1)));
  const int p = b.pool(s, ir::PoolKind::kMax, square(3, 1, 1));
  const int left = b.relu(b.conv(p, 6, square(1, 1, 0)));
  const int right = b.relu(b.conv(s, 6, square(3, 1, 1)));
  const int joined = b.concat(left, right);
  const int mean = b.pool(joined, ir::PoolKind::kAverage, square(3, 1, 1));
  const int inner = b.relu(b.conv(mean, 10, square(3, 1, 1)));
  const int sum = b.relu(b.add(b.conv(inner, 12, square(3, 1, 1)), s));
  const int inner2 = b.relu(b.conv(sum, 9, square(3, 1, 1)));
  const int sum2 = b.relu(b.add(b.conv(inner2, 12, square(3, 1, 1)), sum));
  const int low = b.relu(b.conv(sum2, 14, square(2, 2, 0)));
  const int flat = b.pool(low, ir::PoolKind::kAverage, square(3, 1, 0));
  b.conv(flat, 5, square(1, 1, 0));
  return b.graph;
}

std::vector<float> random_image(std::mt19937& random, std::int64_t count) {
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> image(static_cast<std::size_t>(count));
  std::ranges::generate(image, [&] { return normal(random); });
  return image;
}

ir::QuantGraph quantised(const ir::FloatGraph& graph) {
  std::mt19937 random(3);
  std::vector<std::vector<float>> images;
  for (int i = 0; i < 32; ++i)
    images.push_back(random_image(random, graph.tensors[index(graph.input)].shape.count()));
  const quantise::Calibration calibration{
      images.size(), [&](std::size_t i) -> Result<std::vector<float>> { return images[i]; }};
  auto result = quantise::quantise(graph, calibration);
  REQUIRE(result.ok());
  return std::move(result).value();
}

int find(const auto& graph, const std::string& name) {
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    if (graph.tensors[t].name == name) return static_cast<int>(t);
  }
  return -1;
}

/// The graph with channel c of a tensor multiplied by `gate` before anyone reads it.
ir::FloatGraph gated(ir::FloatGraph graph, int tensor, int channel, float gate) {
  const ir::Shape shape = graph.tensors[index(tensor)].shape;
  ir::FloatConv op{{},
                   shape.c,
                   std::vector<float>(index(shape.c * shape.c), 0.0F),
                   std::vector<float>(index(shape.c), 0.0F)};
  for (int c = 0; c < shape.c; ++c) op.weights[index(c * shape.c + c)] = c == channel ? gate : 1.0F;
  const int fresh = static_cast<int>(graph.tensors.size());
  graph.tensors.push_back({"gate", shape});
  std::size_t at = 0;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (int& input : graph.nodes[n].inputs) input = input == tensor ? fresh : input;
    if (graph.nodes[n].output == tensor) at = n + 1;
  }
  graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(at),
                     {"gate", {tensor}, fresh, op});
  return graph;
}

double loss(const ir::FloatGraph& graph, const std::vector<float>& image,
            const std::vector<double>& direction) {
  const auto out = golden::run_float(graph, image)[index(graph.output)];
  double sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) sum += direction[i] * out[i];
  return sum;
}

struct Scores {
  double worst = 0;  ///< largest difference over the largest magnitude, of the worst tensor
  double correlation = 1;
  int tensors = 0;
};

Scores compare(const ir::FloatGraph& graph, std::span<const float> given_scale = {}) {
  const ir::QuantGraph q = quantised(graph);
  REQUIRE(ir::verify(q).ok());
  std::vector<bool> scored(q.tensors.size(), true);
  scored[index(q.input)] = false;
  scored[index(q.output)] = false;
  const golden::Backward backward(q, scored);
  std::mt19937 random(17);
  Scores result;
  std::vector<double> ours, theirs;
  for (int image = 0; image < 3; ++image) {
    const auto x = random_image(random, graph.tensors[index(graph.input)].shape.count());
    const std::vector<double> direction{0.9, -0.4, 0.2, -0.6, 0.1};
    golden::Tensor input;
    const ir::Quant in = q.tensors[index(q.input)].quant;
    for (const float v : x) {
      input.push_back(static_cast<std::int8_t>(
          std::clamp(std::nearbyint(double(v) / in.scale) + in.zero, -128.0, 127.0)));
    }
    const auto tensors = golden::run(q, input);
    const auto gradient = backward.quantise_output(direction);
    std::vector<float> scales;
    if (!given_scale.empty()) scales.assign(backward.slots(), given_scale[0]);
    const auto pass = backward.run(tensors, gradient.values, scales);
    for (std::size_t t = 0; t < q.tensors.size(); ++t) {
      if (pass.sums[t].empty()) continue;
      const int in_float = find(graph, q.tensors[t].name);
      if (in_float < 0) continue;
      double most = 0, difference = 0;
      for (int c = 0; c < q.tensors[t].shape.c; ++c) {
        constexpr float kStep = 0.01F;
        const double wanted = (loss(gated(graph, in_float, c, 1 + kStep), x, direction) -
                               loss(gated(graph, in_float, c, 1 - kStep), x, direction)) /
                              (2 * kStep);
        const double got = double(pass.sums[t][index(c)]) * gradient.scale *
                           backward.unit(pass, static_cast<int>(t), index(c));
        most = std::max(most, std::abs(wanted));
        difference = std::max(difference, std::abs(wanted - got));
        ours.push_back(got);
        theirs.push_back(wanted);
      }
      ++result.tensors;
      result.worst = std::max(result.worst, difference / most);
    }
  }
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    xy += ours[i] * theirs[i];
    xx += ours[i] * ours[i];
    yy += theirs[i] * theirs[i];
  }
  result.correlation = xy / std::sqrt(xx * yy);
  return result;
}

TEST_CASE("backward: scores are the derivatives by a gate on every channel") {
  const Scores scores = compare(network());
  CAPTURE(scores.worst, scores.correlation, scores.tensors);
  CHECK(scores.tensors >= 3 * 11);
  CHECK(scores.correlation > 0.99);
  CHECK(scores.worst < 0.35);
}

TEST_CASE("backward: the comparison notices scales that do not fit") {
  const std::vector<float> coarse{40.0F};
  CHECK(compare(network(), coarse).correlation < 0.9);
}

TEST_CASE("backward: a transposed convolution is the plain sum over taps") {
  std::mt19937 random(5);
  const auto draw = [&random](int lo, int hi) {
    return std::uniform_int_distribution<int>(lo, hi)(random);
  };
  for (int round = 0; round < 60; ++round) {
    const ir::Shape x{draw(1, 5), draw(3, 9), draw(3, 9)};
    ir::Window w{draw(1, 3), draw(1, 3), draw(1, 3), draw(1, 3), draw(0, 1),
                 draw(0, 1), draw(0, 1), draw(0, 1), 1,          1};
    w.dilation_h = x.h > 5 ? draw(1, 2) : 1;
    const ir::Shape y{
        draw(1, 6), ir::window_extent(x.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
        ir::window_extent(x.w, w.kw, w.stride_w, 1, w.pad_left, w.pad_right)};
    std::vector<std::int8_t> weights(index(y.c * w.kh * w.kw * x.c));
    for (auto& v : weights) v = static_cast<std::int8_t>(draw(-128, 127));
    golden::Tensor g(static_cast<std::size_t>(y.count()));
    for (auto& v : g) v = static_cast<std::int8_t>(draw(-127, 127));
    std::vector<std::int32_t> wanted(static_cast<std::size_t>(x.count()), 0);
    for (int n = 0; n < y.c; ++n) {
      for (int oy = 0; oy < y.h; ++oy) {
        for (int ox = 0; ox < y.w; ++ox) {
          for (int ky = 0; ky < w.kh; ++ky) {
            for (int kx = 0; kx < w.kw; ++kx) {
              const int iy = oy * w.stride_h - w.pad_top + ky * w.dilation_h;
              const int ix = ox * w.stride_w - w.pad_left + kx;
              if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
              for (int c = 0; c < x.c; ++c) {
                wanted[index((c * x.h + iy) * x.w + ix)] +=
                    g[index((n * y.h + oy) * y.w + ox)] *
                    weights[index(((n * w.kh + ky) * w.kw + kx) * x.c + c)];
              }
            }
          }
        }
      }
    }
    CHECK(golden::TransposedConv(plain_conv(w, y.c, weights), x, y).run(g) == wanted);
  }
}

TEST_CASE("backward: a maximum's gradient goes to its first pixel, an average's to all") {
  const ir::Shape x{1, 3, 3}, y{1, 2, 2};
  const golden::Tensor in{5, 5, 1, 0, 9, 9, 2, 9, 3};
  double share = 0;
  ir::QuantPool pool{ir::PoolKind::kMax, square(2, 1, 0)};
  CHECK(golden::pool_backward(pool, x, y, in, {1, 10, 100, 27}, share) ==
        std::vector<std::int32_t>{0, 0, 0, 0, 138, 0, 0, 0, 0});
  CHECK(share == 1.0);
  pool = {ir::PoolKind::kAverage, square(3, 2, 1)};  // every window holds 4 pixels
  CHECK(golden::pool_backward(pool, x, y, in, {1, 10, 100, 27}, share) ==
        std::vector<std::int32_t>{1, 11, 10, 101, 138, 37, 100, 127, 27});
  CHECK(share == 0.25);
}

TEST_CASE("backward: only what lies above the lowest scored tensor is computed") {
  const ir::QuantGraph q = quantised(network());
  std::vector<bool> none(q.tensors.size(), false), last = none, all(q.tensors.size(), true);
  last[index(q.nodes[q.nodes.size() - 2].output)] = true;
  CHECK(golden::Backward(q, none).slots() == 1);
  const golden::Backward top(q, last);
  CHECK(top.slots() == 2);
  CHECK(golden::Backward(q, all).slots() > 20);
}

TEST_CASE("backward: delayed scales follow the largest gradient of their window") {
  golden::DelayedScales scales;
  golden::BackwardPass pass;
  pass.scales = {1.0F, 0.5F};
  pass.maxima = {127, 240};
  scales.start(pass);
  scales.note(pass);
  CHECK(scales.scales()[1] == 0.5F);
  scales.update();
  CHECK(scales.scales()[1] == 1.0F);  // 240 * 0.5 becomes 120
  pass.scales = scales.scales();
  pass.maxima = {127, 30};
  for (std::size_t i = 0; i < golden::DelayedScales::kWindow; ++i) scales.note(pass);
  scales.update();
  CHECK(scales.scales()[1] == 0.25F);
}

TEST_CASE("backward: the output's gradient fills int8, and a zero one stays zero") {
  const ir::QuantGraph q = quantised(network());
  const golden::Backward backward(q, std::vector<bool>(q.tensors.size(), true));
  const auto gradient = backward.quantise_output(std::vector<double>{0, 0, 1e-3, 0, -1e-9});
  CHECK(gradient.values == golden::Tensor{0, 0, 127, 0, 0});
  const auto zero = backward.quantise_output(std::vector<double>(5, 0.0));
  CHECK(zero.values == golden::Tensor(5, 0));
  CHECK(zero.scale == 0.0);
}

}  // namespace
}  // namespace espalier::tests
