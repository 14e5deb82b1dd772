// The fast layers against plain loops over integers.

#include <random>

#include "catch.hpp"
#include "golden/golden.hpp"
#include "golden/numerics.hpp"
#include "quant_builder.hpp"
#include "seed.hpp"
#include "ir/numerics.hpp"

namespace {

using namespace espalier;
using golden::Tensor;
using tests::QuantBuilder;

using Random = std::mt19937_64;

int pick(Random& random, int lo, int hi) {
  return lo + static_cast<int>(random() % std::uint64_t(hi - lo + 1));
}

Tensor random_tensor(Random& random, std::int64_t count) {
  Tensor t(static_cast<std::size_t>(count));
  for (std::int8_t& v : t) v = static_cast<std::int8_t>(random());
  return t;
}

/// The definition, in its plainest form.
Tensor naive_conv(const ir::QuantConv& op, const ir::QuantTensor& xt, const ir::QuantTensor& yt,
                  const Tensor& x) {
  const ir::Window& w = op.window;
  Tensor y;
  for (int n = 0; n < yt.shape.c; ++n) {
    for (int oy = 0; oy < yt.shape.h; ++oy) {
      for (int ox = 0; ox < yt.shape.w; ++ox) {
        std::int64_t acc = op.bias[std::size_t(n)];
        for (int ky = 0; ky < w.kh; ++ky) {
          for (int kx = 0; kx < w.kw; ++kx) {
            const int iy = oy * w.stride_h + ky * w.dilation_h - w.pad_top;
            const int ix = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
            const bool inside = iy >= 0 && iy < xt.shape.h && ix >= 0 && ix < xt.shape.w;
            if (!inside && op.border.empty()) continue;
            for (int c = 0; c < xt.shape.c; ++c) {
              const std::size_t at = (std::size_t(c) * xt.shape.h + iy) * xt.shape.w + ix;
              const std::size_t wt = ((std::size_t(n) * w.kh + ky) * w.kw + kx) * xt.shape.c + c;
              const int value = inside ? x[at] : op.border[std::size_t(c)];
              acc += (value - xt.quant.zero) * op.weights[wt];
            }
          }
        }
        y.push_back(golden::requantise_clamp(
            static_cast<std::int32_t>(acc), op.scale[std::size_t(n)], yt.quant.zero, op.lo, op.hi));
      }
    }
  }
  return y;
}

class ConvTester {
 public:
  ConvTester& input(int c, int h, int w) { return shape_ = {c, h, w}, *this; }
  ConvTester& channels(int n) { return out_ = n, *this; }
  ConvTester& window(ir::Window w) { return window_ = w, *this; }
  ConvTester& zero(int z) { return zero_ = z, *this; }
  /// Padding of random values, a channel each.
  ConvTester& border(bool yes) { return border_ = yes, *this; }
  /// Each output reads one of so many runs of input channels; other weights are 0.
  ConvTester& groups(int g) { return groups_ = g, *this; }
  /// All activations and weights at these values, for the largest sums.
  ConvTester& constant(int x, int w) { return constant_ = true, x_ = x, w_ = w, *this; }

  /// Runs both; true where they agree. `flaw` changes one weight behind the loops' back.
  bool agrees(Random& random, bool flaw = false) const {
    ir::QuantConv op;
    op.window = window_;
    op.out_channels = out_;
    const int depth = shape_.c * window_.kh * window_.kw;
    op.weights = random_tensor(random, std::int64_t{out_} * depth);
    if (border_) op.border = random_tensor(random, shape_.c);
    for (std::size_t k = 0; k < op.weights.size(); ++k) {
      const int n = static_cast<int>(k) / depth, c = static_cast<int>(k) % shape_.c;
      if (n * groups_ / out_ != c * groups_ / shape_.c) op.weights[k] = 0;
    }
    Tensor x = random_tensor(random, shape_.count());
    if (constant_) {
      op.weights.assign(op.weights.size(), static_cast<std::int8_t>(w_));
      x.assign(x.size(), static_cast<std::int8_t>(x_));
    }
    for (int n = 0; n < out_; ++n) {
      op.bias.push_back(pick(random, -100000, 100000));
      op.scale.push_back(static_cast<float>(pick(random, 1, 1000)) /
                         (400.0F * std::sqrt(float(depth)) * 100.0F));
    }
    op.lo = pick(random, -128, -60);
    op.hi = pick(random, 60, 127);
    QuantBuilder b(shape_, {0.1F, zero_});
    b.conv(0, op, {0.2F, pick(random, -128, 127)});
    const ir::QuantGraph& g = b.graph();
    const Status status = ir::verify(g);
    INFO((status ? "" : status.error().text()));
    REQUIRE(status.ok());
    const Tensor fast = golden::run(g, x)[1];
    if (flaw)
      op.weights[op.weights.size() / 2] =
          static_cast<std::int8_t>(~op.weights[op.weights.size() / 2]);
    return fast == naive_conv(op, g.tensors[0], g.tensors[1], x);
  }

