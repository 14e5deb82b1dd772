// Work: what the network multiplies, whatever zeros stand in the machine's weights for it.

#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "graphs.hpp"
#include "program/apply_mask.hpp"
#include "masks/choose.hpp"
#include "masks/prune.hpp"
#include "timing/timing.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

/// Makes the last convolution one of groups.
void group(ir::QuantGraph& graph, int node, int groups) {
  auto& conv = std::get<ir::QuantConv>(graph.nodes[index(node)].op);
  const int channels = graph.tensors[index(graph.nodes[index(node)].inputs[0])].shape.c;
  const int each = channels / groups;
  const std::size_t taps = index(conv.window.kh) * index(conv.window.kw);
  for (int n = 0; n < conv.out_channels; ++n) {
    const int first = n / (conv.out_channels / groups) * each;
    conv.reads.push_back({first, first + each});
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (int c = 0; c < channels; ++c) {
        if (c < first || c >= first + each)
          conv.weights[(index(n) * taps + tap) * index(channels) + index(c)] = 0;
      }
    }
  }
}

/// As in MobileNet, ResNeXt and DenseNet: depthwise, groups, a scale a channel.
ir::QuantGraph grouped() {
  GraphBuilder g(11);
  int x = g.conv(g.input(3, 28, 28), 64, 3);
  x = g.conv(x, 64, 3);  // depthwise
  x = g.conv(x, 128, 1);
  x = g.conv(x, 128, 3, 2);  // eight groups
  x = g.conv(x, 128, 1);     // a scale a channel
  x = g.conv(x, 64, 1);
  ir::QuantGraph graph = g.finish(x);
  group(graph, 1, 64);
  group(graph, 3, 8);
  group(graph, 4, 128);
  return graph;
}

std::int64_t work(const program::Program& program) {
  std::int64_t sum = 0;
  for (const program::Layer& layer : program.layers) sum += layer.macs;
  return sum;
}

constexpr std::int64_t kWork =
    28 * 28 * (64 * 27 + 64 * 9 + 128 * 64) + 14 * 14 * (128 * 16 * 9 + 128 + 64 * 128);

}  // namespace

TEST_CASE("work: groups, depthwise layers and scales a channel count what they multiply") {
  const ir::QuantGraph graph = grouped();
  REQUIRE(ir::verify(graph).ok());
  int compared = 0;
  for (const char* name : {"nano", "tiny", "edge", "zynq", "wide"}) {
    for (const bool maskable : {false, true}) {
      INFO(name << ", maskable " << maskable);
      compiler::Options options;
      options.maskable = maskable;
      const auto program = compiler::compile(graph, *isa::find_config(name), options);
      REQUIRE(program.ok());
      CHECK(work(*program) == kWork);
      const auto estimate = timing::estimate(*program);
      REQUIRE(estimate.ok());
      CHECK(timing::utilisation(*program, estimate->cycles) <= 1.0);
      CHECK(timing::bound(*program) <= static_cast<double>(estimate->cycles));
      for (std::size_t l = 0; l < program->layers.size(); ++l) {
        const auto cycles = static_cast<double>(estimate->layers[l].cycles);
        INFO(program->layers[l].name << ", " << cycles << " cycles");
        CHECK(static_cast<double>(program->layers[l].macs) <=
              cycles * program->machine().lanes * program->machine().lanes);
        CHECK(timing::bound(*program, program->layers[l]) > 0);
        ++compared;
      }
      const auto again = program::parse(program::serialise(*program), "p");
      REQUIRE(again.ok());
      CHECK(work(*again) == kWork);
      program::Program wrong = *program;
      ++wrong.layers[1].macs;
      CHECK_THAT(program::verify(wrong).error().text(),
                 Catch::Matchers::Contains("multiply-accumulates; its nodes have"));
    }
  }
  CHECK(compared == 5 * 2 * 6);
}

TEST_CASE("work: the bytes that a bound counts are the network's own weights") {
  // Few pixels: the bound is the bus, for 64 x 9 weights and not 64 x 64 x 9.
  GraphBuilder g(4);
  const int x = g.conv(g.input(64, 2, 2), 64, 3);
  ir::QuantGraph graph = g.finish(x);
  group(graph, 0, 64);
  const auto program = compiler::compile(graph, *isa::find_config("edge"));
  REQUIRE(program.ok());
  CHECK(timing::bound(*program) == (64 * 4 + 64 * 9 + 64 * 8) / 16.0);
}

TEST_CASE("work: with a mask it is that of live channels, as in the pruned network") {
  const ir::QuantGraph graph = grouped();
  compiler::Options options;
  options.maskable = true;
  const auto program = compiler::compile(graph, *isa::find_config("edge"), options);
  REQUIRE(program.ok());
  const masks::Channels channels = masks::find_channels(program->graph);
  int compared = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    const auto mask = masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, seed);
    const auto live = masks::by_tensor(channels, mask);
    const auto pruned = masks::prune(program->graph, channels, mask);
    REQUIRE(pruned.ok());
    std::int64_t masked_macs = 0, pruned_macs = 0;
    for (const program::Layer& layer : program->layers)
      masked_macs += program::macs(program->graph, layer, live);
    for (const ir::QuantNode& node : pruned->graph.nodes)
      pruned_macs += ir::macs(pruned->graph, node);
    CHECK(masked_macs == pruned_macs);
    CHECK(masked_macs < kWork);
    const auto masked = program::apply_mask(*program, live);
    REQUIRE(masked.ok());
    const auto estimate = timing::estimate(*program, {}, masked->table, live);
    REQUIRE(estimate.ok());
    CHECK(timing::bound(*program, live) <= static_cast<double>(estimate->cycles));
    std::int64_t compute = 0;
    for (const auto& layer : estimate->layers) compute += layer.by_cause[0];
    CHECK(compute <= masked_macs / 256 + std::int64_t(program->layers.size()));
    ++compared;
  }
  CHECK(compared == 3);
}

TEST_CASE("work: copies that the compiler puts in, and slices, are none") {
  GraphBuilder g(6);
  const int x = g.conv(g.input(8, 6, 6), 8, 3);
  const int y = g.add(x, x);
  const ir::QuantGraph graph = g.finish(g.add(y, y));  // no convolution to join
  const auto program = compiler::compile(graph, *isa::find_config("edge"));
  REQUIRE(program.ok());
  CHECK(program->graph.nodes.size() > graph.nodes.size());
  CHECK(work(*program) == 8 * 8 * 9 * 36);
}

}  // namespace espalier::tests
