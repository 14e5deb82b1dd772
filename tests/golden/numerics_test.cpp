#include "golden/numerics.hpp"

#include <bit>
#include <cfenv>
#include <limits>
#include <random>

#include "catch.hpp"
#include "seed.hpp"

namespace {

using espalier::golden::AddParameters;
using espalier::golden::requantise;
using espalier::golden::requantise_clamp;
using espalier::golden::residual_add;
using espalier::golden::rne_shift;

constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();

/// A magnitude, rounded to 24 bits (nearest even): what fp32 keeps of it.
struct Rounded {
  std::uint64_t mantissa = 0;  ///< below 2^24, or 0
  int exponent = 0;            ///< value = mantissa * 2^exponent
};

/// magnitude / 2^shift, nearest even; a shift to the left where it is negative.
std::uint64_t shift_even(std::uint64_t magnitude, int shift) {
  if (shift <= 0) return magnitude << -shift;
  if (shift > 62) return 0;
  const std::uint64_t kept = magnitude >> shift;
  const std::uint64_t rest = magnitude & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  return kept + (rest > half || (rest == half && (kept & 1) != 0) ? 1 : 0);
}

Rounded round24(std::uint64_t magnitude, int exponent) {
  const int bits = 64 - std::countl_zero(magnitude);
  const int drop = std::max(0, bits - 24);
  return {shift_even(magnitude, drop), exponent + drop};
}

/// The same by integers alone, as the hardware does it: three roundings. The scale is normal and
/// the product stays normal.
std::int32_t requantise_by_integers(std::int32_t acc, float scale) {
  const bool negative = acc < 0;
  const auto magnitude = static_cast<std::uint64_t>(std::abs(std::int64_t{acc}));
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(scale);
  const std::uint64_t mantissa = (bits & 0x7FFFFF) | 0x800000;
  const int exponent = static_cast<int>(bits >> 23 & 0xFF) - 127 - 23;
  const Rounded a = round24(magnitude, 0);
  const Rounded product = round24(a.mantissa * mantissa, a.exponent + exponent);
  if (product.mantissa == 0) return 0;
  // Values from 2^32 on saturate without being formed.
  const int top = 64 - std::countl_zero(product.mantissa) + product.exponent;
  const std::uint64_t whole =
      top > 32 ? std::uint64_t{1} << 32 : shift_even(product.mantissa, -product.exponent);
  if (negative) return whole >= std::uint64_t{1} << 31 ? kMin : -static_cast<std::int32_t>(whole);
  return whole > std::uint64_t(kMax) ? kMax : static_cast<std::int32_t>(whole);
}

}  // namespace

TEST_CASE("requantise: a tie goes to the even neighbour") {
  CHECK(requantise(1, 0.5F) == 0);
  CHECK(requantise(3, 0.5F) == 2);
  CHECK(requantise(5, 0.5F) == 2);
  CHECK(requantise(7, 0.5F) == 4);
  CHECK(requantise(-1, 0.5F) == 0);
  CHECK(requantise(-3, 0.5F) == -2);
  CHECK(requantise(-5, 0.5F) == -2);
  CHECK(requantise(0, 0.5F) == 0);
}

TEST_CASE("requantise: an accumulator above 2^24 rounds to fp32 first") {
  CHECK(requantise(16777216, 1.0F) == 16777216);
  CHECK(requantise(16777217, 1.0F) == 16777216);
  CHECK(requantise(16777219, 1.0F) == 16777220);
  CHECK(requantise(-16777217, 1.0F) == -16777216);
  CHECK(requantise(33554434, 0.5F) == 16777216);  // 2^25 + 2, a tie in fp32
}

TEST_CASE("requantise: the product rounds to fp32 before it rounds to an integer") {
  // 6000002 * (1 + 2^-23) = 6000002.715, which fp32 holds as 6000002.5: a tie.
  CHECK(requantise(6000002, 0x1.000002p0F) == 6000002);
}

