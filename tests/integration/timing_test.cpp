// The timing model against the cycles that the verilated machine takes.

#include "timing/timing.hpp"

#include <cmath>
#include <iostream>
#include <map>
#include <numeric>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "program/apply_mask.hpp"
#include "masks/prune.hpp"
#include "masks/choose.hpp"
#include "graphs.hpp"
#include "runtime/device.hpp"
#include "runtime/rtl_host.hpp"
#include "seed.hpp"
#include "tb/simulation.hpp"

using namespace espalier;

namespace {

program::Program compiled(const ir::QuantGraph& graph, const std::string& config) {
  auto program = compiler::compile(graph, *isa::find_config(config));
  if (!program) FAIL(program.error().text());
  return std::move(program).value();
}

/// Compares one image's cycles with the estimate: in all, and of every layer of some length and
/// share.
void compare(const program::Program& program, int read_latency = 60, int write_latency = 40) {
  INFO(program.graph.name << " for " << program.config.name.view() << ", latency " << read_latency);
  runtime::DeviceOptions options;
  options.read_latency = read_latency;
  options.write_latency = write_latency;
  auto devices = runtime::open(program, runtime::DeviceKind::kRtl, options);
  REQUIRE(devices.ok());
  const auto runs = (*devices)[0]->run(tests::random_image(program.graph, 3));
  if (!runs) FAIL(runs.error().text());
  const runtime::Timing& measured = *(*runs)[0].timing;
  const auto estimate = timing::estimate(program, {read_latency, write_latency});
  if (!estimate) FAIL(estimate.error().text());

  const auto error = [](std::int64_t estimated, std::uint64_t real) {
    return std::abs(static_cast<double>(estimated) / static_cast<double>(real) - 1);
  };
  INFO("total " << estimate->cycles << " of " << measured.cycles);
  CHECK(error(estimate->cycles, measured.cycles) < 0.002);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < program.layers.size(); ++i) {
    const timing::LayerEstimate& layer = estimate->layers[i];
    sum += layer.cycles;
    CHECK(std::accumulate(layer.by_cause.begin(), layer.by_cause.end(), std::int64_t{0}) ==
          layer.cycles);
    if (measured.cycles_by_layer[i] < std::max<std::uint64_t>(5000, measured.cycles / 200))
      continue;
    INFO(program.layers[i].name << ": " << layer.cycles << " of " << measured.cycles_by_layer[i]);
    CHECK(error(layer.cycles, measured.cycles_by_layer[i]) < 0.02);
  }
  CHECK(sum == estimate->cycles);
  CHECK(estimate->bytes_read == (*runs)[0].traffic->read);
  CHECK(estimate->bytes_written == (*runs)[0].traffic->written);
}

/// How far the model's events are from the machine's at most, cycles; there are more than `least`.
std::int64_t worst_event(const program::Program& program, std::size_t least) {
  const auto model = timing::events(program);
  if (!model) FAIL(model.error().text());
  auto host = runtime::RtlHost::open(program, {});
  REQUIRE(host.ok());
  (*host)->put_image(tests::random_image(program.graph, 3));
  std::vector<isa::Event> machine;
  REQUIRE((*host)->run(tb::list_events((*host)->simulation(), machine)).ok());
  REQUIRE(machine.size() == model->size());
  REQUIRE(machine.size() > least);
  std::map<std::pair<isa::Engine, std::uint64_t>, std::int64_t> cycles;
  for (const isa::Event& event : machine) cycles[{event.engine, event.count}] = event.cycle;
  REQUIRE(cycles.size() == machine.size());
  std::int64_t worst = 0;
  for (const isa::Event& event : *model) {
    const auto found = cycles.find({event.engine, event.count});
    REQUIRE(found != cycles.end());
    worst = std::max(worst, std::abs(found->second - event.cycle));
  }
  return worst;
}

/// The machines that the timing model knows.
std::vector<std::string> machines() {
  std::vector<std::string> names;
  for (const std::string& name : tb::fast_models()) {
    if (isa::find_config(name)->timing_model) names.push_back(name);
  }
  REQUIRE_FALSE(names.empty());  // nothing would be compared
  return names;
}

}  // namespace

