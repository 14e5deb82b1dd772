// The quantiser's parts: ranges, scales, multipliers, single layers.

#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "ir/numerics.hpp"
#include "quantise/histogram.hpp"
#include "quantise/layers.hpp"
#include "seed.hpp"

namespace espalier::tests {
namespace {

using quantise::Histogram;
using quantise::Range;

TEST_CASE("quant_of: zero is exact and the range is covered") {
  const Range range = GENERATE(Range{-1, 1}, Range{0, 6}, Range{-3, -1}, Range{0.5F, 2},
                               Range{-1e-3F, 1e6F}, Range{-1e-20F, 1e-20F});
  const ir::Quant quant = quantise::quant_of(range);
  CHECK(quant.scale > 0);
  CHECK(quant.zero >= -128);
  CHECK(quant.zero <= 127);
  const float slack = quant.scale * 0.51F;  // the zero point rounds
  CHECK(quant.scale * static_cast<float>(-128 - quant.zero) <= std::min(range.lo, 0.0F) + slack);
  CHECK(quant.scale * static_cast<float>(127 - quant.zero) >= std::max(range.hi, 0.0F) - slack);
}

TEST_CASE("quant_of: a tensor of zeros still has a scale") {
  CHECK(quantise::quant_of({0, 0}) == ir::Quant{1.0F, 0});
}

TEST_CASE("histogram: percentiles drop the tails, extremes keep them") {
  std::mt19937_64 random(seed());
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> values(100'000);
  for (float& v : values) v = normal(random);
  values[17] = 1000;
  Histogram histogram;
  REQUIRE(histogram.add(values));
  CHECK(histogram.extremes().hi == 1000);
  const Range range = histogram.percentile(99.9);
  CHECK(range.hi > 2.5F);
  CHECK(range.hi < 4.5F);
  CHECK(range.lo < -2.5F);
  CHECK(histogram.percentile(100).hi == 1000);
  CHECK(histogram.least_error().hi < 1000);
}

TEST_CASE("histogram: the order of values and a merge make no difference") {
  std::vector<float> values;
  for (float t = 0; t < 2000; ++t) values.push_back(std::sin(t) * 0.01F * t);
  Histogram forward;
  Histogram backward;
  Histogram halves[2];
  REQUIRE(forward.add(values));
  for (std::size_t i = values.size(); i-- > 0;) REQUIRE(backward.add({&values[i], 1}));
  REQUIRE(halves[0].add({values.data(), 500}));
  REQUIRE(halves[1].add({values.data() + 500, 1500}));
  halves[0].merge(halves[1]);
  for (const Histogram& other : {backward, halves[0]}) {
    CHECK(other.total() == forward.total());
    CHECK(other.extremes().lo == forward.extremes().lo);
    for (const double percent : {90.0, 99.0, 99.9}) {
      CHECK(std::abs(other.percentile(percent).hi - forward.percentile(percent).hi) < 0.05F);
    }
  }
}

TEST_CASE("histogram: numbers that are none are refused") {
  Histogram histogram;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e37F}) {
    const float values[] = {1, bad, 2};
    CHECK_FALSE(histogram.add(values));
  }
  CHECK(histogram.total() == 0);
}

TEST_CASE(
    "add multipliers: the greater is in the upper half of 22 bits, the error below half a step") {
  std::mt19937_64 random(seed());
  std::uniform_real_distribution<double> exponent(-9, 8.9);
  for (int i = 0; i < 10'000; ++i) {
    const double a = std::exp2(exponent(random));
    const double b = std::exp2(exponent(random));
    const auto m = ir::add_multipliers(a, b);
    REQUIRE(m.has_value());
    const std::uint32_t greater = std::max(m->ma, m->mb);
    CHECK(greater < (1U << 22));
    CHECK(greater >= (1U << 21));
    CHECK(m->shift >= 13);
    CHECK(m->shift <= 31);
    CHECK(std::abs(std::ldexp(m->ma, -m->shift) - a) <= std::ldexp(0.5, -m->shift));
    CHECK(std::abs(std::ldexp(m->mb, -m->shift) - b) <= std::ldexp(0.5, -m->shift));
  }
}

TEST_CASE("add multipliers: limits") {
  CHECK_FALSE(ir::add_multipliers(512, 1).has_value());
  CHECK(ir::add_multipliers(511, 1).has_value());
  CHECK_FALSE(ir::add_multipliers(0, 0).has_value());
  CHECK_FALSE(ir::add_multipliers(-1, 1).has_value());
  CHECK_FALSE(ir::add_multipliers(std::nan(""), 1).has_value());
  const auto tiny = ir::add_multipliers(1e-8, 0);
  REQUIRE(tiny.has_value());
  CHECK(tiny->shift == 31);
}

ir::FloatConv one_weight(float weight, float bias) {
  ir::FloatConv conv;
  conv.out_channels = 1;
  conv.weights = {weight};
  conv.bias = {bias};
  return conv;
}

TEST_CASE("conv: a bias that does not fit takes a coarser scale, and the result stays right") {
  const ir::Quant x{1e-3F, 0};
  const ir::Quant y{1.0F, 0};
  const float weight = GENERATE(1e-6F, 1e-12F, 0.0F, 1.0F);
  const float bias = GENERATE(100.0F, -100.0F, 1e-9F);
  const auto conv = quantise::quantise_conv(one_weight(weight, bias), x, y, {});
  CHECK(std::abs(static_cast<std::int64_t>(conv.bias[0])) + 32640 < (std::int64_t{1} << 31));
  CHECK(std::isnormal(conv.scale[0]));
  const double real = static_cast<double>(conv.bias[0]) * static_cast<double>(conv.scale[0]);
  CHECK(std::abs(real - static_cast<double>(bias)) < 0.01);
}

TEST_CASE("conv: bias correction makes up for the mean error of the weights") {
  const ir::Quant x{0.01F, 0};
  const ir::Quant y{0.01F, 0};
  ir::FloatConv conv;
  conv.out_channels = 1;
  conv.weights = {1.0F, 0.0035F};  // the second rounds to 0
  conv.bias = {0.0F};
  const double means[] = {0.0, 2.0};
  CHECK(quantise::quantise_conv(conv, x, y, {}).bias[0] == 0);
  const auto corrected = quantise::quantise_conv(conv, x, y, means);
  CHECK(corrected.weights == std::vector<std::int8_t>{127, 0});
  CHECK(corrected.bias[0] == 89);  // 0.007 in steps of 0.01 / 127
}

TEST_CASE("conv: the accumulator's limit is exact") {
  CHECK(quantise::bias_limit(65793) == 127);
  CHECK(quantise::bias_limit(65794) < 0);
  CHECK(quantise::bias_limit(1) == 2147483647 - 32640);
}

}  // namespace
}  // namespace espalier::tests
