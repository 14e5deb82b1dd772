// Every product of a packed pair: each x with each two weights, against integers.

#include <cstdint>

#include "Vrtl_packed.h"
#include "catch.hpp"

namespace {

class Pair {
 public:
  Pair() : model_(&context_) { model_.en_i = 1; }

  /// The second weight enters as it does in the array: beside it, less one where the first is
  /// negative.
  void weights(int w0, int w1) {
    model_.cap0_i = 1, model_.w_i = static_cast<std::uint8_t>(w0);
    tick();
    model_.cap0_i = 0, model_.cap1_i = 1, model_.w_i = static_cast<std::uint8_t>(w1);
    model_.w_less_i = static_cast<std::uint16_t>((w1 - (w0 < 0 ? 1 : 0)) & 0x1FF);
    tick();
    model_.cap1_i = 0, model_.swap_i = 1;
    tick();
    model_.swap_i = 0;
  }
  void enter(int x) {
    model_.x_i = static_cast<std::uint16_t>(x & 0x1FF);
    tick();
  }
  /// The sum and the low part of the activation that entered two before the last.
  [[nodiscard]] std::int64_t sum() const {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(model_.sum_o) << 28U) >> 28;
  }
  [[nodiscard]] int low() const { return model_.low_o; }

 private:
  void tick() {
    model_.clk_i = 0;
    model_.eval();
    model_.clk_i = 1;
    model_.eval();
  }

  VerilatedContext context_;
  Vrtl_packed model_;
};

/// Results that are wrong for two weights, `expect_w0` being the first one that counts.
int wrong_products(Pair& pair, int w0, int w1, int expect_w0) {
  int wrong = 0;
  pair.weights(w0, w1);
  for (int x = -255; x <= 255 + 2; ++x) {
    pair.enter(x <= 255 ? x : 0);
    if (const int then = x - 2; then >= -255) {
      const std::int64_t want = std::int64_t{then} * w1 * 65536 + std::int64_t{then} * expect_w0;
      wrong += pair.sum() != want || pair.low() != (then * w1 & 15);
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("packed: every product of every two weights") {
  Pair pair;
  int wrong = 0;
  for (int w0 = -128; w0 <= 127; ++w0) {
    for (int w1 = -128; w1 <= 127; ++w1) wrong += wrong_products(pair, w0, w1, w0);
  }
  CHECK(wrong == 0);
}

TEST_CASE("packed: a wrong product is noticed") {
  Pair pair;
  CHECK(wrong_products(pair, 3, 5, 4) == 510);
}
