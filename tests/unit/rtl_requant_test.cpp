// esp_requant against fp32 arithmetic: numbers worked out by hand, every exponent, random vectors.

#include <Vrtl_requant.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "catch.hpp"
#include "seed.hpp"
#include "verilated_bench.hpp"

namespace {

using espalier::tests::Draw;
using espalier::tests::port_byte;
using espalier::tests::set_port_word;
using espalier::tests::VerilatedBench;

constexpr std::size_t kLanes = 8;
constexpr int kLatency = 8;

struct Bounds {
  int zero = 0, lo = -128, hi = 127;
};

/// The definition, in the floating point of the machine that runs the test.
int by_float(std::int32_t acc, std::uint32_t scale_bits, const Bounds& bounds) {
  const std::uint32_t exponent = (scale_bits >> 23) & 0xFF;
  double rounded = 0;
  if (exponent == 255) {
    rounded = acc == 0 ? 0 : acc < 0 ? -2147483648.0 : 2147483647.0;
  } else if (exponent != 0) {
    const float product = static_cast<float>(acc) * std::bit_cast<float>(scale_bits & 0x7FFFFFFF);
    rounded = std::nearbyint(product);
    rounded = std::min(std::max(rounded, -2147483648.0), 2147483647.0);
  }
  const double y = rounded + bounds.zero;
  return static_cast<int>(y < bounds.lo ? bounds.lo : y > bounds.hi ? bounds.hi : y);
}

class Requantiser {
 public:
  struct Vector {
    std::array<std::int32_t, kLanes> acc{};
    std::array<std::uint32_t, kLanes> scale{};
    Bounds bounds;
  };

  /// Enters a vector and steps one cycle.
  void push(const Vector& vector) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      set_port_word(bench_->acc_i, i, static_cast<std::uint32_t>(vector.acc[i]));
      set_port_word(bench_->scale_i, i, vector.scale[i]);
    }
    bench_->zero_i = static_cast<std::uint8_t>(vector.bounds.zero);
    bench_->lo_i = static_cast<std::uint8_t>(vector.bounds.lo);
    bench_->hi_i = static_cast<std::uint8_t>(vector.bounds.hi);
    step(true, true);
  }
  void step(bool valid, bool enable) {
    bench_->valid_i = valid;
    bench_->en_i = enable;
    bench_.tick();
  }
  [[nodiscard]] bool valid() { return bench_->valid_o != 0; }
  [[nodiscard]] int lane(std::size_t i) { return port_byte(bench_->data_o, i); }
  VerilatedBench<Vrtl_requant>& bench() { return bench_; }

  /// One result by itself.
  int operator()(std::int32_t acc, std::uint32_t scale, const Bounds& bounds = {}) {
    Vector vector;
    vector.acc.fill(acc);
    vector.scale.fill(scale);
    vector.bounds = bounds;
    push(vector);
    for (int i = 1; i < kLatency; ++i) {
      if (valid()) return 1000;  // too early
      step(false, true);
    }
    if (!valid()) return 2000;  // too late
    return lane(0);
  }
  int operator()(std::int32_t acc, float scale, const Bounds& bounds = {}) {
    return (*this)(acc, std::bit_cast<std::uint32_t>(scale), bounds);
  }

 private:
  VerilatedBench<Vrtl_requant> bench_;
};

/// Feeds vectors without a pause and counts the results that differ from by_float.
class Stream {
 public:
  void push(const Requantiser::Vector& vector) {
    expected_.push_back(vector);
    requantiser_.push(vector);
    check();
  }
  void drain() {
    for (int i = 0; i < kLatency; ++i) {
      requantiser_.step(false, true);
      check();
    }
    REQUIRE(expected_.empty());
  }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  void check() {
    if (!requantiser_.valid()) return;
    const Requantiser::Vector& vector = expected_.front();
    for (std::size_t i = 0; i < kLanes; ++i) {
      const int want = by_float(vector.acc[i], vector.scale[i], vector.bounds);
      if (requantiser_.lane(i) != want && ++wrong_ <= 5) {
        FAIL_CHECK("acc " << vector.acc[i] << ", scale bits 0x" << std::hex << vector.scale[i]
                          << std::dec << ", zero " << vector.bounds.zero << ": "
                          << requantiser_.lane(i) << " instead of " << want);
      }
    }
    expected_.pop_front();
  }

