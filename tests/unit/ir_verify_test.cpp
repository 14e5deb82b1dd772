#include <cmath>
#include <functional>
#include <limits>

#include "catch.hpp"
#include "ir/graph.hpp"
#include "quant_builder.hpp"
#include "ir/numerics.hpp"

namespace {

using namespace espalier;
using Catch::Matchers::Contains;
using tests::plain_conv;
using tests::QuantBuilder;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// conv (2 to 4 channels, 3x3, stride 2) and a copy of it, added, max and average pool, concat.
ir::QuantGraph sample() {
  QuantBuilder b({2, 6, 6}, {0.1F, 1});
  const ir::QuantConv op = plain_conv({3, 3, 2, 2, 1, 1, 1, 1}, 4, std::vector<std::int8_t>(72, 3));
  const int x = b.conv(0, op, {0.2F, 2});
  const int y = b.conv(0, op, {0.2F, 2});
  const int z = b.add(x, y, {5000, 6000, 14, -128, 127}, {0.2F, 2});
  const int m = b.pool(z, {ir::PoolKind::kMax, {2, 2}}, 2, 2, {0.2F, 2});
  const int a = b.pool(z, {ir::PoolKind::kAverage, {2, 2}}, 2, 2, {0.2F, 2});
  b.concat({m, a});
  b.graph().preprocess = {{0.4F, 0.5F}, {0.2F, 0.3F}};
  return b.graph();
}

/// Applies the change to the sample; the graph must then be refused with this text.
void refused(const std::function<void(ir::QuantGraph&)>& change, const std::string& text) {
  ir::QuantGraph graph = sample();
  change(graph);
  const Status status = ir::verify(graph);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().text(), Contains(text));
}

template <typename Op>
Op& op(ir::QuantGraph& graph, std::size_t node) {
  return std::get<Op>(graph.nodes[node].op);
}

ir::FloatGraph float_sample() {
  ir::FloatGraph g;
  g.tensors = {
      {"x", {1, 4, 4}}, {"c", {2, 3, 3}}, {"r", {2, 3, 3}}, {"p", {2, 1, 1}}, {"s", {2, 1, 1}}};
  g.nodes.push_back({"c", {0}, 1, ir::FloatConv{{2, 2}, 2, std::vector<float>(8, 1), {0, 1}}});
  g.nodes.push_back({"r", {1}, 2, ir::FloatClamp{0, kInfinity}});
  g.nodes.push_back({"p", {2}, 3, ir::FloatPool{ir::PoolKind::kAverage, {3, 3}, false}});
  g.nodes.push_back({"s", {3}, 4, ir::FloatSoftmax{}});
  g.input = 0;
  g.output = 4;
  return g;
}

void refused_float(const std::function<void(ir::FloatGraph&)>& change, const std::string& text) {
  ir::FloatGraph graph = float_sample();
  change(graph);
  const Status status = ir::verify(graph);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().text(), Contains(text));
}

}  // namespace

TEST_CASE("ir: a sound graph is accepted") {
  CHECK(ir::verify(sample()).ok());
  CHECK(ir::verify(float_sample()).ok());
}

TEST_CASE("ir: a frame that is broken is refused") {
  refused([](auto& g) { g.input = -1; }, "graph input -1 of 7 tensors");
  refused([](auto& g) { g.output = 7; }, "graph output 7 of 7 tensors");
  refused([](auto& g) { g.output = g.input; }, "output is its input");
  refused([](auto& g) { g.nodes.clear(); }, "no nodes");
  refused([](auto& g) { g.nodes[1].inputs = {9}; }, "node 'n1': input 9 of 7 tensors");
  refused([](auto& g) { g.nodes[1].output = -3; }, "output -3 of 7 tensors");
  refused([](auto& g) { g.nodes[1].output = 1; }, "makes tensor 1 again");
  refused([](auto& g) { g.nodes[0].inputs = {2}; }, "reads tensor 2 before it is made");
  refused([](auto& g) { g.tensors.push_back(g.tensors[0]); }, "tensor 7 is never made");
}

