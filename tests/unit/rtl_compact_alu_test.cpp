// The compact core's bit-serial arithmetic against the simulator's: requantisation and residual
// addition, on random values of every magnitude and on the edges.

#include <verilated.h>

#include <bit>
#include <random>

#include "Vrtl_compact_alu.h"
#include "catch.hpp"
#include "iss/numerics.hpp"
#include "seed.hpp"

using namespace espalier;

namespace {

class Alu {
 public:
  Alu() {
    top_.rst_ni = 0;
    clock();
    top_.rst_ni = 1;
    clock();
  }
  ~Alu() { top_.final(); }

  /// Requantises acc + bias; `plain`: acc alone, by the multiplier of the whole tensor.
  int requantise(std::int32_t acc, std::int32_t bias, std::uint32_t scale, bool plain) {
    const auto half = [this](unsigned char& strobe, std::uint32_t value) {
      strobe = 1;
      top_.half_i = static_cast<std::uint16_t>(value);
      clock();
      strobe = 0;
    };
    top_.plain_i = plain ? 1 : 0;
    top_.scale_i = scale & 0x7FFFFFFFU;
    top_.x_i = static_cast<std::uint16_t>(acc);
    half(top_.x_low_i, static_cast<std::uint32_t>(bias));
    top_.x_i = static_cast<std::uint16_t>(static_cast<std::uint32_t>(acc) >> 16);
    half(top_.x_high_i, static_cast<std::uint32_t>(bias) >> 16);
    if (!plain) {
      half(top_.scale_low_i, scale);
      half(top_.scale_high_i, scale >> 16);
    }
    top_.requant_i = 1;
    return finish(top_.requant_i);
  }
  /// Adds to the last result.
  int add(int za, std::uint32_t ma, int b, int zb, std::uint32_t mb, int shift) {
    top_.b_i = static_cast<std::uint8_t>(b);
    top_.za_i = static_cast<std::uint8_t>(za);
    top_.zb_i = static_cast<std::uint8_t>(zb);
    top_.ma_i = ma;
    top_.mb_i = mb;
    top_.shift_i = static_cast<std::uint8_t>(shift);
    top_.add_i = 1;
    return finish(top_.add_i);
  }
  void bounds(int zero, int lo, int hi) {
    top_.zero_i = static_cast<std::uint8_t>(zero);
    top_.lo_i = static_cast<std::uint8_t>(lo);
    top_.hi_i = static_cast<std::uint8_t>(hi);
  }

 private:
  void clock() {
    top_.clk_i = 0;
    top_.eval();
    top_.clk_i = 1;
    top_.eval();
  }
  int finish(unsigned char& start) {
    clock();
    start = 0;
    for (int waited = 0; top_.done_o == 0; ++waited) {
      REQUIRE(waited < 200);
      clock();
    }
    return static_cast<std::int8_t>(top_.y_o);
  }

  Vrtl_compact_alu top_;
};

struct Source {
  std::mt19937_64 random{tests::seed()};
  int signed8() { return static_cast<int>(random() % 256) - 128; }
  /// Of every magnitude.
  std::int32_t signed32() {
    const auto value = static_cast<std::int32_t>(static_cast<std::uint32_t>(random()));
    return value >> (random() % 32);
  }
  std::uint32_t scale() {
    if (random() % 8 == 0) return static_cast<std::uint32_t>(random());
    return std::bit_cast<std::uint32_t>(static_cast<float>(1 + random() % 100000) * 1e-7F);
  }
};

}  // namespace

TEST_CASE("compact alu: requantises as the simulator does") {
  Alu alu;
  Source s;
  const int rounds = tests::rounds(20000);
  for (int i = 0; i < rounds; ++i) {
    const std::int32_t acc = i == 0 ? INT32_MIN : s.signed32(), bias = i < 2 ? 0 : s.signed32();
    const std::uint32_t scale = s.scale();
    int zero = s.signed8(), lo = s.signed8(), hi = s.signed8();
    if (lo > hi) std::swap(lo, hi);
    if (i % 2 == 0) lo = -128, hi = 127;
    const bool plain = i % 5 == 0;
    const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) +
                                               (plain ? 0U : static_cast<std::uint32_t>(bias)));
    INFO("ESPALIER_SEED=" << tests::seed() << " " << i << ": " << sum << " by " << scale << ", "
                          << zero << " in " << lo << ".." << hi << (plain ? ", plain" : ""));
    alu.bounds(zero, lo, hi);
    REQUIRE(alu.requantise(acc, bias, scale, plain) ==
            iss::requantise(sum, scale & 0x7FFFFFFFU, zero, lo, hi));
  }
}

TEST_CASE("compact alu: ties go to the even integer") {
  Alu alu;
  alu.bounds(0, -128, 127);
  for (int twice = -201; twice <= 201; twice += 2) {
    INFO(twice << " / 2");
    REQUIRE(alu.requantise(twice, 0, std::bit_cast<std::uint32_t>(0.5F), true) ==
            iss::requantise(twice, std::bit_cast<std::uint32_t>(0.5F), 0, -128, 127));
  }
}

TEST_CASE("compact alu: adds the residual operand as the simulator does") {
  Alu alu;
  Source s;
  const int rounds = tests::rounds(20000);
  for (int i = 0; i < rounds; ++i) {
    // A first value, by the requantiser.
    const int a = s.signed8();
    alu.bounds(0, -128, 127);
    REQUIRE(alu.requantise(a, 0, std::bit_cast<std::uint32_t>(1.0F), true) == a);
    const int za = s.signed8(), b = s.signed8(), zb = s.signed8(), zero = s.signed8();
    int lo = s.signed8(), hi = s.signed8();
    if (lo > hi) std::swap(lo, hi);
    if (i % 2 == 0) lo = -128, hi = 127;
    const int shift = 13 + static_cast<int>(s.random() % 19);
    // Multipliers around 1, and any.
    const std::uint32_t most = i % 3 == 0 ? 22 : static_cast<std::uint32_t>(std::min(shift, 22));
    const auto ma = static_cast<std::uint32_t>(s.random() % (1U << most));
    const auto mb = i % 7 == 0 ? 0U : static_cast<std::uint32_t>(s.random() % (1U << most));
    INFO("ESPALIER_SEED=" << tests::seed() << " " << i << ": (" << a << " - " << za << ") * " << ma
                          << " + (" << b << " - " << zb << ") * " << mb << " >> " << shift << ", "
                          << zero << " in " << lo << ".." << hi);
    alu.bounds(zero, lo, hi);
    REQUIRE(alu.add(za, ma, b, zb, mb, shift) ==
            iss::residual_add(a, za, ma, b, zb, mb, shift, zero, lo, hi));
  }
}
