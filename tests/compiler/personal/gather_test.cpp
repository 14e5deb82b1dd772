// Sums at some pixels of a convolution against golden's at all.

#include "personal/gather.hpp"

#include <random>

#include "catch.hpp"
#include "golden/layers.hpp"
#include "seed.hpp"

namespace espalier::tests {
namespace {

using Random = std::mt19937_64;

int pick(Random& random, int lo, int hi) {
  return lo + static_cast<int>(random() % std::uint64_t(hi - lo + 1));
}

std::vector<std::int8_t> random_bytes(Random& random, std::size_t count) {
  std::vector<std::int8_t> bytes(count);
  for (std::int8_t& b : bytes) b = static_cast<std::int8_t>(random());
  return bytes;
}

struct Layer {
  ir::QuantTensor x{"x", {}, {}}, y{"y", {}, {}};
  ir::QuantConv conv;
};

/// Of any window that has an output, with padding of the zero point or of its own values.
Layer random_layer(Random& random, bool border) {
  Layer layer;
  layer.x.shape = {pick(random, 1, 80), pick(random, 1, 9), pick(random, 1, 9)};
  layer.x.quant = {0.1F, pick(random, -128, 127)};
  ir::Window& w = layer.conv.window;
  int h = 0, width = 0;
  while (h == 0 || width == 0) {
    w = {pick(random, 1, 4), pick(random, 1, 4), pick(random, 1, 3), pick(random, 1, 3),
         pick(random, 0, 3), pick(random, 0, 3), pick(random, 0, 3), pick(random, 0, 3),
         pick(random, 1, 2), pick(random, 1, 2)};
    h = ir::window_extent(layer.x.shape.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
    width =
        ir::window_extent(layer.x.shape.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
  }
  layer.conv.out_channels = pick(random, 1, 12);
  const auto outputs = static_cast<std::size_t>(layer.conv.out_channels);
  layer.y.shape = {layer.conv.out_channels, h, width};
  layer.conv.weights =
      random_bytes(random, outputs * static_cast<std::size_t>(w.kh * w.kw * layer.x.shape.c));
  for (std::size_t n = 0; n < outputs; ++n)
    layer.conv.bias.push_back(pick(random, -100000, 100000));
  layer.conv.scale.assign(outputs, 0.001F);
  if (border) layer.conv.border = random_bytes(random, static_cast<std::size_t>(layer.x.shape.c));
  return layer;
}

}  // namespace

TEST_CASE("gather: sums of some outputs at some pixels are golden's, with padding of either kind") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  Random random(seed);
  int compared = 0, padded = 0;
  for (int i = 0; i < tests::rounds(200); ++i) {
    INFO("layer " << i);
    const Layer layer = random_layer(random, i % 2 == 0);
    const auto x = random_bytes(random, static_cast<std::size_t>(layer.x.shape.count()));
    std::vector<std::int32_t> all(static_cast<std::size_t>(layer.y.shape.count()));
    golden::PreparedConv(layer.conv, {layer.x.shape, layer.x.quant}, {layer.y.shape, layer.y.quant})
        .accumulate(x.data(), 1, all.data());
    const auto plane = static_cast<std::size_t>(layer.y.shape.h * layer.y.shape.w);
    std::vector<std::size_t> outputs, pixels;
    for (std::size_t n = 0; n < layer.conv.bias.size(); n += 1 + random() % 2) outputs.push_back(n);
    for (std::size_t p = random() % 2; p < plane; p += 1 + random() % 3) pixels.push_back(p);
    const personal::Matrix features =
        personal::gather(layer.x, layer.conv, layer.y.shape.w, x.data(), pixels);
    const Eigen::MatrixXd sums = personal::Sums(layer.conv, outputs).of(features);
    REQUIRE(sums.rows() == static_cast<Eigen::Index>(pixels.size()));
    REQUIRE(sums.cols() == static_cast<Eigen::Index>(outputs.size()));
    int unlike = 0;
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      for (std::size_t n = 0; n < outputs.size(); ++n, ++compared) {
        unlike += sums(static_cast<Eigen::Index>(p), static_cast<Eigen::Index>(n)) !=
                  all[outputs[n] * plane + pixels[p]];
      }
    }
    CHECK(unlike == 0);
    const ir::Window& w = layer.conv.window;
    padded += w.pad_top + w.pad_left + w.pad_bottom + w.pad_right > 0;
  }
  CHECK(compared > 5000);
  CHECK(padded > 100);
}

}  // namespace espalier::tests