TEST_CASE("requantise: saturates where the integer leaves int32") {
  CHECK(requantise(kMax, 1.0F) == kMax);  // 2^31 - 1 rounds to 2^31
  CHECK(requantise(kMin, 1.0F) == kMin);
  CHECK(requantise(kMin, 2.0F) == kMin);
  CHECK(requantise(kMax, 2.0F) == kMax);
  CHECK(requantise(1000000000, 1e30F) == kMax);
  CHECK(requantise(kMax, std::numeric_limits<float>::max()) == kMax);
  CHECK(requantise(kMin, std::numeric_limits<float>::max()) == kMin);
  CHECK(requantise_clamp(kMax, 1.0F, 127, -128, 127) == 127);
  CHECK(requantise_clamp(kMin, 1.0F, -128, -128, 127) == -128);
}

TEST_CASE("requantise: the zero point is added after rounding, the clamp comes last") {
  CHECK(requantise_clamp(5, 0.5F, 3, -128, 127) == 5);
  CHECK(requantise_clamp(-40, 1.0F, 10, -5, 20) == -5);
  CHECK(requantise_clamp(40, 1.0F, 10, -5, 20) == 20);
}

TEST_CASE("requantise: agrees with plain fp32 arithmetic and with integers on random values") {
  const auto seed = espalier::tests::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  REQUIRE(std::fegetround() == FE_TONEAREST);
  long saturated = 0, large = 0;
  for (int i = 0; i < 1000000; ++i) {
    const auto acc = static_cast<std::int32_t>(random()) >> (random() % 32);
    const std::uint32_t exponent = 127 - 36 + static_cast<std::uint32_t>(random() % 42);
    const auto scale =
        std::bit_cast<float>(static_cast<std::uint32_t>(random() & 0x7FFFFF) | exponent << 23);
    const std::int32_t result = requantise(acc, scale);
    volatile float wide = static_cast<float>(acc);  // forces each step into an fp32
    volatile float product = wide * scale;
    const double exact = std::rint(static_cast<double>(product));
    const auto expected =
        static_cast<std::int32_t>(std::min(std::max(exact, double{kMin}), double{kMax}));
    if (result != expected || result != requantise_by_integers(acc, scale)) {
      FAIL("acc " << acc << " scale " << scale << ": " << result << ", fp32 " << expected
                  << ", integers " << requantise_by_integers(acc, scale));
    }
    saturated += result == kMax || result == kMin ? 1 : 0;
    large += std::abs(std::int64_t{acc}) > (1 << 24) ? 1 : 0;
  }
  CHECK(saturated > 1000);  // the sample reaches what it is about
  CHECK(large > 1000);
}

TEST_CASE("rne_shift: rounds to nearest, ties to even, both signs") {
  CHECK(rne_shift(4096, 13) == 0);
  CHECK(rne_shift(4097, 13) == 1);
  CHECK(rne_shift(12288, 13) == 2);
  CHECK(rne_shift(20480, 13) == 2);
  CHECK(rne_shift(-4096, 13) == 0);
  CHECK(rne_shift(-4097, 13) == -1);
  CHECK(rne_shift(-12288, 13) == -2);
  CHECK(rne_shift(-20480, 13) == -2);
  CHECK(rne_shift(7, 0) == 7);
  CHECK(rne_shift(std::int64_t{1} << 30, 31) == 0);
  CHECK(rne_shift((std::int64_t{1} << 30) + 1, 31) == 1);
}

TEST_CASE("residual add: both operands are scaled exactly and rounded once") {
  const AddParameters p{.za = 2, .zb = 1, .zy = -1, .ma = 8192, .mb = 4096, .shift = 13};
  CHECK(residual_add(10, -5, p) == 4);  // 8 - 3 - 1
  // 0.5 + 0.5 is 1; each rounded alone would give 0.
  const AddParameters halves{.ma = 4096, .mb = 4096, .shift = 13};
  CHECK(residual_add(1, 1, halves) == 1);
  CHECK(residual_add(1, 0, halves) == 0);
  CHECK(residual_add(3, 0, halves) == 2);
}

TEST_CASE("residual add: clamps at the extremes of its multipliers") {
  AddParameters p{.za = -128, .zb = -128, .ma = (1U << 22) - 1, .mb = (1U << 22) - 1, .shift = 13};
  CHECK(residual_add(127, 127, p) == 127);
  p.shift = 31;  // 2 * 255 * (2^22 - 1) / 2^31 = 0.996
  CHECK(residual_add(127, 127, p) == 1);
  p.za = p.zb = 127;
  CHECK(residual_add(-128, -128, p) == -1);
  p.lo = 0;
  CHECK(residual_add(-128, -128, p) == 0);
}