  Requantiser requantiser_;
  std::deque<Requantiser::Vector> expected_;
  std::uint64_t wrong_ = 0;
};

TEST_CASE("requant: ties go to the even integer") {
  Requantiser q;
  CHECK(q(1, 0.5F) == 0);
  CHECK(q(3, 0.5F) == 2);
  CHECK(q(5, 0.5F) == 2);
  CHECK(q(7, 0.5F) == 4);
  CHECK(q(-1, 0.5F) == 0);
  CHECK(q(-3, 0.5F) == -2);
  CHECK(q(-5, 0.5F) == -2);
  CHECK(q(253, 0.5F) == 126);  // 126.5
  CHECK(q(255, 0.5F) == 127);  // 127.5: 128, clamped
  CHECK(q(-255, 0.5F) == -128);
  CHECK(q(-257, 0.5F) == -128);
  CHECK(q(8388609, 0x1p-24F) == 1);  // just over one half
  CHECK(q(8388608, 0x1p-24F) == 0);  // one half
  CHECK(q(8388607, 0x1p-24F) == 0);  // just under
  CHECK(q(10, 0.25F) == 2);          // 2.5
  CHECK(q(14, 0.25F) == 4);          // 3.5
}

TEST_CASE("requant: accumulators past 2^24 round as fp32 does") {
  Requantiser q;
  // 2^24 + 1 lies between two fp32 numbers and goes to the even one, 2^24; + 3 goes to 2^24 + 4.
  CHECK(q(16777217, 0x1.000002p-20F) == 16);
  // 0x01FFFFFF = 2^25 - 1 rounds to 2^25: times 2^-26 one half, which goes to 0; unrounded it would
  // be just under one half and go there too, so scale by 3 * 2^-26: 1.5, which goes to 2.
  CHECK(q(33554431, 3 * 0x1p-26F) == 2);
  // 2^24 + 1 would give 1.5 + something, the rounded 2^24 gives 1.5 exactly: both 2. With 2.5, the
  // rounded one goes to 2 and the exact one to 3.
  CHECK(q(16777217, 2.5F * 0x1p-24F) == 2);
  CHECK(q(16777218, 2.5F * 0x1p-24F) == 3);
  CHECK(q(16777219, 2.5F * 0x1p-24F) == 3);
  CHECK(q(-16777217, 2.5F * 0x1p-24F) == -2);
  // INT32_MAX rounds to 2^31.
  CHECK(q(std::numeric_limits<std::int32_t>::max(), 2.5F * 0x1p-31F) == 2);
  CHECK(q(std::numeric_limits<std::int32_t>::max() - 63, 2.5F * 0x1p-31F) == 2);  // 2^31 - 64: tie
  CHECK(q(std::numeric_limits<std::int32_t>::max() - 64, 2.5F * 0x1p-31F) == 2);  // 2^31 - 128
  CHECK(q(std::numeric_limits<std::int32_t>::min(), 2.5F * 0x1p-31F) == -2);
  CHECK(q(std::numeric_limits<std::int32_t>::min(), 0x1p-31F) == -1);
}

