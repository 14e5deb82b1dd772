// Lanes and bandwidth of first layers and of fully connected ones: what the host packs, golden's
// tensors whatever the window, and the cycles that the timing model gives them.

#include <algorithm>
#include <catch.hpp>
#include <optional>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

const isa::Config& config(std::string_view name) { return *isa::find_config(name); }

program::Program compiled(const ir::QuantGraph& graph, std::string_view machine) {
  auto program = compiler::compile(graph, config(machine));
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

/// Compares every stored tensor with golden's. Returns how many values were compared.
std::size_t compare(const program::Program& program, std::uint64_t seed) {
  const Status ordered = iss::check_hazards(program.machine(), program::decode_all(program));
  if (!ordered) FAIL(ordered.error().text());
  const auto image = random_image(program.graph, seed);
  const auto outputs = iss::run(program, image);
  if (!outputs) FAIL(outputs.error().text());
  const auto expected = golden::run(program.graph, image);
  std::size_t values = 0;
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    const auto& tensor = expected[static_cast<std::size_t>(program.placements[i].tensor)];
    REQUIRE(outputs->stored[i] == tensor);
    values += tensor.size();
  }
  return values;
}

/// compile(), or nothing where a program that takes masks has too few blocks or taps.
std::optional<program::Program> compiled_or_refused(const ir::QuantGraph& graph,
                                                    std::string_view machine, bool maskable) {
  compiler::Options options;
  options.maskable = maskable;
  auto program = compiler::compile(graph, config(machine), options);
  if (program) return std::move(program).value();
  const std::string text = program.error().text();
  if (!maskable || text.find("a program that takes masks has") == std::string::npos) FAIL(text);
  return std::nullopt;
}

ir::Window square(int kernel, int stride, int pad) {
  ir::Window w;
  w.kh = w.kw = kernel;
  w.stride_h = w.stride_w = stride;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = pad;
  return w;
}

/// Fully connected layers of these widths on a map.
ir::QuantGraph connected(const ir::Shape& map, const std::vector<int>& widths) {
  GraphBuilder g(1);
  int x = g.input(map.c, map.h, map.w);
  for (const int width : widths) {
    ir::Window w;
    w.kh = g.shape(x).h;
    w.kw = g.shape(x).w;
    x = g.conv(x, width, w);
  }
  return g.finish(x);
}

/// A first layer on an image of three channels, with a pool after it where `pooled`.
ir::QuantGraph stem(int size, const ir::Window& window, int channels, bool pooled) {
  GraphBuilder g(1);
  const int x = g.conv(g.input(3, size, size), channels, window);
  return g.finish(pooled ? g.pool(x, ir::PoolKind::kMax, square(3, 2, 1)) : x);
}

/// Cycles of layer `index` over its bound.
double over_bound(const program::Program& program, std::size_t index) {
  const auto times = timing::estimate(program);
  REQUIRE(times.ok());
  return static_cast<double>(times->layers[index].cycles) /
         timing::bound(program, program.layers[index]);
}

/// The first layer's share of busy multipliers.
double busy(const program::Program& program) {
  const auto times = timing::estimate(program);
  REQUIRE(times.ok());
  const double lanes = program.machine().lanes;
  return static_cast<double>(program.layers[0].macs) /
         (lanes * lanes * static_cast<double>(times->layers[0].cycles));
}

}  // namespace

TEST_CASE("lanes: a first layer of any window gives golden's tensors") {
  const std::uint64_t base = seed(11);
  const auto index = GENERATE(range(0, compiled_rounds(60)));
  const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(index);
  GraphBuilder g(s);
  ir::Window w;
  w.kh = g.uniform(1, 13);
  w.kw = g.chance(0.6) ? w.kh : g.uniform(1, 13);
  w.stride_h = g.uniform(1, 5);
  w.stride_w = g.chance(0.6) ? w.stride_h : g.uniform(1, 5);
  if (g.chance(0.2)) w.dilation_h = w.dilation_w = g.uniform(2, 3);
  w.pad_top = g.uniform(0, w.kh / 2 + 1);
  w.pad_left = g.uniform(0, w.kw / 2 + 1);
  w.pad_bottom = g.uniform(0, w.kh / 2 + 1);
  w.pad_right = g.uniform(0, w.kw / 2 + 1);
  const int span_h = (w.kh - 1) * w.dilation_h + 1, span_w = (w.kw - 1) * w.dilation_w + 1;
  const int x = g.input(g.chance(0.5) ? g.uniform(1, 4) : g.uniform(1, 40),
                        span_h + g.uniform(0, 24), span_w + g.uniform(0, 24));
  const ir::QuantGraph graph = g.finish(g.conv(x, g.uniform(1, 40), w));
  for (const char* machine : {"nano", "tiny", "edge", "wide"}) {
    for (const bool maskable : {false, true}) {
      INFO("seed " << s << ", " << machine << (maskable ? ", maskable" : ""));
      const auto program = compiled_or_refused(graph, machine, maskable);
      if (program) CHECK(compare(*program, s) > 0);
    }
  }
}

TEST_CASE("lanes: a fully connected layer on any map gives golden's tensors") {
  const std::uint64_t base = seed(12);
  const auto index = GENERATE(range(0, compiled_rounds(30)));
  const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(index);
  GraphBuilder g(s);
  const ir::Shape map{g.chance(0.5) ? g.uniform(1, 4) : g.uniform(1, 40), g.uniform(1, 30),
                      g.uniform(1, 30)};
  const ir::QuantGraph graph = connected(map, {g.uniform(1, 70), g.uniform(1, 20)});
  for (const char* machine : {"nano", "edge", "wide"}) {
    for (const bool maskable : {false, true}) {
      INFO("seed " << s << ", " << machine << (maskable ? ", maskable" : ""));
      const auto program = compiled_or_refused(graph, machine, maskable);
      if (program) CHECK(compare(*program, s) > 0);
    }
  }
}

