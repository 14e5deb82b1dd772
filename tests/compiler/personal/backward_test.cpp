// Backward passes on small networks: scores against finite differences in float, sums against plain
// loops, scales, and what stays uncomputed.

#include "personal/backward.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "catch.hpp"
#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "quant_builder.hpp"
#include "personal/delayed_scales.hpp"
#include "personal/importance.hpp"
#include "quantise/quantise.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

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

/// A backward pass's tensors, with scales that fit this image or those given.
std::vector<golden::Tensor> backward_pass(personal::Backward& backward,
                                          const std::vector<golden::Tensor>& tensors,
                                          const std::vector<std::int8_t>& gradient,
                                          std::span<const float> given_scale) {
  std::vector<std::int8_t> input = gradient;
  for (const int t : backward.kept())
    input.insert(input.end(), tensors[index(t)].begin(), tensors[index(t)].end());
  if (given_scale.empty()) {
    (void)personal::fit_scales(backward, input);
  } else {
    std::vector<float> all(backward.slots(), given_scale[0]);
    all[0] = 1;
    backward.set_scales(all);
  }
  return golden::run(backward.graph(), input);
}

Scores compare(const ir::FloatGraph& graph, std::span<const float> given_scale = {}) {
  const ir::QuantGraph q = quantised(graph);
  REQUIRE(ir::verify(q).ok());
  std::vector<bool> scored(q.tensors.size(), true);
  scored[index(q.input)] = false;
  scored[index(q.output)] = false;
  auto made = personal::Backward::make(q, scored);
  REQUIRE(made.ok());
  personal::Backward& backward = *made;
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
    const auto gradient = personal::Backward::quantise_output(direction);
    const auto gradients = backward_pass(backward, tensors, gradient.values, given_scale);
    for (const personal::Backward::Score& score : backward.scores()) {
      const ir::QuantTensor& tensor = q.tensors[index(score.activation)];
      const int in_float = find(graph, tensor.name);
      if (in_float < 0) continue;
      double most = 0, difference = 0;
      for (int c = 0; c < tensor.shape.c; ++c) {
        constexpr float kStep = 0.01F;
        const double wanted = (loss(gated(graph, in_float, c, 1 + kStep), x, direction) -
                               loss(gated(graph, in_float, c, 1 - kStep), x, direction)) /
                              (2 * kStep);
        const double got = personal::Backward::sum(gradients[index(score.sums)], index(c)) *
                           gradient.scale * backward.unit(score);
        most = std::max(most, std::abs(wanted));
        difference = std::max(difference, std::abs(wanted - got));
        ours.push_back(got);
        theirs.push_back(wanted);
      }
      ++result.tensors;
      result.worst = std::max(result.worst, difference / most);
      UNSCOPED_INFO(tensor.name << ": " << difference / most);
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

TEST_CASE("backward: only what lies above the lowest scored tensor is computed") {
  const ir::QuantGraph q = quantised(network());
  std::vector<bool> none(q.tensors.size(), false), last = none, all(q.tensors.size(), true);
  last[index(q.nodes[q.nodes.size() - 2].output)] = true;
  all[index(q.input)] = false;
  const auto nothing = personal::Backward::make(q, none);
  REQUIRE(!nothing.ok());
  CHECK(nothing.error().message == "no tensor that is to be scored has a gradient");
  const auto top = personal::Backward::make(q, last);
  REQUIRE(top.ok());
  CHECK(top->slots() == 2);
  CHECK(top->graph().nodes.size() == 2);  // a transposed convolution and a score
  CHECK(personal::Backward::make(q, all)->slots() > 10);
}

TEST_CASE("backward: a maximum's gradient goes to each pixel that holds it") {
  ir::QuantGraph q;
  q.tensors = {{"x", {1, 5, 5}, {1, -3}}, {"y", {1, 2, 2}, {1, -3}}, {"z", {1, 1, 1}, {1, 0}}};
  q.input = 0;
  q.output = 2;
  ir::QuantPool pool{ir::PoolKind::kMax, square(3, 2, 0)};
  ir::QuantConv all{square(2, 1, 0), 1, {1, 1, 1, 1}, {0}, {1}};
  q.nodes = {{"pool", {0}, 1, pool}, {"all", {1}, 2, all}};
  REQUIRE(ir::verify(q).ok());
  // The gradient of the input itself: wanted, though only its mask's place is scored.
  std::vector<bool> scored{true, false, false};
  q.nodes.insert(q.nodes.begin(),
                 {"same", {3}, 0, ir::QuantConv{square(1, 1, 0), 1, {1}, {0}, {1}}});
  q.tensors.push_back({"in", {1, 5, 5}, {1, -3}});
  q.input = 3;
  scored.push_back(false);
  auto made = personal::Backward::make(q, scored);
  REQUIRE(made.ok());
  const golden::Tensor in{1, 1, 9, 1, 1, 1, 9, 1, 1, 7, 1, 1, 1,
                          1, 1, 1, 4, 1, 1, 1, 1, 1, 1, 4, 1};
  const auto gradients = backward_pass(*made, golden::run(q, in), {100}, {});
  const golden::Tensor& found = gradients[index(made->scores().at(0).gradient)];
  const double unit = made->unit(made->scores()[0]);
  std::vector<int> places;
  for (std::size_t i = 0; i < found.size(); ++i) {
    // Pixel (0, 2) is the maximum of two windows, (1, 1) of one that holds it as well.
    const int wanted = i == 2 ? 200 : i == 6 || i == 16 || i == 23 ? 100 : 0;
    CAPTURE(i);
    CHECK(std::abs(found[i] * unit - wanted) <= 1);
  }
}

TEST_CASE("backward: delayed scales follow the largest gradient of their window") {
  personal::DelayedScales scales;
  scales.start({1.0F, 0.5F});
  scales.note(std::vector<int>{127, 60});
  CHECK(scales.scales()[1] == 0.5F);
  scales.update();
  CHECK(scales.scales()[1] == 0.25F);  // 60 * 0.5 becomes 120
  scales.note(std::vector<int>{127, 127});
  scales.update();
  CHECK(scales.scales()[1] > 0.5F);  // what was cut off may have been larger
  scales.start({1.0F, 0.5F});
  for (std::size_t i = 0; i < personal::DelayedScales::kWindow; ++i)
    scales.note(std::vector<int>{127, 30});
  scales.update();
  CHECK(scales.scales()[1] == 0.125F);
}

TEST_CASE("backward: scales that fit an image are found, and a gradient may be zero") {
  personal::DelayedScales scales;
  scales.start({1.0F, 1.0F, 1.0F});
  const double real = 1e-6;
  bool fits = false;
  for (int attempt = 0; attempt < 24 && !fits; ++attempt) {
    const double value = std::min(127.0, std::nearbyint(real / scales.scales()[1]));
    fits = scales.fit(std::vector<int>{127, static_cast<int>(value), 0}, attempt);
  }
  CHECK(fits);
  CHECK(real / scales.scales()[1] > 60);
  CHECK(real / scales.scales()[1] < 127);
}

TEST_CASE("backward: the output's gradient fills int8, and a zero one stays zero") {
  const auto gradient =
      personal::Backward::quantise_output(std::vector<double>{0, 0, 1e-3, 0, -1e-9});
  CHECK(gradient.values == golden::Tensor{0, 0, 127, 0, 0});
  const auto zero = personal::Backward::quantise_output(std::vector<double>(5, 0.0));
  CHECK(zero.values == golden::Tensor(5, 0));
  CHECK(zero.scale == 0.0);
}

}  // namespace
}  // namespace espalier::tests