TEST_CASE("ir: tensors outside their limits are refused") {
  refused([](auto& g) { g.tensors[0].shape.h = 0; }, "tensor 't0': shape 2x0x6");
  refused([](auto& g) { g.tensors[0].shape.w = 70000; }, "1..65536");
  refused([](auto& g) { g.tensors[0].shape = {65536, 65536, 1}; }, "the limit is 268435456");
  refused([](auto& g) { g.tensors[0].quant.zero = 128; }, "zero point 128");
  for (const float scale : {0.0F, -1.0F, kInfinity, std::nanf(""), 1e-40F}) {
    refused([scale](auto& g) { g.tensors[0].quant.scale = scale; }, "positive and normal");
  }
}

TEST_CASE("ir: convolutions that are unsound are refused") {
  using Conv = ir::QuantConv;
  refused([](auto& g) { op<Conv>(g, 0).window.stride_h = 0; }, "conv 'n0': stride height is 0");
  refused([](auto& g) { op<Conv>(g, 0).window.kh = 0; }, "kernel height is 0");
  refused([](auto& g) { op<Conv>(g, 0).window.dilation_w = 0; }, "dilation width is 0");
  refused([](auto& g) { op<Conv>(g, 0).window.pad_left = -1; }, "left pad is -1");
  refused([](auto& g) { op<Conv>(g, 0).window.kw = 7; }, "output is 4x3x3; the window gives 4x3x1");
  refused([](auto& g) { op<Conv>(g, 0).weights.pop_back(); }, "71 weights; the shapes need 72");
  refused([](auto& g) { op<Conv>(g, 0).bias.pop_back(); }, "3 biases for 4");
  refused([](auto& g) { op<Conv>(g, 0).scale.pop_back(); }, "3 scales for 4");
  refused([](auto& g) { op<Conv>(g, 0).scale[2] = 0; }, "scale 2 is 0");
  refused([](auto& g) { op<Conv>(g, 0).lo = 5, op<Conv>(g, 0).hi = 4; }, "clamp from 5 to 4");
  refused([](auto& g) { op<Conv>(g, 0).hi = 128; }, "clamp from -128 to 128");
  refused([](auto& g) { g.nodes[0].inputs = {0, 0}; }, "2 inputs; the operator takes 1");
}

TEST_CASE("ir: the accumulator's bound is exact") {
  // 18 products: 587,520 and a bias of 2^31 - 1 - 587,520 is the last that fits.
  const std::int32_t last = 2147483647 - 18 * 32640;
  ir::QuantGraph graph = sample();
  op<ir::QuantConv>(graph, 0).bias[1] = last;
  CHECK(ir::verify(graph).ok());
  op<ir::QuantConv>(graph, 0).bias[1] = -last;
  CHECK(ir::verify(graph).ok());
  refused([last](auto& g) { op<ir::QuantConv>(g, 0).bias[1] = last + 1; },
          "could reach 2147483648");
  refused([last](auto& g) { op<ir::QuantConv>(g, 0).bias[1] = -last - 1; }, "could reach");
  refused([](auto& g) { op<ir::QuantConv>(g, 0).bias[1] = INT32_MIN; }, "output channel 1");
}

TEST_CASE("ir: a huge padding is refused before anyone pads") {
  refused(
      [](auto& g) {
        auto& w = op<ir::QuantConv>(g, 0).window;
        w.stride_h = w.stride_w = 65535;
        w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 65535;
        g.tensors[1].shape = {4, 3, 3};
      },
      "padded input is 2x131076x131076");
}

