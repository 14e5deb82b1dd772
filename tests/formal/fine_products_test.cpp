// Every product of a fine pair: each two pixels with each weight, against integers.

#include <cstdint>

#include "Vrtl_fine.h"
#include "catch.hpp"

namespace {

class Pair {
 public:
  Pair() : model_(&context_) { model_.en_i = 1; }

  /// A weight of column 0, with this index.
  void weight(int w, int index) {
    index_ = index;
    model_.cap0_i = 1, model_.w_i = static_cast<std::uint8_t>(w);
    model_.index_i = static_cast<std::uint8_t>(index);
    tick();
    model_.cap0_i = 0;
    model_.active_i = !model_.active_i;  // the array's: that buffer is at work
  }
  /// Two pixels: the others of their channels hold their complements.
  void enter(int a, int b) {
    model_.a_i = four(a);
    model_.b_i = four(b);
    tick();
  }
  /// The sum and the low part of the pixels that entered two before the last.
  [[nodiscard]] std::int64_t sum() const {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(model_.sum_o) << 28U) >> 28;
  }
  [[nodiscard]] int low() const { return model_.low_o; }

 private:
  [[nodiscard]] std::uint64_t four(int x) const {
    const auto value = static_cast<std::uint64_t>(x) & 0x1FFU, other = ~value & 0x1FFU;
    std::uint64_t word = other | other << 9U | other << 18U | other << 27U;
    return word ^ (value ^ other) << (9U * static_cast<unsigned>(index_));
  }
  void tick() {
    model_.clk_i = 0;
    model_.eval();
    model_.clk_i = 1;
    model_.eval();
  }

  VerilatedContext context_;
  Vrtl_fine model_;
  int index_ = 0;
};

/// Results that are wrong for a weight, `expect` being the one that counts.
int wrong_products(Pair& pair, int w, int expect) {
  int wrong = 0;
  pair.weight(w, w & 3);
  for (int b = -255; b <= 255; ++b) {
    for (int a = -255; a <= 255 + 2; ++a) {
      pair.enter(a <= 255 ? a : 0, b);
      if (const int then = a - 2; then >= -255) {
        const std::int64_t want = std::int64_t{b} * expect * 65536 + std::int64_t{then} * expect;
        wrong += pair.sum() != want || pair.low() != (b * expect & 15);
      }
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("fine: every product of every two pixels") {
  Pair pair;
  int wrong = 0;
  for (int w = -128; w <= 127; ++w) wrong += wrong_products(pair, w, w);
  CHECK(wrong == 0);
}

TEST_CASE("fine: a wrong product is noticed") {
  Pair pair;
  CHECK(wrong_products(pair, 3, 4) == 511 * 511 - 1);  // all but those of nought
}