TEST_CASE("requant: the product rounds to 24 bits before it rounds to an integer") {
  Requantiser q;
  // 3 * 0x955555 = 29,360,127 lies half way between two numbers of 24 bits, and the even one is 3.5
  // in this scale: 4, where one rounding of the exact product would give 3.
  CHECK(q(3, 0x955555p-23F) == 4);
  CHECK(q(-3, 0x955555p-23F) == -4);
  // 3 * 0xD55556 = 41,943,042 goes to 2.5 from above: 2, where one rounding would give 3.
  CHECK(q(3, 0xD55556p-24F) == 2);
  CHECK(q(-3, 0xD55556p-24F) == -2);
  CHECK(q(3, 0xD55557p-24F) == 3);
  CHECK(q(1, 0x1.fffffep-2F) == 0);
  CHECK(q(1, 0x1.000002p-1F) == 1);
}

TEST_CASE("requant: saturates both ways") {
  Requantiser q;
  const std::int32_t max = std::numeric_limits<std::int32_t>::max();
  const std::int32_t min = std::numeric_limits<std::int32_t>::min();
  for (const float scale : {1.0F, 1024.0F, 1e20F, std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::infinity()}) {
    for (const int zero : {-128, 0, 127}) {
      CHECK(q(max, scale, {zero, -128, 127}) == 127);
      CHECK(q(min, scale, {zero, -128, 127}) == -128);
      CHECK(q(max, scale, {zero, -7, 9}) == 9);
      CHECK(q(min, scale, {zero, -7, 9}) == -7);
    }
  }
  CHECK(q(1, std::numeric_limits<float>::quiet_NaN()) == 127);
  CHECK(q(-1, std::numeric_limits<float>::quiet_NaN()) == -128);
  CHECK(q(0, std::numeric_limits<float>::infinity(), {5, -128, 127}) == 5);
}

TEST_CASE("requant: every integer near the limits meets every zero point") {
  Requantiser q;
  for (int acc = -300; acc <= 300; ++acc) {
    for (const int zero : {-128, -127, -1, 0, 1, 126, 127}) {
      const int want = std::min(std::max(acc + zero, -128), 127);
      if (q(acc, 1.0F, {zero, -128, 127}) != want) FAIL_CHECK("acc " << acc << ", zero " << zero);
    }
  }
}

TEST_CASE(
    "requant: zero and subnormal scales give the zero point and signs of scales are ignored") {
  Requantiser q;
  CHECK(q(1000000, 0.0F, {-3, -128, 127}) == -3);
  CHECK(q(-1000000, std::uint32_t{0x80000000}, {-3, -128, 127}) == -3);
  CHECK(q(std::numeric_limits<std::int32_t>::max(), std::uint32_t{0x007FFFFF}) == 0);
  CHECK(q(10, std::numeric_limits<float>::min()) == 0);
  CHECK(q(10, -1.0F) == 10);
  CHECK(q(-10, -1.0F) == -10);
  CHECK(q(0, 1e30F, {7, -128, 127}) == 7);
}

TEST_CASE("requant: clamps hold past the zero point") {
  Requantiser q;
  CHECK(q(-50, 1.0F, {10, 10, 127}) == 10);
  CHECK(q(50, 1.0F, {10, 10, 40}) == 40);
  CHECK(q(20, 1.0F, {10, 10, 40}) == 30);
}

TEST_CASE("requant: holds its pipeline while it is not enabled and forgets it on clear") {
  Requantiser q;
  Requantiser::Vector vector;
  vector.scale.fill(std::bit_cast<std::uint32_t>(1.0F));
  vector.acc.fill(42);
  q.push(vector);
  vector.acc.fill(43);
  q.push(vector);
  for (int i = 0; i < kLatency - 2; ++i) {
    q.step(true, false);  // counts for nothing
    q.step(false, true);
  }
  REQUIRE(q.valid());
  CHECK(q.lane(kLanes - 1) == 42);
  q.step(false, false);
  CHECK(q.lane(0) == 42);
  q.step(false, true);
  REQUIRE(q.valid());
  CHECK(q.lane(0) == 43);
  q.step(false, true);
  CHECK_FALSE(q.valid());
  q.push(vector);
  q.bench()->clear_i = 1;
  q.step(false, true);
  q.bench()->clear_i = 0;
  for (int i = 0; i < 2 * kLatency; ++i) {
    q.step(false, true);
    CHECK_FALSE(q.valid());
  }
}

