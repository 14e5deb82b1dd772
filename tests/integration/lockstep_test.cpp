// Lockstep names the instruction at fault: a seeded fault each, and none without one.

#include "runtime/lockstep.hpp"

#include <algorithm>
#include <filesystem>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "graphs.hpp"
#include "isa/clip.hpp"
#include "mask_kinds.hpp"
#include "program/apply_mask.hpp"
#include "masks/prune.hpp"
#include "scratch.hpp"
#include "tb/simulation.hpp"

using namespace espalier;
using isa::Load;
using isa::LoadTarget;
using isa::Store;

namespace {

/// Two branches that meet in a concatenation, with an add and pools.
ir::QuantGraph branches() {
  tests::GraphBuilder g(11);
  g.share_quants(1);
  const int x = g.conv(g.input(3, 12, 12), 8, 3);
  const int left = g.conv(x, 8, 3);
  const int right = g.add(g.conv(x, 8, 1), x);
  ir::Window pool;
  pool.kh = pool.kw = 3;
  pool.stride_h = pool.stride_w = 1;
  pool.pad_top = pool.pad_bottom = pool.pad_left = pool.pad_right = 1;
  const int both = g.concat({left, right, g.pool(x, ir::PoolKind::kMax, pool)});
  return g.finish(g.conv(both, 10, 3));
}

struct Workplace {
  explicit Workplace(bool takes_masks = false) : maskable(takes_masks) {}
  bool maskable;
  ir::QuantGraph graph = branches();
  program::Program program = [this] {
    compiler::Options options;
    options.maskable = maskable;
    options.refine = false;  // whose LOADs wait for one STORE and for nothing else
    auto made = compiler::compile(graph, *isa::find_config("nano"), options);
    if (!made) FAIL(made.error().text());
    return std::move(made).value();
  }();
  std::vector<isa::Instruction> list = program::decode_all(program);
  std::vector<std::int8_t> image = tests::random_image(program.graph, 5);

  /// The program with one instruction changed.
  [[nodiscard]] program::Program with(std::size_t at, const isa::Instruction& changed) const {
    std::vector<isa::Instruction> other = list;
    other[at] = changed;
    program::Program result = program;
    result.instructions.clear();
    for (const isa::Instruction& instruction : other) isa::encode(instruction, result.instructions);
    return result;
  }
  [[nodiscard]] runtime::LockstepResult run(const program::Program& what,
                                            const runtime::LockstepOptions& options = {}) const {
    auto result = runtime::run_lockstep(what, image, options);
    if (!result) FAIL(result.error().text());
    return std::move(result).value();
  }
  /// The instructions of one kind for which `wanted` holds.
  template <typename T, typename Wanted>
  [[nodiscard]] std::vector<std::size_t> find(Wanted&& wanted) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const T* x = std::get_if<T>(&list[i]);
      if (x != nullptr && wanted(*x)) found.push_back(i);
    }
    return found;
  }
};

bool names(const std::vector<std::string>& chain, std::size_t instruction) {
  return std::ranges::any_of(chain, [&](const std::string& line) {
    return line.starts_with("instruction " + std::to_string(instruction) + ":");
  });
}

bool weights(const Load& x) { return static_cast<LoadTarget>(x.target) == LoadTarget::kWeights; }

}  // namespace

TEST_CASE("lockstep: a right program runs to its end, whatever the memory does") {
  const Workplace place;
  for (const double stall : {0.0, 0.4}) {
    runtime::LockstepOptions options;
    options.check = true;
    options.device.stall = stall;
    const auto result = place.run(place.program, options);
    if (result.difference) FAIL(result.difference->what);
    CHECK(result.execution.complete);
    CHECK(result.instructions + 1 >= place.list.size());  // post retires too, end does not
    CHECK(result.bytes > 10000);
    CHECK(result.values > 2000);
  }
}

TEST_CASE("lockstep: a broken dependency is named, with the LOAD that came too early") {
  const Workplace place;
  int seen = 0;
  for (const std::size_t at : place.find<Load>([](const Load&) { return true; })) {
    auto dependencies = isa::dependencies(place.list[at]);
    bool waits = false;
    for (isa::Dependency& d : dependencies) {
      if (d.engine != isa::Engine::kStore) continue;
      d = {};
      waits = true;
    }
    if (!waits) continue;
    isa::Instruction broken = place.list[at];
    isa::set_dependencies(broken, dependencies);
    const auto result = place.run(place.with(at, broken));
    if (!result.difference) continue;  // another instruction happened to keep it back
    ++seen;
    INFO(result.difference->what);
    CHECK(result.difference->instruction == at);
    CHECK(result.difference->what.find("the simulator") != std::string::npos);
    CHECK(result.difference->disassembly.starts_with("load"));
    CHECK(result.difference->hazard.find("instruction " + std::to_string(at)) != std::string::npos);
    CHECK(result.difference->cycle > 0);
  }
  CHECK(seen > 0);
}

namespace {

/// `altered` reads other weights at instruction `at`: simulator and golden name it, each by its
/// own.
void expect_wrong_weights(const Workplace& place, const program::Program& altered, std::size_t at,
                          runtime::LockstepOptions options) {
  options.reference = &place.program;  // what the machine was meant to run
  const auto by_simulator = place.run(altered, options);
  REQUIRE(by_simulator.difference);
  CHECK(by_simulator.difference->instruction == at);

  options.reference = nullptr;  // the simulator reads the same wrong weights; golden does not
  CHECK_FALSE(place.run(altered, options).difference);
  options.check = true;
  const auto by_golden = place.run(altered, options);
  REQUIRE(by_golden.difference);
  CHECK(by_golden.difference->disassembly.starts_with("store"));
  CHECK(by_golden.difference->what.find("golden") != std::string::npos);
  CHECK(names(by_golden.difference->chain, at));
}

}  // namespace

