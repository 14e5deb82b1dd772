#include "golden/float_reference.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "seed.hpp"

namespace {

using namespace espalier;
using Values = std::vector<float>;

/// A graph of one node; extents of all tensors are given.
ir::FloatGraph one_node(const std::vector<ir::Shape>& inputs, ir::Shape output, ir::FloatOp op) {
  ir::FloatGraph g;
  // The first input is the graph's; the others are copies of it through an open clamp.
  constexpr float kInf = std::numeric_limits<float>::infinity();
  ir::FloatNode node{"node", {}, static_cast<int>(inputs.size()), std::move(op)};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    g.tensors.push_back({"x", inputs[i]});
    node.inputs.push_back(static_cast<int>(i));
    if (i > 0) g.nodes.push_back({"copy", {0}, static_cast<int>(i), ir::FloatClamp{-kInf, kInf}});
  }
  g.tensors.push_back({"y", output});
  g.nodes.push_back(std::move(node));
  g.input = 0;
  g.output = static_cast<int>(inputs.size());
  return g;
}

Values run_one(const ir::FloatGraph& g, const Values& x) {
  const Status status = ir::verify(g);
  INFO((status ? "" : status.error().text()));
  REQUIRE(status.ok());
  return golden::run_float(g, x).back();
}

bool near(const Values& a, const Values& b, float tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= tolerance)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("float: a padded convolution with bias, by hand") {
  const ir::FloatConv op{{2, 2, 1, 1, 1, 0, 0, 0}, 1, {1, 2, 3, 4}, {0.5F}};
  const auto g = one_node({{1, 2, 2}}, {1, 2, 1}, op);
  CHECK(run_one(g, {1, 2, 3, 4}) == Values{11.5F, 30.5F});
}

TEST_CASE("float: agrees with plain loops on random convolutions") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  std::normal_distribution<float> normal;
  for (int i = 0; i < 40; ++i) {
    const auto pick = [&random](int lo, int hi) {
      return lo + int(random() % unsigned(hi - lo + 1));
    };
    const ir::Shape x{pick(1, 9), pick(5, 30), pick(5, 300)};
    const ir::Window w{pick(1, 3), pick(1, 3), pick(1, 2), pick(1, 2), pick(0, 1),
                       pick(0, 1), pick(0, 1), pick(0, 1), pick(1, 2), pick(1, 2)};
    const ir::Shape y{
        pick(1, 5), ir::window_extent(x.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
        ir::window_extent(x.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
    ir::FloatConv op{w, y.c, Values(std::size_t(y.c * w.kh * w.kw * x.c)),
                     Values(std::size_t(y.c))};
    for (float& v : op.weights) v = normal(random);
    for (float& v : op.bias) v = normal(random);
    Values in(std::size_t(x.count()));
    for (float& v : in) v = normal(random);
    Values expected;
    for (int n = 0; n < y.c; ++n) {
      for (int p = 0; p < y.h * y.w; ++p) {
        double sum = op.bias[std::size_t(n)];
        for (int k = 0; k < w.kh * w.kw * x.c; ++k) {
          const int c = k % x.c, tap = k / x.c;
          const int iy = p / y.w * w.stride_h + tap / w.kw * w.dilation_h - w.pad_top;
          const int ix = p % y.w * w.stride_w + tap % w.kw * w.dilation_w - w.pad_left;
          if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
          sum += double(op.weights[std::size_t(n * w.kh * w.kw * x.c + k)]) *
                 in[std::size_t((c * x.h + iy) * x.w + ix)];
        }
        expected.push_back(float(sum));
      }
    }
    INFO("layer " << i);
    const Values result = run_one(one_node({x}, y, op), in);
    CHECK(near(result, expected, 1e-4F));
    expected[expected.size() / 2] += 0.01F;
    CHECK_FALSE(near(result, expected, 1e-4F));
  }
}

TEST_CASE("float: add, clamp and concat") {
  CHECK(run_one(one_node({{2, 1, 1}, {2, 1, 1}}, {2, 1, 1}, ir::FloatAdd{}), {1.5F, -2}) ==
        Values{3, -4});
  CHECK(run_one(one_node({{3, 1, 1}}, {3, 1, 1}, ir::FloatClamp{0, 6}), {-1, 3, 7}) ==
        Values{0, 3, 6});
  CHECK(run_one(one_node({{1, 1, 2}, {1, 1, 2}}, {2, 1, 2}, ir::FloatConcat{}), {1, 2}) ==
        Values{1, 2, 1, 2});
}

TEST_CASE("float: pools in both conventions and ceil mode") {
  const ir::Window padded{1, 3, 1, 1, 0, 1, 0, 1};
  const Values x{3, 6, 12};
  const auto pool = [&x](ir::PoolKind kind, ir::Window w, bool include, int out) {
    return run_one(one_node({{1, 1, 3}}, {1, 1, out}, ir::FloatPool{kind, w, include}), x);
  };
  CHECK(pool(ir::PoolKind::kAverage, padded, false, 3) == Values{4.5F, 7, 9});
  CHECK(pool(ir::PoolKind::kAverage, padded, true, 3) == Values{3, 7, 6});
  CHECK(pool(ir::PoolKind::kAverage, {1, 2, 1, 2}, false, 2) == Values{4.5F, 12});
  CHECK(pool(ir::PoolKind::kMax, {1, 2, 1, 2}, false, 2) == Values{6, 12});
}

TEST_CASE("float: softmax over channels") {
  const auto g = one_node({{2, 1, 2}}, {2, 1, 2}, ir::FloatSoftmax{});
  const float third = std::log(2.0F);  // exp gives 2
  CHECK(near(run_one(g, {0, 1000, third, 1000}), {1 / 3.0F, 0.5F, 2 / 3.0F, 0.5F}, 1e-6F));
}

TEST_CASE("sqnr: by hand, without noise and without signal") {
  const std::vector<std::int8_t> q{3, 3};
  const ir::Quant quant{0.5F, 1};  // both are 1.0
  CHECK_THAT(golden::sqnr_db(Values{1, 2}, q, quant), Catch::Matchers::WithinAbs(6.9897, 1e-4));
  CHECK(golden::sqnr_db(Values{1, 1}, q, quant) == std::numeric_limits<double>::infinity());
  CHECK(golden::sqnr_db(Values{0, 0}, q, quant) == -std::numeric_limits<double>::infinity());
  golden::SqnrMeter meter;
  meter.add(Values{1, 2}, q, quant);
  meter.add(Values{5, 1}, q, quant);  // signal 5 + 26, noise 1 + 16
  CHECK_THAT(meter.db(), Catch::Matchers::WithinAbs(10 * std::log10(31.0 / 17.0), 1e-9));
}