TEST_CASE("requant: every exponent meets the edges of both significands") {
  const std::array<std::uint32_t, 14> fractions = {0,        1,        2,        3,        0x3FFFFF,
                                                   0x400000, 0x400001, 0x7FFFFC, 0x7FFFFD, 0x7FFFFE,
                                                   0x7FFFFF, 0x2AAAAA, 0x555555, 0x600000};
  std::vector<std::int32_t> accumulators = {0};
  for (int bit = 0; bit < 32; ++bit) {
    for (int offset = -3; offset <= 3; ++offset) {
      const auto value = static_cast<std::uint32_t>((std::uint64_t{1} << bit) + offset);
      accumulators.push_back(static_cast<std::int32_t>(value));
      accumulators.push_back(static_cast<std::int32_t>(-value));
      if (bit >= 24) {  // about the ties of the rounding to 24 bits
        const std::uint32_t tie = value + (1U << (bit - 24));
        accumulators.push_back(static_cast<std::int32_t>(tie));
        accumulators.push_back(static_cast<std::int32_t>(tie + (1U << (bit - 23))));
      }
    }
  }
  Stream stream;
  Requantiser::Vector vector;
  std::size_t lane = 0;
  for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (const std::uint32_t fraction : fractions) {
      for (const std::int32_t acc : accumulators) {
        vector.acc[lane] = acc;
        vector.scale[lane] = (exponent << 23) | fraction | (fraction << 31);
        if (++lane == kLanes) {
          lane = 0;
          stream.push(vector);
        }
      }
    }
  }
  stream.drain();
  CHECK(stream.wrong() == 0);
}

TEST_CASE("requant: agrees with fp32 on ten million random results") {
  const std::uint64_t seed = espalier::tests::seed(20240601);
  INFO("seed " << seed);
  Draw draw(seed);
  Stream stream;
  Requantiser::Vector vector;
  for (std::uint64_t n = 0; n < 10'000'000 / kLanes; ++n) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t bits = draw.bits();
      const auto width = static_cast<unsigned>(bits >> 59);  // 0 to 31: every magnitude alike
      const auto acc = static_cast<std::int32_t>(bits) >> width;
      // Products from one quarter to 512 mostly, where roundings matter, now and then anything.
      const int magnitude = std::bit_width(static_cast<std::uint32_t>(acc < 0 ? -(acc + 1) : acc));
      const auto spread = static_cast<int>((bits >> 54) & 15) - 3;
      const auto near = static_cast<std::uint32_t>(127 - magnitude + spread);
      const std::uint32_t exponent = (bits >> 58 & 1) != 0 && n % 8 == 0
                                         ? static_cast<std::uint32_t>(bits >> 40) & 0xFF
                                         : near;
      // Half of the fractions have few bits, so that ties come about.
      std::uint32_t fraction = draw.word() >> 9;
      if ((bits >> 53 & 1) != 0) fraction &= 0x700000;
      vector.acc[i] = acc;
      vector.scale[i] = (exponent << 23) | fraction;
    }
    if (n % 64 == 0) {
      vector.bounds.zero = draw.byte();
      const int a = draw.byte();
      const int b = draw.byte();
      vector.bounds.lo = n % 128 == 0 ? -128 : std::min(a, b);
      vector.bounds.hi = n % 128 == 0 ? 127 : std::max(a, b);
    }
    stream.push(vector);
  }
  stream.drain();
  CHECK(stream.wrong() == 0);
}

TEST_CASE("requant: the comparison notices a rounding of ties away from zero") {
  // What a requantiser that rounds ties away would give is not what by_float says.
  CHECK(by_float(1, std::bit_cast<std::uint32_t>(0.5F), {}) != 1);
  CHECK(by_float(5, std::bit_cast<std::uint32_t>(0.5F), {}) != 3);
}

}  // namespace