TEST_CASE("timing: residual networks take the estimated cycles on every machine") {
  for (const std::string& config : machines()) {
    compare(compiled(tests::resnet8(), config));
    if (config != "nano") compare(compiled(tests::cifar_resnet(3), config));
  }
}

TEST_CASE(
    "timing: the model's events are the machine's, engine by engine, in nearly their cycles") {
  const auto program = compiled(tests::resnet8(), "edge");
  const std::int64_t worst = worst_event(program, 100);
  std::cout << "events: off by " << worst << " cycles at most\n";
  CHECK(worst <= 16);
}

TEST_CASE("timing: a tile of weights is read, and gives its room back, before its input is there") {
  // Each block waits for the one before. What a CONV of one tile no longer holds up, the LOADs and
  // the program behind it, takes the bus meanwhile; in what order says when the next input comes.
  for (const std::string& config : machines()) {
    tests::GraphBuilder builder(5);
    const int lanes = isa::find_config(config)->lanes;
    int x = builder.input(lanes, 4, 4);
    for (int block = 0; block < 24; ++block) x = builder.add(builder.conv(x, lanes, 1), x);
    const auto program = compiled(builder.finish(x), config);
    compare(program);
    INFO(config);
    CHECK(worst_event(program, 100) <= 1);
  }
}

TEST_CASE("timing: the pool table is written entry by entry, and what is loaded behind it waits") {
  for (const std::string& config : machines()) {
    tests::GraphBuilder builder(5);
    const int x = builder.input(isa::find_config(config)->lanes, 12, 12);
    const auto program = compiled(
        builder.finish(builder.pool(x, ir::PoolKind::kAverage, {5, 5, 1, 1, 2, 2, 2, 2})), config);
    INFO(config);
    CHECK(worst_event(program, 3) <= 1);
  }
}

TEST_CASE("timing: slow and fast memory change estimate and machine alike") {
  const auto program = compiled(tests::resnet8(), machines()[0]);
  compare(program, 20, 10);
  compare(program, 200, 100);
}

TEST_CASE("timing: random networks with pools and concatenations take the estimated cycles") {
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(8)); ++i) {
    const std::uint64_t seed = tests::seed(900) + i;
    INFO("ESPALIER_SEED=" << seed);
    compare(compiled(tests::random_graph(seed), "nano"));
  }
}

TEST_CASE("timing: the bound is below the estimate and above the products alone") {
  const auto program = compiled(tests::cifar_resnet(3), "edge");
  const auto estimate = timing::estimate(program);
  REQUIRE(estimate.ok());
  const double bound = timing::bound(program);
  const double products = static_cast<double>(runtime::macs(program)) / 256;
  CHECK(bound >= products);
  CHECK(bound < 1.02 * products);
  CHECK(static_cast<double>(estimate->cycles) > bound);
}

TEST_CASE("timing: programs with masks take the estimated cycles") {
  compiler::Options options;
  options.maskable = true;
  for (const std::string& config : machines()) {
    const isa::Config& machine = *isa::find_config(config);
    const auto program = compiler::compile(tests::cifar_resnet(2), machine, options);
    REQUIRE(program.ok());
    const masks::Channels channels = masks::find_channels(program->graph);
    for (const double keep : {0.8, 0.4}) {
      const auto live = masks::by_tensor(
          channels, masks::random_mask(channels, {keep, masks::Scope::kAll, 1}, 3));
      const auto masked = program::apply_mask(*program, live);
      REQUIRE(masked.ok());
      runtime::DeviceOptions device;
      device.masks.push_back(live);
      auto devices = runtime::open(*program, runtime::DeviceKind::kRtl, device);
      INFO((devices.ok() ? std::string() : devices.error().text()));
      REQUIRE(devices.ok());
      const auto runs = (*devices)[0]->run(tests::random_image(program->graph, 3));
      REQUIRE(runs.ok());
      const auto estimate = timing::estimate(*program, {60, 40}, masked->table);
      REQUIRE(estimate.ok());
      const auto cycles = static_cast<double>((*runs)[0].timing->cycles);
      INFO(config << ", keep " << keep << ": " << estimate->cycles << " of " << cycles);
      CHECK(std::abs(static_cast<double>(estimate->cycles) / cycles - 1) < 0.005);
      const auto packing = timing::estimate_pack(*program, *masked, {60, 40});
      REQUIRE(packing.ok());
      const auto packed = static_cast<double>((*devices)[0]->packings().at(0).cycles.value_or(0));
      INFO("packing " << *packing << " of " << packed);
      CHECK(std::abs(static_cast<double>(*packing) / packed - 1) < 0.01);
    }
  }
}

