// esp_addop against exact integers.

#include <Vrtl_addop.h>

#include <array>
#include <cstdint>
#include <deque>

#include "catch.hpp"
#include "seed.hpp"
#include "verilated_bench.hpp"

namespace {

using espalier::tests::Draw;
using espalier::tests::port_byte;
using espalier::tests::set_port_byte;
using espalier::tests::VerilatedBench;

constexpr std::size_t kLanes = 4;
constexpr int kLatency = 4;

struct Parameters {
  bool add = true;
  int za = 0, zb = 0;
  std::uint32_t ma = 1U << 13, mb = 1U << 13;
  int shift = 13;
  int zero = 0, lo = -128, hi = 127;
};

/// The definition with a numerator and a denominator: no shift of a negative number.
int exactly(int a, int b, const Parameters& p) {
  if (!p.add) return a;
  const __int128 numerator =
      static_cast<__int128>(a - p.za) * p.ma + static_cast<__int128>(b - p.zb) * p.mb;
  const __int128 denominator = static_cast<__int128>(1) << p.shift;
  __int128 quotient = numerator / denominator;  // towards zero
  __int128 rest = numerator % denominator;
  if (rest < 0) {
    rest += denominator;
    quotient -= 1;
  }
  if (2 * rest > denominator || (2 * rest == denominator && quotient % 2 != 0)) quotient += 1;
  const __int128 y = quotient + p.zero;
  return static_cast<int>(y < p.lo ? p.lo : y > p.hi ? p.hi : y);
}

class Adder {
 public:
  struct Vector {
    std::array<int, kLanes> a{}, b{};
    Parameters p;
  };

  void push(const Vector& vector) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      set_port_byte(bench_->a_i, i, static_cast<std::int8_t>(vector.a[i]));
      set_port_byte(bench_->b_i, i, static_cast<std::int8_t>(vector.b[i]));
    }
    const Parameters& p = vector.p;
    bench_->add_i = p.add;
    bench_->minus_za_i = static_cast<unsigned>(-p.za) % 512;
    bench_->minus_zb_i = static_cast<unsigned>(-p.zb) % 512;
    bench_->ma_i = p.ma;
    bench_->mb_i = p.mb;
    bench_->shift_i = static_cast<std::uint8_t>(p.shift);
    bench_->zero_i = static_cast<std::uint8_t>(p.zero);
    bench_->lo_i = static_cast<std::uint8_t>(p.lo);
    bench_->hi_i = static_cast<std::uint8_t>(p.hi);
    expected_.push_back(vector);
    step(true, true);
  }
  void step(bool valid, bool enable) {
    bench_->valid_i = valid;
    bench_->en_i = enable;
    bench_.tick();
    if (!enable || bench_->valid_o == 0) return;
    REQUIRE_FALSE(expected_.empty());
    const Vector& vector = expected_.front();
    for (std::size_t i = 0; i < kLanes; ++i) {
      last_ = port_byte(bench_->data_o, i);
      const int want = exactly(vector.a[i], vector.b[i], vector.p);
      if (last_ != want && ++wrong_ <= 5) {
        FAIL_CHECK("a " << vector.a[i] << ", b " << vector.b[i] << ", ma " << vector.p.ma << ", mb "
                        << vector.p.mb << ", shift " << vector.p.shift << ": " << last_
                        << " instead of " << want);
      }
    }
    expected_.pop_front();
  }
  void drain() {
    for (int i = 0; i < kLatency; ++i) step(false, true);
    REQUIRE(expected_.empty());
  }
  /// One result by itself.
  int operator()(int a, int b, const Parameters& p) {
    Vector vector;
    vector.a.fill(a);
    vector.b.fill(b);
    vector.p = p;
    push(vector);
    for (int i = 1; i < kLatency; ++i) {
      if (bench_->valid_o != 0) return 1000;
      step(false, true);
    }
    REQUIRE(expected_.empty());
    return last_;
  }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  VerilatedBench<Vrtl_addop> bench_;
  std::deque<Vector> expected_;
  std::uint64_t wrong_ = 0;
  int last_ = 0;
};