TEST_CASE("ir: adds, pools and concatenations that are unsound are refused") {
  refused([](auto& g) { op<ir::QuantAdd>(g, 2).ma = 1U << 22; }, "must be below 4194304");
  refused([](auto& g) { op<ir::QuantAdd>(g, 2).shift = 12; }, "shift 12; the range is 13..31");
  refused([](auto& g) { op<ir::QuantAdd>(g, 2).shift = 32; }, "shift 32");
  refused([](auto& g) { g.nodes[2].inputs = {1, 0}; }, "input is 2x6x6; output is 4x3x3");
  refused([](auto& g) { g.nodes[2].inputs = {1}; }, "of an absent input; it must be 0");
  refused([](auto& g) { g.nodes[2].inputs = {}; }, "0 inputs; the operator takes 2");
  refused([](auto& g) { g.tensors[4].quant.zero = 3; }, "max_pool 'n3': input has scale");
  refused([](auto& g) { g.tensors[4].shape.h = 3; }, "output height is 3; the window gives 2");
  refused([](auto& g) { op<ir::QuantPool>(g, 3).window.pad_top = 3; }, "output height");
  refused([](auto& g) { g.tensors[5].quant.zero = 3; }, "concat 'n5': input has scale");
  refused([](auto& g) { g.tensors[6].shape.c = 9; }, "inputs have 8 channels; output has 9");
  refused([](auto& g) { g.nodes[5].inputs = {4}; }, "1 inputs; the least is 2");
  refused([](auto& g) { g.tensors[5].quant.scale = 3e38F; },
          "average_pool 'n4': multiplier for 1 pixels");
}

TEST_CASE("ir: preprocessing must fit the input") {
  refused([](auto& g) { g.preprocess.mean.pop_back(); }, "1 means and 2 deviations for 2 channels");
  refused([](auto& g) { g.preprocess.std[0] = 0; }, "deviation 0 is 0");
  refused([](auto& g) { g.preprocess.mean[1] = kInfinity; }, "mean 1 is inf");
}

TEST_CASE("ir: float graphs that are unsound are refused") {
  using Conv = ir::FloatConv;
  refused_float([](auto& g) { std::get<Conv>(g.nodes[0].op).weights[3] = std::nanf(""); },
                "conv 'c': weight 3 is nan");
  refused_float([](auto& g) { std::get<Conv>(g.nodes[0].op).bias[1] = kInfinity; },
                "bias 1 is inf");
  refused_float([](auto& g) { std::get<Conv>(g.nodes[0].op).weights.pop_back(); }, "7 weights");
  refused_float([](auto& g) { g.nodes[1].op = ir::FloatClamp{1, 0}; }, "clamp from 1 to 0");
  refused_float(
      [](auto& g) {
        g.nodes[1].op = ir::FloatClamp{std::nanf(""), 0};
      },
      "clamp from nan");
  refused_float([](auto& g) { g.nodes[1].op = ir::FloatSoftmax{}; }, "not the graph's last");
  refused_float([](auto& g) { g.nodes[1].op = ir::FloatAdd{}; }, "1 inputs");
  refused_float([](auto& g) { g.tensors[3].shape.c = 3; }, "2 channels in, 3 out");
}

TEST_CASE("ir: extents, taps and divisors of windows") {
  CHECK(ir::window_extent(5, 3, 2, 1, 0, 0) == 2);
  CHECK(ir::window_extent(5, 3, 2, 1, 1, 1) == 3);
  CHECK(ir::window_extent(5, 3, 1, 2, 0, 0) == 1);
  CHECK(ir::window_extent(4, 3, 1, 2, 0, 0) == 0);
  CHECK(ir::window_extent(2, 3, 5, 1, 0, 0) == 0);
  CHECK(ir::taps_inside(-1, 3, 1, 0, 5) == 2);
  CHECK(ir::taps_inside(3, 3, 1, 0, 5) == 2);
  CHECK(ir::taps_inside(-3, 3, 2, 0, 5) == 1);
  CHECK(ir::taps_inside(-9, 3, 2, 0, 5) == 0);
  CHECK(ir::taps_inside(5, 3, 2, 0, 5) == 0);
  for (int start = -8; start < 10; ++start) {
    for (int dilation = 1; dilation < 4; ++dilation) {
      int taps = 0;
      for (int k = 0; k < 4; ++k) {
        const int at = start + k * dilation;
        taps += at >= -2 && at < 6 ? 1 : 0;
      }
      CHECK(ir::taps_inside(start, 4, dilation, -2, 6) == taps);
    }
  }
  const ir::Window w{3, 3, 2, 2, 1, 1, 1, 1};
  CHECK(ir::pool_count(w, false, {1, 4, 4}, 0, 0) == 4);
  CHECK(ir::pool_count(w, true, {1, 4, 4}, 0, 0) == 9);
  CHECK(ir::pool_count(w, false, {1, 4, 4}, 2, 1) == 3);  // rows 3..5, columns 1..3
  CHECK(ir::pool_count(w, true, {1, 4, 4}, 2, 1) == 6);
}