 private:
  ir::Shape shape_{3, 8, 8};
  int out_ = 5, zero_ = 0, x_ = 0, w_ = 0;
  ir::Window window_{3, 3, 1, 1, 1, 1, 1, 1};
  int groups_ = 1;
  bool constant_ = false, border_ = false;
};

ir::Window random_window(Random& random, const ir::Shape& s) {
  ir::Window w;
  do {
    w = {pick(random, 1, 5), pick(random, 1, 5), pick(random, 1, 3), pick(random, 1, 3),
         pick(random, 0, 3), pick(random, 0, 3), pick(random, 0, 3), pick(random, 0, 3),
         pick(random, 1, 3), pick(random, 1, 3)};
  } while (ir::window_extent(s.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom) == 0 ||
           ir::window_extent(s.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right) == 0);
  return w;
}

}  // namespace

TEST_CASE("conv: agrees with plain loops on random layers") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  Random random(seed);
  for (int i = 0; i < tests::rounds(200); ++i) {
    const ir::Shape s{pick(random, 1, 40), pick(random, 1, 14), pick(random, 1, 14)};
    INFO("layer " << i);
    CHECK(ConvTester()
              .input(s.c, s.h, s.w)
              .channels(pick(random, 1, 40))
              .window(random_window(random, s))
              .zero(pick(random, -128, 127))
              .border(pick(random, 0, 1) == 0)
              .agrees(random));
  }
}

TEST_CASE("conv: groups, which leave next to no weights, with padding of either kind") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  Random random(seed);
  for (int i = 0; i < tests::rounds(100); ++i) {
    const int groups = pick(random, 2, 40);
    const ir::Shape s{groups * pick(random, 1, 2), pick(random, 1, 14), pick(random, 1, 14)};
    INFO("layer " << i << ", groups " << groups);
    CHECK(ConvTester()
              .input(s.c, s.h, s.w)
              .channels(groups * pick(random, 1, 2))
              .window(random_window(random, s))
              .zero(pick(random, -128, 127))
              .groups(groups)
              .border(i % 2 == 0)
              .agrees(random));
  }
}

TEST_CASE("conv: sums longer than one exact chunk, random and at the extremes") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  Random random(seed);
  const ir::Window point{};
  for (const int c : {1022, 1023, 1024, 2046, 2047, 5000}) {
    INFO("channels " << c);
    CHECK(ConvTester().input(c, 2, 3).channels(3).window(point).zero(-128).agrees(random));
    for (const int x : {-128, 127}) {
      for (const int w : {-128, 127}) {
        for (const int zero : {-128, 0, 127}) {
          CHECK(ConvTester()
                    .input(c, 1, 2)
                    .channels(2)
                    .window(point)
                    .zero(zero)
                    .constant(x, w)
                    .agrees(random));
        }
      }
    }
  }
  // The deepest layer that the accumulator's bound allows, less the largest bias here.
  CHECK(ConvTester()
            .input(65536, 1, 1)
            .channels(1)
            .window(point)
            .zero(127)
            .constant(-128, -128)
            .agrees(random));
}

TEST_CASE("conv: an image wider than one tile, and a tile of several images") {
  Random random(tests::seed());
  CHECK(ConvTester().input(20, 40, 900).channels(4).agrees(random));
  CHECK(ConvTester().input(600, 7, 7).channels(4).agrees(random));
}

TEST_CASE("conv: the comparison notices one wrong weight") {
  Random random(tests::seed());
  CHECK_FALSE(ConvTester().input(16, 8, 8).channels(16).zero(3).agrees(random, true));
}

