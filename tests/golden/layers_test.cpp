// Layers whose results are worked out by hand.

#include <numeric>

#include "catch.hpp"
#include "golden/golden.hpp"
#include "quant_builder.hpp"

namespace {

using namespace espalier;
using golden::Tensor;
using tests::plain_conv;
using tests::QuantBuilder;

/// Verifies the graph, runs it and returns its output.
Tensor output_of(QuantBuilder& builder, const Tensor& input) {
  const ir::QuantGraph& graph = builder.graph();
  const Status status = ir::verify(graph);
  INFO((status ? "" : status.error().text()));
  REQUIRE(status.ok());
  return golden::run(graph, input)[std::size_t(graph.output)];
}

Tensor count_from(int first, int count) {
  Tensor t(static_cast<std::size_t>(count));
  std::iota(t.begin(), t.end(), static_cast<std::int8_t>(first));
  return t;
}

ir::QuantPool average(ir::Window window, bool count_include_pad = false) {
  return {ir::PoolKind::kAverage, window, count_include_pad};
}

}  // namespace

TEST_CASE("conv: a 2x2 kernel on a 3x3 image") {
  QuantBuilder b({1, 3, 3});
  b.conv(0, plain_conv({2, 2}, 1, {1, 2, 3, 4}));
  CHECK(output_of(b, count_from(1, 9)) == Tensor{37, 47, 67, 77});
}

TEST_CASE("conv: padding contributes zero whatever the zero point") {
  QuantBuilder b({1, 3, 3}, {1.0F, 3});
  b.conv(0, plain_conv({3, 3, 1, 1, 1, 1, 1, 1}, 1, Tensor(9, 1)));
  CHECK(output_of(b, Tensor(9, 5)) == Tensor{8, 12, 8, 12, 18, 12, 8, 12, 8});
}

TEST_CASE("conv: stride 2 with padding at the bottom and right only") {
  QuantBuilder b({1, 4, 4});
  b.conv(0, plain_conv({3, 3, 2, 2, 0, 0, 1, 1}, 1, Tensor(9, 1)));
  CHECK(output_of(b, count_from(1, 16)) == Tensor{54, 45, 72, 54});
}

TEST_CASE("conv: strides that differ, and a kernel of one row") {
  QuantBuilder b({1, 3, 5});
  b.conv(0, plain_conv({1, 2, 2, 3}, 1, {1, -1}));
  // rows 0 and 2, columns 0 and 3; each pixel minus its right neighbour
  CHECK(output_of(b, {9, 4, 0, 7, 1, 0, 0, 0, 0, 0, 1, 2, 0, 50, 20}) == Tensor{5, 6, -1, 30});
}

TEST_CASE("conv: dilation 2") {
  QuantBuilder b({1, 5, 5});
  ir::Window w{2, 2};
  w.dilation_h = w.dilation_w = 2;
  b.conv(0, plain_conv(w, 1, {1, -1, 2, 3}));
  CHECK(output_of(b, count_from(0, 25)) == Tensor{54, 59, 64, 79, 84, 89, 104, 109, 114});
}

TEST_CASE("conv: three channels in, five out, with biases") {
  QuantBuilder b({3, 1, 1});
  ir::QuantConv op = plain_conv({}, 5, {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, -1, 2, -3});
  op.bias = {0, 10, -10, 100, -100};
  b.conv(0, op);
  CHECK(output_of(b, {1, 2, 3}) == Tensor{1, 12, -7, 106, -106});
}

TEST_CASE("conv: the input channel is the fastest index of the weights") {
  QuantBuilder b({2, 1, 2});
  b.conv(0, plain_conv({1, 2}, 1, {1, 10, 5, 20}));
  CHECK(output_of(b, {1, 2, 3, 4}) == Tensor{121});
}

TEST_CASE("conv: a scale for each channel, output zero point and clamp") {
  QuantBuilder b({1, 1, 1});
  ir::QuantConv op = plain_conv({}, 4, {10, 10, -10, 127});
  op.scale = {0.25F, 0.5F, 1.0F, 1.0F};
  op.lo = -7;
  op.hi = 100;
  b.conv(0, op, {1.0F, -7});
  // 3 * 10 * 0.25 = 7.5, to 8; 15; -30, clamped; 381, clamped
  CHECK(output_of(b, {3}) == Tensor{1, 8, -7, 100});
}