TEST_CASE("ir: names, multipliers and work") {
  const ir::QuantGraph g = sample();
  CHECK(ir::op_name(g.nodes[0].op) == "conv");
  CHECK(ir::op_name(g.nodes[2].op) == "add");
  CHECK(ir::op_name(g.nodes[3].op) == "max_pool");
  CHECK(ir::op_name(g.nodes[4].op) == "average_pool");
  CHECK(ir::op_name(g.nodes[5].op) == "concat");
  CHECK(ir::op_name(ir::FloatOp(ir::FloatSoftmax{})) == "softmax");
  CHECK(ir::op_name(ir::FloatOp(ir::FloatClamp{})) == "clamp");
  CHECK(ir::pool_multiplier(0.5F, 0.25F, 4) == 0.5F);
  CHECK(ir::macs(g, g.nodes[0]) == 4 * 3 * 3 * 3 * 3 * 2);
  CHECK(ir::macs(g, g.nodes[3]) == 0);
}

TEST_CASE("ir: work is what the network multiplies: groups, scales a channel, copies") {
  // Two groups of 2 x 2 x 2 taps at 4 x 4 pixels.
  tests::QuantBuilder b({4, 5, 5}, {0.1F, 1});
  std::vector<std::int8_t> weights;
  for (int n = 0; n < 6; ++n) {
    for (int tap = 0; tap < 4; ++tap) {
      for (int c = 0; c < 4; ++c)
        weights.push_back(c / 2 == n / 3 ? std::int8_t{3} : std::int8_t{0});
    }
  }
  ir::QuantConv conv = tests::plain_conv({2, 2}, 6, weights);
  b.conv(0, conv, {0.2F, 0});
  ir::QuantGraph& g = b.graph();
  auto& op = std::get<ir::QuantConv>(g.nodes[0].op);
  CHECK(ir::macs(g, g.nodes[0]) == 6 * 4 * 4 * 16);  // nothing is known of groups
  for (int n = 0; n < 6; ++n) op.reads.push_back({n / 3 * 2, n / 3 * 2 + 2});
  CHECK(ir::verify(g).ok());
  CHECK(ir::products(g, g.nodes[0]) == 6 * 4 * 2);
  CHECK(ir::macs(g, g.nodes[0]) == 6 * 4 * 2 * 16);
  // Of live channels: inputs 0, 1, 3 and outputs 1, 2, 5.
  const ir::ChannelMask live{{true, true, false, true}, {false, true, true, false, false, true}};
  CHECK(ir::products(g, g.nodes[0], live) == 4 * (2 + 2 + 1));
  CHECK(ir::macs(g, g.nodes[0], {{}, live[1]}) == 16 * 4 * (2 + 2 + 2));

  op.weights[3] = 1;  // of group 1, read by channel 0
  CHECK_THAT(ir::verify(g).error().text(), Contains("not zero where it reads no channel"));
  ir::settle_reads(op);
  CHECK(op.reads.empty());
  CHECK(ir::verify(g).ok());
  op.reads.assign(6, {});  // as if it moved channels
  CHECK_THAT(ir::verify(g).error().text(), Contains("not zero where it reads no channel"));
  op.weights.assign(op.weights.size(), 0);
  for (std::size_t n = 0; n < 6; ++n) op.weights[n * 16 + 2] = 1;
  CHECK(ir::verify(g).ok());
  CHECK(ir::macs(g, g.nodes[0]) == 0);
  op.reads.pop_back();
  CHECK_THAT(ir::verify(g).error().text(), Contains("5 ranges of input channels for 6"));
  op.reads.push_back({2, 5});
  CHECK_THAT(ir::verify(g).error().text(),
             Contains("reads channels 2 to before 5; the input has 4"));
}
