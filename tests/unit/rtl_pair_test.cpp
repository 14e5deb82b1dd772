// The pair of processing elements, and that of ECP5, whose multipliers have a register of their
// own.

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "Vrtl_pair_ecp5.h"
#include "Vrtl_pair_plain.h"
#include "catch.hpp"
#include "seed.hpp"

namespace {

constexpr std::uint32_t kSumMask = 0xFFFFF;  // 20 bits

std::int32_t signed20(std::uint32_t value) { return static_cast<std::int32_t>(value << 12U) >> 12; }

template <typename Model>
class Pair {
 public:
  Pair() : model_(&context_) {
    model_.en_i = 1;
    model_.clk_i = 0;
    model_.eval();
  }
  Model& ports() { return model_; }
  void tick() {
    model_.clk_i = 0;
    model_.eval();
    model_.clk_i = 1;
    model_.eval();
  }
  /// Makes two weights active: capture, capture, swap.
  void weights(int w0, int w1) {
    model_.cap_any_i = 1;
    model_.cap0_i = 1, model_.cap1_i = 0, model_.w_i = static_cast<std::uint8_t>(w0);
    tick();
    model_.cap0_i = 0, model_.cap1_i = 1, model_.w_i = static_cast<std::uint8_t>(w1);
    tick();
    model_.cap_any_i = model_.cap1_i = 0;
    model_.swap_any_i = model_.swap_i = 1;
    tick();
    model_.swap_any_i = model_.swap_i = 0;
  }
  void activation(int x) { model_.x_i = static_cast<std::uint16_t>(x & 0x1FF); }
  std::array<std::int32_t, 2> sums() const {
    return {signed20(model_.sum0_o), signed20(model_.sum1_o)};
  }

 private:
  VerilatedContext context_;
  Model model_;
};

// Every x with one pair of weights; returns the number of wrong sums.
template <typename Model>
int wrong_products(Pair<Model>& pair, int w0, int w1, int expect_w0) {
  int wrong = 0;
  pair.weights(w0, w1);
  for (int x = -255; x <= 255 + 2; ++x) {
    pair.activation(x <= 255 ? x : 0);
    pair.tick();
    if (const int then = x - 2; then >= -255) {
      const auto sums = pair.sums();
      wrong += sums[0] != then * expect_w0 || sums[1] != then * w1;
    }
  }
  return wrong;
}

// Every x with every pair of weights.
template <typename Model>
int wrong_products() {
  Pair<Model> pair;
  int wrong = 0;
  for (int w0 = -128; w0 <= 127; ++w0) {
    for (int w1 = -128; w1 <= 127; ++w1) wrong += wrong_products(pair, w0, w1, w0);
  }
  return wrong;
}

/// Cycles in which a form shows something else than the plain one.
template <typename Other>
int differences_to_plain() {
  std::mt19937 random(static_cast<std::uint32_t>(espalier::tests::seed()));
  Pair<Vrtl_pair_plain> plain;
  Pair<Other> other;
  plain.weights(1, 2);
  other.weights(1, 2);
  int differences = 0;
  for (int cycle = 0; cycle < 200000; ++cycle) {
    const std::uint32_t bits = static_cast<std::uint32_t>(random());
    const auto drive = [&](auto& m, int x, std::uint32_t sum0, std::uint32_t sum1) {
      m.en_i = (bits & 3U) != 0;
      m.cap_any_i = bits >> 2U & 1U, m.cap0_i = bits >> 3U & 1U, m.cap1_i = bits >> 4U & 1U;
      m.swap_any_i = bits >> 5U & 1U, m.swap_i = bits >> 6U & 1U;
      m.w_i = static_cast<std::uint8_t>(bits >> 8U);
      m.x_i = static_cast<std::uint16_t>(x & 0x1FF);
      m.sum0_i = sum0, m.sum1_i = sum1;
    };
    const int x = static_cast<int>(random() % 511) - 255;
    const std::uint32_t sum0 = random() & kSumMask, sum1 = random() & kSumMask;
    drive(plain.ports(), x, sum0, sum1);
    drive(other.ports(), x, sum0, sum1);
    plain.tick();
    other.tick();
    differences +=
        cycle > 8 && (plain.sums() != other.sums() || plain.ports().x_o != other.ports().x_o);
  }
  return differences;
}

}  // namespace

TEST_CASE("pair: every product") { CHECK(wrong_products<Vrtl_pair_plain>() == 0); }

TEST_CASE("pair: every product with the multipliers of ECP5") {
  CHECK(wrong_products<Vrtl_pair_ecp5>() == 0);
}

TEST_CASE("pair: a wrong product is noticed") {
  Pair<Vrtl_pair_plain> pair;
  CHECK(wrong_products(pair, 3, 5, 4) == 510);
}

TEST_CASE("pair: both forms agree cycle by cycle under any enables, swaps and captures") {
  CHECK(differences_to_plain<Vrtl_pair_ecp5>() == 0);
}