TEST_CASE("add: both zero points, one rounding") {
  QuantBuilder b({1, 1, 3}, {1.0F, 2});
  ir::QuantConv identity = plain_conv({}, 1, {1});
  const int a = b.conv(0, identity, {1.0F, 1});  // x - 2 + 1
  b.add(0, a, {8192, 4096, 13, -128, 127}, {1.0F, -1});
  // 1.5 (x - 2) - 1 at x = 10, 3, 5: 11; 1.5 to 2, 1; 4.5 to 4, 3
  CHECK(output_of(b, {10, 3, 5}) == Tensor{11, 1, 3});
}

TEST_CASE("average pool: padding left out of the divisor, and counted") {
  const ir::Window w{3, 3, 1, 1, 1, 1, 1, 1};
  QuantBuilder without({1, 3, 3});
  without.pool(0, average(w), 3, 3);
  // 12/4, 21/6, 16/4, 27/6, 45/9, 33/6, 24/4, 39/6, 28/4
  CHECK(output_of(without, count_from(1, 9)) == Tensor{3, 4, 4, 4, 5, 6, 6, 6, 7});
  QuantBuilder with({1, 3, 3});
  with.pool(0, average(w, true), 3, 3);
  // the same sums over 9
  CHECK(output_of(with, count_from(1, 9)) == Tensor{1, 2, 2, 3, 5, 4, 3, 4, 3});
}

TEST_CASE("average pool: padding counts as zero, not as the zero point") {
  const ir::Window w{3, 3, 1, 1, 1, 1, 1, 1};
  QuantBuilder with({1, 2, 2}, {1.0F, 4});
  with.pool(0, average(w, true), 2, 2, {1.0F, -7});
  CHECK(output_of(with, Tensor(4, 10)) == Tensor(4, -4));  // 24 / 9 = 2.67
  QuantBuilder without({1, 2, 2}, {1.0F, 4});
  without.pool(0, average(w), 2, 2, {1.0F, -7});
  CHECK(output_of(without, Tensor(4, 10)) == Tensor(4, -1));
}

TEST_CASE("average pool: scales of both sides") {
  QuantBuilder b({1, 2, 2}, {0.5F, 0});
  b.pool(0, average({2, 2}), 1, 1, {0.25F, 0});
  CHECK(output_of(b, {1, 2, 3, 5}) == Tensor{6});  // 11/4 * 2 = 5.5, to even
}

TEST_CASE("average pool: windows that overhang in ceil mode count what they hold") {
  const Tensor x{1, 2, 3, 4, 9};
  const ir::Window w{1, 2, 1, 2};
  for (const bool include : {false, true}) {
    QuantBuilder b({1, 1, 5});
    b.pool(0, average(w, include), 1, 3);
    CHECK(output_of(b, x) == Tensor{2, 4, 9});
  }
  ir::Window padded = w;
  padded.pad_right = 1;
  QuantBuilder with({1, 1, 5});
  with.pool(0, average(padded, true), 1, 3);
  CHECK(output_of(with, x) == Tensor{2, 4, 4});  // 9 / 2 = 4.5
  QuantBuilder without({1, 1, 5});
  without.pool(0, average(padded), 1, 3);
  CHECK(output_of(without, x) == Tensor{2, 4, 9});
}

TEST_CASE("average pool: an overhang past a pad that counts") {
  // padded image 0 2 4 6 0, windows of 4 at 0 and 3: the last holds 6 and one pad
  ir::Window w{1, 4, 1, 3, 0, 1, 0, 1};
  QuantBuilder b({1, 1, 3});
  b.pool(0, average(w, true), 1, 2);
  CHECK(output_of(b, {2, 4, 6}) == Tensor{3, 3});  // 12 / 4, 6 / 2
  // padded image 2 4 6 8 0, windows of 2: in ceil mode the last would hold no pixel
  w = {1, 2, 1, 2, 0, 0, 0, 1};
  QuantBuilder refused({1, 1, 4});
  refused.pool(0, average(w, true), 1, 3);
  CHECK_FALSE(ir::verify(refused.graph()).ok());
}