TEST_CASE("lockstep: a wrong weight address is named") {
  const Workplace place;
  const auto loads = place.find<Load>(weights);
  REQUIRE(loads.size() >= 2);
  const std::size_t at = loads[1];
  Load wrong = std::get<Load>(place.list[at]);
  wrong.offset += wrong.offset >= 8 ? -4 : 4;
  const auto altered = place.with(at, wrong);

  runtime::LockstepOptions options;
  expect_wrong_weights(place, altered, at, options);
}

TEST_CASE("lockstep: a swapped channel of a concatenation is named") {
  const Workplace place;
  // Blocks of 4 channels: a STORE of the second branch goes a block further.
  const auto& layers = place.program.layers;
  const auto stores = place.find<Store>([&](const Store& x) {
    return layers[x.layer].op == "conv+add" && x.z_count * x.y_count >= 1;
  });
  REQUIRE_FALSE(stores.empty());
  const std::size_t at = stores[0];
  Store wrong = std::get<Store>(place.list[at]);
  wrong.offset += 12 * 12 * 4;
  runtime::LockstepOptions options;
  options.check = true;
  const auto result = place.run(place.with(at, wrong), options);
  REQUIRE(result.difference);
  CHECK(result.difference->instruction == at);
  CHECK(result.difference->layer == layers[wrong.layer].name);
  CHECK_FALSE(result.difference->chain.empty());
}

TEST_CASE("lockstep: the last cycles before a difference are left as a wave") {
  const Workplace place;
  const std::size_t at = place.find<Load>(weights)[1];
  Load wrong = std::get<Load>(place.list[at]);
  wrong.offset += wrong.offset >= 8 ? -4 : 4;
  tests::Scratch scratch;
  runtime::LockstepOptions options;
  options.reference = &place.program;
  options.device.wave = scratch.path("short.fst");
  const auto result = place.run(place.with(at, wrong), options);
  REQUIRE(result.difference);
  CHECK(result.difference->wave == options.device.wave);
  const auto size = std::filesystem::file_size(options.device.wave);
  CHECK(size > 1000);
  options.device.wave = scratch.path("whole.fst");
  options.device.wave_cycles = 1'000'000;
  CHECK(place.run(place.with(at, wrong), options).difference->cycle == result.difference->cycle);
  CHECK(std::filesystem::file_size(options.device.wave) >= size);
}

namespace {

/// So many masks of every kind that the program can have.
std::vector<ir::ChannelMask> some_masks(const ir::QuantGraph& graph, std::size_t count) {
  const masks::Channels channels = masks::find_channels(graph);
  std::vector<ir::ChannelMask> list;
  for (std::uint64_t s = 0; list.size() < count && s < 50; ++s) {
    const masks::Mask mask = tests::random_kinds(channels, s);
    if (masks::prune(graph, channels, mask)) list.push_back(masks::by_tensor(channels, mask));
  }
  return list;
}

}  // namespace

TEST_CASE("lockstep: with a mask a right program runs to its end") {
  const Workplace place(true);
  const auto masks = some_masks(place.program.graph, 6);
  REQUIRE(masks.size() == 6);
  runtime::LockstepOptions options;
  options.check = true;
  std::uint64_t dense = place.run(place.program, options).values, least = dense;
  for (const ir::ChannelMask& mask : masks) {
    options.device.masks = {mask};
    const auto result = place.run(place.program, options);
    if (result.difference) FAIL(result.difference->what);
    CHECK(result.execution.complete);
    CHECK(result.instructions + 1 >= place.list.size());  // nops of what is masked retire too
    CHECK(result.execution.output ==
          golden::Runner(place.program.graph, mask)
              .run(place.image)[static_cast<std::size_t>(place.program.graph.output)]);
    least = std::min(least, result.values);
  }
  CHECK(least < dense);
}

TEST_CASE("lockstep: with a mask a wrong weight address is named") {
  const Workplace place(true);
  const masks::Channels channels = masks::find_channels(place.program.graph);
  const auto half =
      masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 2));
  const auto masked = program::apply_mask(place.program, half);
  REQUIRE(masked.ok());
  const auto clipped = isa::clip_all(place.list, masked->table, place.program.machine());
  REQUIRE(clipped.ok());
  // The first LOAD of packed weights that are not the region's first.
  std::size_t at = 0;
  for (const std::size_t i : place.find<Load>(weights)) {
    const Load* left = std::get_if<Load>(&(*clipped)[i]);
    const bool packed =
        left != nullptr && static_cast<isa::Region>(left->region) == isa::Region::kMask;
    if (at == 0 && packed && left->x_words < std::get<Load>(place.list[i]).x_words) at = i;
  }
  REQUIRE(at != 0);
  Load wrong = std::get<Load>(place.list[at]);
  wrong.offset -= 4;
  const auto altered = place.with(at, wrong);
  runtime::LockstepOptions options;
  options.device.masks = {half};
  expect_wrong_weights(place, altered, at, options);
}