TEST_CASE("timing: gated and scored convolutions take the estimated cycles") {
  for (const std::string& config : machines()) {
    program::Program program = compiled(tests::resnet8(), config);
    std::vector<isa::Instruction> list = program::decode_all(program);
    // Of three convolutions one is gated and one scored, whatever that means to their readers.
    std::vector<const isa::Conv*> outputs;
    for (isa::Instruction& instruction : list) {
      auto* conv = std::get_if<isa::Conv>(&instruction);
      if (conv == nullptr || conv->last == 0 || (conv->gap != 0 && conv->gap_last == 0)) continue;
      outputs.push_back(conv);
      if (outputs.size() % 3 == 0 || conv->gap != 0) continue;
      if (conv->add == 0) conv->add_base = conv->act_base;
      conv->add = conv->product = 1;
      conv->add_shift = 13;
      conv->gap = conv->gap_first = conv->gap_last = outputs.size() % 3 == 1 ? 1 : 0;
    }
    std::size_t stores = 0, scored = 0;
    for (isa::Instruction& instruction : list) {
      auto* store = std::get_if<isa::Store>(&instruction);
      if (store == nullptr ||
          store->source != static_cast<std::uint32_t>(isa::StoreSource::kPost) ||
          stores == outputs.size()) {
        continue;
      }
      const isa::Conv& conv = *outputs[stores++];
      if (conv.gap == 0 || conv.product == 0) continue;
      ++scored;
      store->x_words = 4;
      store->y_count = 1;
      store->z_count = conv.n_blocks;
    }
    REQUIRE(stores == outputs.size());
    REQUIRE(scored > 2);
    program.instructions.clear();
    for (const isa::Instruction& instruction : list) isa::encode(instruction, program.instructions);
    compare(program);
  }
}

TEST_CASE("timing: a pass with an operand takes at most 3 cycles a word") {
  tests::GraphBuilder builder(5);
  const int x = builder.input(16, 112, 112);
  const int y = builder.conv(x, 16, 3);
  const auto program = compiled(builder.finish(builder.add(builder.conv(y, 16, 1), y)), "edge");
  const auto estimate = timing::estimate(program);
  REQUIRE(estimate.ok());
  REQUIRE(estimate->layers.size() == 2);
  // Two words to load for each to store; loads alone take two cycles.
  INFO(estimate->layers[1].cycles << " cycles");
  CHECK(estimate->layers[1].cycles < 3 * 112 * 112);
  CHECK(estimate->layers[1].cycles > 2 * 112 * 112);
  compare(program);
}

TEST_CASE("timing: a program that would hang is named") {
  auto program = compiled(tests::resnet8(), "nano");
  std::vector<isa::Instruction> list = program::decode_all(program);
  // A LOAD that the first CONV's weights come with, gone.
  std::size_t at = 0;
  while (std::get_if<isa::Load>(&list[at]) == nullptr ||
         std::get<isa::Load>(list[at]).target !=
             static_cast<std::uint32_t>(isa::LoadTarget::kWeights)) {
    ++at;
  }
  isa::Nop nop;
  nop.engine = static_cast<std::uint32_t>(isa::Engine::kLoadW);
  for (std::size_t i = at; i < list.size(); ++i) {
    const auto* load = std::get_if<isa::Load>(&list[i]);
    if (load != nullptr && isa::queue_of(list[i]) == isa::Engine::kLoadW) list[i] = nop;
  }
  program.instructions.clear();
  for (const isa::Instruction& instruction : list) isa::encode(instruction, program.instructions);
  const auto estimate = timing::estimate(program);
  REQUIRE_FALSE(estimate.ok());
  CHECK(estimate.error().message.find("hang") != std::string::npos);
  CHECK(estimate.error().message.find("exec holds instruction") != std::string::npos);
}