TEST_CASE("average pool: global, over a rectangle") {
  QuantBuilder b({2, 2, 3});
  b.pool(0, average({2, 3}), 1, 1);
  CHECK(output_of(b, {1, 2, 3, 4, 5, 6, -6, -6, -6, -6, -6, -8}) == Tensor{4, -6});
}

TEST_CASE("max pool: padding never wins") {
  QuantBuilder b({1, 2, 2}, {1.0F, -50});
  b.pool(0, {ir::PoolKind::kMax, {3, 3, 2, 2, 1, 1, 1, 1}}, 1, 1, {1.0F, -50});
  CHECK(output_of(b, {-100, -90, -128, -95}) == Tensor{-90});
}

TEST_CASE("max pool: ceil mode, dilation and clamp") {
  QuantBuilder ceil({1, 1, 5});
  ceil.pool(0, {ir::PoolKind::kMax, {1, 2, 1, 2}}, 1, 3);
  CHECK(output_of(ceil, {3, 1, 2, 8, -4}) == Tensor{3, 8, -4});
  QuantBuilder dilated({1, 1, 5});
  ir::Window w{1, 2};
  w.dilation_w = 3;
  dilated.pool(0, {ir::PoolKind::kMax, w, false, -128, 6}, 1, 2);
  CHECK(output_of(dilated, {5, 1, 2, 7, 3}) == Tensor{6, 3});
}

TEST_CASE("concat: channels one after the other, a tensor twice") {
  QuantBuilder b({1, 1, 2});
  const int doubled = b.conv(0, plain_conv({}, 2, {2, 3}));
  b.concat({0, doubled, 0});
  CHECK(output_of(b, {1, 5}) == Tensor{1, 5, 2, 10, 3, 15, 1, 5});
}

TEST_CASE("run: a runner holds values, and takes other scales only when it is told") {
  QuantBuilder b({1, 2, 2}, {1.0F, 0});
  const int x = b.conv(0, plain_conv({}, 1, {2}), {1.0F, 0});
  const int y = b.add(x, x, {1U << 13, 0, 13}, {1.0F, 0});
  const int z = b.pool(y, {ir::PoolKind::kAverage, {2, 2}}, 1, 1, {1.0F, 0});
  ir::QuantGraph graph = b.graph();
  golden::Runner runner(graph);
  const Tensor image{1, 2, 3, 6};
  const auto before = runner.run(image);
  CHECK(before[std::size_t(z)] == Tensor{6});
  std::get<ir::QuantConv>(graph.nodes[0].op).scale[0] = 2;
  std::get<ir::QuantAdd>(graph.nodes[1].op).ma = 1U << 12;
  graph.tensors[std::size_t(z)].quant.scale = 0.5F;
  CHECK(runner.run(image) == before);
  runner.rescale(graph);
  const auto after = runner.run(image);
  CHECK(after[std::size_t(x)] == Tensor{4, 8, 12, 24});
  CHECK(after[std::size_t(y)] == Tensor{2, 4, 6, 12});
  CHECK(after[std::size_t(z)] == Tensor{12});
  CHECK(after == golden::run(graph, image));
}

TEST_CASE("run: returns every tensor, and a node alone gives the same") {
  QuantBuilder b({2, 3, 3}, {1.0F, 1});
  const int y = b.conv(0, plain_conv({2, 2}, 3, count_from(-12, 24)), {1.0F, 2});
  b.pool(y, average({2, 2}), 1, 1, {1.0F, 0});
  const ir::QuantGraph& graph = b.graph();
  const auto tensors = golden::run(graph, count_from(0, 18));
  REQUIRE(tensors.size() == 3);
  CHECK(tensors[0] == count_from(0, 18));
  for (const ir::QuantNode& node : graph.nodes) {
    const std::vector<Tensor> inputs{tensors[std::size_t(node.inputs[0])]};
    CHECK(golden::run_node(graph, node, inputs) == tensors[std::size_t(node.output)]);
  }
}
