// Masks on devices: packed weights for several masks at once, and images that take turns.

#include <algorithm>
#include <cstdlib>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "graphs.hpp"
#include "mask_kinds.hpp"
#include "masks/prune.hpp"
#include "runtime/batch.hpp"
#include "seed.hpp"
#include "skip.hpp"

using namespace espalier;
using runtime::DeviceKind;

namespace {

/// Devices that pack.
std::vector<DeviceKind> kinds() {
#ifdef ESPALIER_WITH_RTL
  return {DeviceKind::kIss, DeviceKind::kRtl};
#else
  return {DeviceKind::kIss};
#endif
}

/// So many masks that the graph can have, of every kind.
std::vector<ir::ChannelMask> some_masks(const ir::QuantGraph& graph, std::uint64_t seed,
                                        std::size_t count) {
  const masks::Channels channels = masks::find_channels(graph);
  std::vector<ir::ChannelMask> list;
  for (std::uint64_t s = seed; list.size() < count && s < seed + 20; ++s) {
    const masks::Mask mask = tests::random_kinds(channels, s);
    if (masks::prune(graph, channels, mask)) list.push_back(masks::by_tensor(channels, mask));
  }
  return list;
}

runtime::BatchResult run(const program::Program& program, DeviceKind kind,
                         std::vector<ir::ChannelMask> masks, std::size_t images,
                         std::vector<ir::QuantGraph> graphs = {}) {
  runtime::BatchOptions options;
  options.kind = kind;
  options.check = true;
  options.device.masks = std::move(masks);
  options.device.graphs = std::move(graphs);
  auto result = runtime::run_batch(program, options, images,
                                   [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
                                     return tests::random_image(program.graph, i);
                                   });
  INFO((result.ok() ? std::string() : result.error().text()));
  REQUIRE(result.ok());
  return std::move(result).value();
}

/// For nano, with the tiles that the costs say.
Result<program::Program> maskable(const ir::QuantGraph& graph) {
  compiler::Options options;
  options.maskable = true;
  options.refine = false;
  auto program = compiler::compile(graph, *isa::find_config("nano"), options);
  REQUIRE(program.ok());
  return program;
}

}  // namespace

TEST_CASE("masks: resident ones take turns, and every image has its own channels") {
  for (const DeviceKind kind : kinds()) {
    const std::uint64_t base = tests::seed(7);
    int compared = 0;
    for (int i = 0; i < tests::compiled_rounds(6); ++i) {
      const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
      INFO(runtime::name(kind) << ", seed " << s);
      compiler::Options options;
      options.maskable = true;
      options.vary = i % 2 == 0 ? 0 : s;
      options.refine = i % 4 == 0;  // takes most of the time
      const auto program = compiler::compile(tests::random_graph(s, {8, 12, 24}),
                                             *isa::find_config("nano"), options);
      REQUIRE(program.ok());
      const auto masks = some_masks(program->graph, s, 3);
      if (masks.size() < 2) continue;  // they take no turns
      ++compared;
      const auto turns = run(*program, kind, masks, 5);
      CHECK(turns.comparison.mismatches == 0);
      CHECK(turns.packings.size() == masks.size());
      // Each alone gives the same, whoever came before.
      for (std::size_t m = 0; m < masks.size(); ++m) {
        const auto alone = run(*program, kind, {masks[m]}, 5);
        CHECK(alone.comparison.mismatches == 0);
        for (std::size_t image = m; image < 5; image += masks.size())
          CHECK(alone.outputs[image] == turns.outputs[image]);
      }
    }
    CHECK(2 * compared > tests::compiled_rounds(6));
  }
}

TEST_CASE("masks: users in turns have their own weights, and one of them the program's") {
  for (const DeviceKind kind : kinds()) {
    INFO(runtime::name(kind));
    const auto program = maskable(tests::cifar_resnet(1));
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto mask =
        masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 2));
    const auto all = masks::by_tensor(channels, masks::all_live(channels));
    std::vector<ir::QuantGraph> graphs(4, program->graph);
    for (const std::size_t user : {1U, 3U}) {
      for (ir::QuantNode& node : graphs[user].nodes) {
        auto* conv = std::get_if<ir::QuantConv>(&node.op);
        if (conv == nullptr) continue;
        std::ranges::reverse(conv->weights);
        for (std::int32_t& bias : conv->bias) bias += 1000 * static_cast<std::int32_t>(user);
      }
    }
    const auto turns = run(*program, kind, {mask, mask, all, all}, 8, graphs);
    CHECK(turns.comparison.mismatches == 0);
    CHECK(turns.comparison.values > 0);
    CHECK(turns.packings[2].layers == 0);
    CHECK(turns.packings[3].layers > 5);  // nothing is masked, and most weights are the user's
    const auto plain = run(*program, kind, {}, 8);
    CHECK(turns.outputs[2] == plain.outputs[2]);
    CHECK(turns.outputs[3] != plain.outputs[3]);
  }
}

