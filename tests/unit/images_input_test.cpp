#include <limits>

#include "catch.hpp"
#include "images/input.hpp"
#include "quant_builder.hpp"

namespace {

using namespace espalier;
using Values = std::vector<float>;
using Bytes = std::vector<std::int8_t>;

}  // namespace

TEST_CASE("input: a mean and a deviation for each channel") {
  const ir::Preprocess p{{0.5F, 0.25F}, {0.5F, 0.25F}};
  const Values pixels{0, 255, 127.5F, 255};
  CHECK(images::preprocess_input(p, {2, 1, 2}, pixels, false) == Values{-1, 1, 1, 3});
  CHECK(images::preprocess_input(p, {2, 1, 2}, pixels, true) == pixels);
  CHECK(images::preprocess_input({}, {2, 1, 2}, pixels, false) == pixels);
}

TEST_CASE("input: quantising rounds to even, saturates and has an answer for every float") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(images::quantise_values(Values{0.25F, 0.75F, -0.25F, 1000, -1000}, {0.5F, 3}) ==
        Bytes{3, 5, 3, 127, -128});
  CHECK(images::quantise_values(Values{inf, -inf, std::numeric_limits<float>::quiet_NaN()},
                                {0.5F, 3}) == Bytes{127, -128, 3});
  CHECK(images::quantise_values(Values{-1e30F, 200, -200}, {1.0F, 127}) == Bytes{-128, 127, -73});
  CHECK(images::quantise_values(Values{1e30F, 200, -200}, {1.0F, -128}) == Bytes{127, 72, -128});
}

TEST_CASE("input: a graph's input from pixels and from values") {
  tests::QuantBuilder b({1, 1, 2}, {0.5F, -10});
  b.graph().preprocess = {{0.5F}, {0.25F}};
  CHECK(images::quantise_input(b.graph(), Values{0, 255}, false) == Bytes{-14, -6});
  CHECK(images::quantise_input(b.graph(), Values{0, 5}, true) == Bytes{-10, 0});
}