TEST_CASE("pool: agrees with plain loops on random layers") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  Random random(seed);
  int ran = 0;
  for (int i = 0; i < tests::rounds(5000); ++i) {
    const ir::Shape s{pick(random, 1, 3), pick(random, 1, 9), pick(random, 1, 9)};
    const ir::Window w = random_window(random, s);
    const bool max = pick(random, 0, 1) == 0, include = pick(random, 0, 1) == 0;
    const ir::Quant qx{0.1F, pick(random, -128, 127)};
    const ir::Quant qy = max ? qx : ir::Quant{0.07F, pick(random, -128, 127)};
    QuantBuilder b(s, qx);
    const int h = ir::window_extent(s.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
    const int width =
        ir::window_extent(s.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
    b.pool(0, {max ? ir::PoolKind::kMax : ir::PoolKind::kAverage, w, include},
           h + pick(random, 0, 1), width + pick(random, 0, 1), qy);
    if (!ir::verify(b.graph()).ok()) continue;  // no ceil mode here, or a window without a pixel
    ++ran;
    const Tensor x = random_tensor(random, s.count());
    const ir::Shape out = b.shape(1);
    Tensor expected;
    for (int c = 0; c < s.c; ++c) {
      for (int oy = 0; oy < out.h; ++oy) {
        for (int ox = 0; ox < out.w; ++ox) {
          int most = -128, sum = 0, count = 0;
          for (int k = 0; k < w.kh * w.kw; ++k) {
            const int iy = oy * w.stride_h + k / w.kw * w.dilation_h - w.pad_top;
            const int ix = ox * w.stride_w + k % w.kw * w.dilation_w - w.pad_left;
            const bool in = iy >= 0 && iy < s.h && ix >= 0 && ix < s.w;
            const bool padded = iy < s.h + w.pad_bottom && ix < s.w + w.pad_right;
            if (in || (include && padded)) ++count;
            if (!in) continue;
            const int v = x[(std::size_t(c) * s.h + iy) * s.w + ix];
            most = std::max(most, v);
            sum += v - qx.zero;
          }
          const float scale = ir::pool_multiplier(qx.scale, qy.scale, count);
          expected.push_back(max ? static_cast<std::int8_t>(most)
                                 : golden::requantise_clamp(sum, scale, qy.zero, -128, 127));
        }
      }
    }
    INFO("layer " << i);
    CHECK(golden::run(b.graph(), x)[1] == expected);
  }
  CHECK(ran > 300);
}

TEST_CASE("run_batch: the same as one image after the other, for any number of threads") {
  Random random(tests::seed());
  const auto conv = [&random](int c, int n, int stride) {
    ir::QuantConv op;
    op.window = {3, 3, stride, stride, 1, 1, 1, 1};
    op.out_channels = n;
    op.weights = random_tensor(random, std::int64_t{n} * c * 9);
    op.bias.assign(std::size_t(n), -77);
    op.scale.assign(std::size_t(n), 0.002F);
    return op;
  };
  QuantBuilder b({3, 12, 10}, {0.1F, 5});
  const int x = b.conv(0, conv(3, 8, 1), {0.1F, -3});
  const int y = b.conv(x, conv(8, 8, 1), {0.1F, -3});
  const int z = b.add(x, y, {70000, 60000, 17, -3, 127}, {0.1F, -3});
  const int both = b.concat({z, x});
  const int small = b.conv(both, conv(16, 12, 2), {0.1F, 9});
  b.pool(small, {ir::PoolKind::kAverage, {6, 5}}, 1, 1, {0.1F, 0});
  const ir::QuantGraph& g = b.graph();
  REQUIRE(ir::verify(g).ok());
  constexpr int kImages = 21;
  const std::int64_t count = g.tensors[0].shape.count();
  const Tensor images = random_tensor(random, kImages * count);
  Tensor expected;
  for (int i = 0; i < kImages; ++i) {
    const Tensor image(images.begin() + i * count, images.begin() + (i + 1) * count);
    const Tensor out = golden::run(g, image)[std::size_t(g.output)];
    expected.insert(expected.end(), out.begin(), out.end());
  }
  for (const int threads : {0, 1, 2, 3, 40})
    CHECK(golden::run_batch(g, images, threads) == expected);
  CHECK(golden::run_batch(g, {}, 2).empty());
}