TEST_CASE("lanes: padding with values of its own is golden's") {
  const std::uint64_t base = seed(13);
  const auto index = GENERATE(range(0, compiled_rounds(30)));
  const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(index);
  GraphBuilder g(s);
  ir::Window w;
  w.kh = g.uniform(1, 7);
  w.kw = g.chance(0.6) ? w.kh : g.uniform(1, 7);
  w.stride_h = w.stride_w = g.uniform(1, 3);
  if (g.chance(0.2)) w.dilation_h = w.dilation_w = 2;
  w.pad_top = g.uniform(0, 4);
  w.pad_left = g.uniform(0, 4);
  w.pad_bottom = g.uniform(0, 4);
  w.pad_right = g.uniform(0, 4);
  const int channels = g.chance(0.5) ? 3 : g.uniform(1, 40);
  const int x = g.input(channels, 14 + g.uniform(0, 9), 14);
  ir::QuantGraph graph = g.finish(g.conv(x, g.uniform(1, 40), w));
  auto& conv = std::get<ir::QuantConv>(graph.nodes[0].op);
  const auto image = random_image(graph, s);
  const auto plain = golden::run(graph, image).back();
  for (int c = 0; c < channels; ++c)
    conv.border.push_back(static_cast<std::int8_t>(g.uniform(-128, 127)));
  const bool padded = w.pad_top + w.pad_left + w.pad_bottom + w.pad_right > 0;
  if (!padded) CHECK(golden::run(graph, image).back() == plain);
  for (const char* machine : {"nano", "tiny", "edge", "wide"}) {
    for (const int option : {0, 1, 2}) {
      compiler::Options options;
      options.maskable = option == 1;
      options.relay_input = option != 2;
      INFO("seed " << s << ", " << machine << ", option " << option);
      const auto program = compiler::compile(graph, config(machine), options);
      if (!program) FAIL(program.error().text());
      CHECK(compare(*program, s) > 0);
    }
  }
}

TEST_CASE("lanes: only the input's one reader may have values in its padding") {
  GraphBuilder g(3);
  const int x = g.conv(g.input(3, 9, 9), 5, 3);
  ir::QuantGraph graph = g.finish(g.conv(x, 4, 3));
  auto& first = std::get<ir::QuantConv>(graph.nodes[0].op);
  auto& second = std::get<ir::QuantConv>(graph.nodes[1].op);
  first.border = {1, 2, 3};
  CHECK(compiler::compile(graph, config("edge")).ok());
  first.border = {1, 2};
  CHECK_FALSE(compiler::compile(graph, config("edge")).ok());
  first.border.clear();
  second.border = {1, 2, 3, 4, 5};
  const auto refused = compiler::compile(graph, config("edge"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("only the graph's input") != std::string::npos);
}

TEST_CASE("lanes: a flattened input of few channels takes no pass for empty lanes") {
  for (const ir::Shape& map : {ir::Shape{1, 28, 28}, {3, 32, 32}, {5, 7, 9}, {24, 6, 6}}) {
    const program::Program program = compiled(connected(map, {16}), "edge");
    std::int64_t passes = 0;
    for (const auto& instruction : program::decode_all(program)) {
      if (const auto* conv = std::get_if<isa::Conv>(&instruction))
        passes += std::int64_t{conv->kh} * conv->kw * conv->k_blocks * conv->n_blocks;
    }
    INFO(map.c << " channels of " << map.h << " x " << map.w);
    CHECK(passes * 160 < map.count() * 11 + 160);  // of 16 lanes each
    CHECK(compare(program, 1) == 16);
  }
}

TEST_CASE("lanes: fully connected layers of one image run at their bound") {
  for (const char* machine : {"edge", "zynq"}) {
    INFO(machine);
    const program::Program vgg = compiled(connected({512, 7, 7}, {4096, 4096, 1000}), machine);
    for (std::size_t l = 0; l < vgg.layers.size(); ++l) {
      INFO(vgg.layers[l].name);
      CHECK(over_bound(vgg, l) < 1.03);
    }
    for (const auto& [map, widths] :
         {std::pair{ir::Shape{1, 28, 28}, std::vector<int>{1024, 1024, 10}},
          {{3, 32, 32}, {2048, 2048, 100}},
          {{24, 9, 9}, {512, 512}}}) {
      const program::Program mlp = compiled(connected(map, widths), machine);
      INFO("input of " << map.c << " channels");
      CHECK(over_bound(mlp, 0) < 1.06);
      CHECK(over_bound(mlp, 1) < 1.04);
    }
  }
}

TEST_CASE("lanes: first layers keep the multipliers busy") {
  for (const char* machine : {"edge", "zynq"}) {
    INFO(machine);
    CHECK(busy(compiled(stem(224, square(7, 2, 3), 64, false), machine)) > 0.9);
    CHECK(busy(compiled(stem(224, square(7, 2, 3), 64, true), machine)) > 0.8);
    CHECK(busy(compiled(stem(224, square(11, 4, 2), 64, true), machine)) > 0.95);
    CHECK(busy(compiled(stem(299, square(3, 2, 0), 32, false), machine)) > 0.8);
    CHECK(busy(compiled(stem(224, square(3, 1, 1), 64, false), machine)) > 0.8);
    CHECK(busy(compiled(stem(32, square(5, 1, 2), 32, false), machine)) > 0.8);
  }
}

}  // namespace espalier::tests