TEST_CASE("addop: adds by hand, ties to even") {
  Adder add;
  CHECK(add(100, 27, {}) == 127);
  CHECK(add(100, 28, {}) == 127);
  CHECK(add(-100, -29, {}) == -128);
  Parameters half;  // halves of both
  half.ma = half.mb = 1U << 12;
  CHECK(add(1, 0, half) == 0);
  CHECK(add(3, 0, half) == 2);
  CHECK(add(2, 3, half) == 2);
  CHECK(add(-1, 0, half) == 0);
  CHECK(add(-3, 0, half) == -2);
  CHECK(add(-3, -4, half) == -4);
  Parameters offsets;
  offsets.za = -128;
  offsets.zb = 127;
  offsets.zero = 3;
  offsets.lo = 3;
  CHECK(add(-128, 127, offsets) == 3);
  CHECK(add(-120, 127, offsets) == 11);
  CHECK(add(-128, 100, offsets) == 3);
  Parameters wide;  // the largest products: 510 * (2^22 - 1) / 2^24
  wide.za = wide.zb = -128;
  wide.ma = wide.mb = (1U << 22) - 1;
  wide.shift = 24;
  CHECK(add(127, 127, wide) == 127);
  wide.shift = 25;
  CHECK(add(127, 127, wide) == 64);  // 63.75 less a little
  wide.shift = 31;
  CHECK(add(127, 127, wide) == 1);
  Parameters pass;
  pass.add = false;
  pass.zero = 55;
  pass.hi = 0;
  CHECK(add(-128, 99, pass) == -128);
  CHECK(add(127, 99, pass) == 127);
}

TEST_CASE("addop: every shift meets the extremes of operands and multipliers") {
  Adder add;
  const std::uint32_t top = (1U << 22) - 1;
  Adder::Vector vector;
  for (int shift = 13; shift <= 31; ++shift) {
    for (const std::uint32_t ma : {0U, 1U, 1U << 12, 1U << 21, top - 1, top}) {
      for (const std::uint32_t mb : {0U, 1U, 1U << 12, 1U << 21, top - 1, top}) {
        for (const int za : {-128, 0, 127}) {
          for (const int a : {-128, -1, 0, 1, 127}) {
            vector.p.shift = shift;
            vector.p.ma = ma;
            vector.p.mb = mb;
            vector.p.za = za;
            vector.p.zb = -1 - za;
            vector.p.zero = za / 2;
            vector.a.fill(a);
            vector.b = {-128, -1, 0, 127};
            add.push(vector);
          }
        }
      }
    }
  }
  add.drain();
  CHECK(add.wrong() == 0);
}

TEST_CASE("addop: agrees with exact integers on random vectors that differ in every field") {
  const std::uint64_t seed = espalier::tests::seed(7);
  INFO("seed " << seed);
  Draw draw(seed);
  Adder add;
  Adder::Vector vector;
  for (int n = 0; n < 1'000'000; ++n) {
    Parameters& p = vector.p;
    p.add = draw.bits() % 8 != 0;
    p.za = draw.byte();
    p.zb = draw.byte();
    p.shift = draw.range(13, 31);
    // Multipliers about the shift's size, and now and then few bits, so that ties come about.
    p.ma = draw.word() >> (10 + draw.bits() % 22);
    p.mb = draw.word() >> (10 + draw.bits() % 22);
    if (n % 4 == 0) {
      p.ma &= ~((1U << std::min(p.shift - 2, 21)) - 1);
      p.mb &= ~((1U << std::min(p.shift - 2, 21)) - 1);
    }
    p.zero = draw.byte();
    p.lo = n % 2 == 0 ? -128 : draw.range(-128, 0);
    p.hi = n % 2 == 0 ? 127 : draw.range(1, 127);
    for (std::size_t i = 0; i < kLanes; ++i) {
      vector.a[i] = draw.byte();
      vector.b[i] = draw.byte();
    }
    add.push(vector);
    if (n % 16 == 0) add.step(true, false);  // not enabled: counts for nothing
    if (n % 32 == 0) add.step(false, true);
  }
  add.drain();
  CHECK(add.wrong() == 0);
}

}  // namespace