TEST_CASE("masks: a network deeper than the layer table takes them") {
  const isa::Config& machine = *isa::find_config("nano");
  for (const DeviceKind kind : kinds()) {
    INFO(runtime::name(kind));
    compiler::Options options;
    options.maskable = true;
    options.refine = false;
    const auto program =
        compiler::compile(tests::deep_graph(3 * machine.mask_layers), machine, options);
    REQUIRE(program.ok());
    REQUIRE(program->layers.size() > 2 * static_cast<std::size_t>(machine.mask_layers));
    const masks::Channels channels = masks::find_channels(program->graph);
    std::vector<ir::ChannelMask> masks;
    for (const std::uint64_t seed : {4U, 5U}) {
      masks.push_back(masks::by_tensor(
          channels, masks::random_mask(channels, {0.6, masks::Scope::kAll, 1}, seed)));
    }
    const auto turns = run(*program, kind, masks, 4);
    CHECK(turns.comparison.mismatches == 0);
    CHECK(turns.comparison.values > 1000);
    CHECK(turns.packings[0].layers > machine.mask_layers);
    const auto plain = run(*program, kind, {}, 2);
    CHECK(plain.comparison.mismatches == 0);
    CHECK(plain.comparison.values > turns.comparison.values / 4);
  }
}

TEST_CASE("masks: what is applied already is not applied again") {
  const auto program = maskable(tests::cifar_resnet(1));
  const masks::Channels channels = masks::find_channels(program->graph);
  const auto all = masks::by_tensor(channels, masks::all_live(channels));
  // Nothing to pack in the place of half: whoever applied the mask himself would pack.
  runtime::DeviceOptions device;
  device.masks = {
      masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 2))};
  auto nothing = program::apply_mask(*program, all);
  REQUIRE(nothing.ok());
  for (const DeviceKind kind : kinds()) {
    INFO(runtime::name(kind));
    for (const bool applied : {false, true}) {
      device.applied = nullptr;
      if (applied)
        device.applied = std::make_shared<const std::vector<program::Masked>>(1, *nothing);
      auto devices = runtime::open(*program, kind, device);
      REQUIRE(devices.ok());
      REQUIRE((*devices)[0]->run(tests::random_image(program->graph, 1)).ok());
      CHECK(((*devices)[0]->packings().at(0).layers == 0) == applied);
    }
  }
}

TEST_CASE("masks: images without one follow those with one") {
  for (const DeviceKind kind : kinds()) {
    INFO(runtime::name(kind));
    const auto program = maskable(tests::cifar_resnet(1));
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto all = masks::by_tensor(channels, masks::all_live(channels));
    const auto half =
        masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 2));
    const auto plain = run(*program, kind, {}, 4);
    const auto turns = run(*program, kind, {half, all}, 4);
    CHECK(turns.comparison.mismatches == 0);
    CHECK(turns.packings[0].layers > 0);
    CHECK(turns.packings[1].layers == 0);  // it touches nothing
    for (const std::size_t image : {1U, 3U}) CHECK(turns.outputs[image] == plain.outputs[image]);
  }
}

#ifdef ESPALIER_WITH_RTL
TEST_CASE("masks: on the machine a switch costs an image less than 1,000 cycles") {
  const auto absent = [](const char* config) {
    return !runtime::has_rtl(*isa::find_config(config));
  };
  if (absent("nano") && absent("edge")) return tests::skip("this build has no nano and no edge");
  compiler::Options options;
  options.maskable = true;
  for (const char* config : {"nano", "edge"}) {
    INFO(config);
    if (absent(config)) continue;
    const auto program =
        compiler::compile(tests::cifar_resnet(1), *isa::find_config(config), options);
    REQUIRE(program.ok());
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto mask = [&](double keep, std::uint64_t seed) {
      return masks::by_tensor(channels,
                              masks::random_mask(channels, {keep, masks::Scope::kAll, 1}, seed));
    };
    const auto turns = run(*program, DeviceKind::kRtl, {mask(0.7, 1), mask(0.4, 2)}, 2);
    CHECK(turns.comparison.mismatches == 0);
    REQUIRE(turns.switching);
    const auto cost = static_cast<std::int64_t>(turns.switching->after) -
                      static_cast<std::int64_t>(turns.switching->same);
    CHECK(std::abs(cost) < 1000);
    REQUIRE(turns.switching->layer_table);
    CHECK(*turns.switching->layer_table > 60);  // no faster than memory
    CHECK(*turns.switching->layer_table < 1000);
    CHECK(turns.switching->after > 10 * *turns.switching->layer_table);
    // Images of one mask run without a gap between them; a switch costs that, too.
    constexpr std::size_t kImages = 4;
    const auto alone = run(*program, DeviceKind::kRtl, {mask(0.4, 2)}, kImages);
    CHECK_FALSE(alone.switching);
    const auto chained = static_cast<std::int64_t>(alone.timing->cycles / kImages);
    CAPTURE(turns.switching->after, chained);
    CHECK(static_cast<std::int64_t>(turns.switching->after) - chained < 1000);
  }
}
#endif

TEST_CASE("masks: the comparison sees another mask's channels") {
  compiler::Options options;
  options.maskable = true;
  options.refine = false;
  const auto program = compiler::compile(tests::resnet8(), *isa::find_config("tiny"), options);
  REQUIRE(program.ok());
  const auto masks = some_masks(program->graph, 5, 2);
  REQUIRE(masks.size() == 2);
  runtime::DeviceOptions device;
  device.masks = masks;
  device.keep_tensors = true;
  auto devices = runtime::open(*program, DeviceKind::kIss, device);
  REQUIRE(devices.ok());
  const auto image = tests::random_image(program->graph, 1);
  const golden::Runner golden(program->graph, masks[0]);
  for (const std::size_t m : {0U, 1U}) {
    (*devices)[0]->use(m);
    const auto executions = (*devices)[0]->run(image);
    REQUIRE(executions.ok());
    const auto compared = runtime::compare(*program, executions->front(), golden.run(image), 0);
    CHECK((compared.mismatches == 0) == (m == 0));
  }
}
