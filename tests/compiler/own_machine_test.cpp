// Machines that stand in no table: a program brings its own.

#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/run.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

/// Half of `edge`'s activation buffer and twice its weight ring, which no configuration has.
isa::Config own_machine() {
  isa::Config machine = *isa::find_config("edge");
  machine.name = "own";
  machine.act_words /= 2;
  machine.weight_words *= 2;
  machine.hash = isa::config_hash(machine);
  return machine;
}

}  // namespace

TEST_CASE("own machine: the fingerprints of all configurations follow from their sizes") {
  for (const isa::Config& config : isa::kConfigs) {
    INFO(config.name);
    CHECK(isa::config_hash(config) == config.hash);
    CHECK(isa::check_config(config).ok());
  }
}

TEST_CASE("own machine: its program is compiled, written, read, run and timed") {
  const isa::Config machine = own_machine();
  REQUIRE(isa::find_config("own") == nullptr);
  const auto made = compiler::compile(resnet8(), machine);
  REQUIRE(made.ok());
  const auto read = program::parse(program::serialise(*made), "own.espl");
  REQUIRE(read.ok());
  CHECK(read->config == machine);
  const auto image = random_image(read->graph, 5);
  const auto outputs = iss::run(*read, image);
  REQUIRE(outputs.ok());
  const auto expected = golden::run(read->graph, image);
  CHECK(outputs->output == expected[static_cast<std::size_t>(read->graph.output)]);
  const auto times = timing::estimate(*read);
  REQUIRE(times.ok());
  CHECK(times->cycles > 0);
}

TEST_CASE("own machine: sizes that no machine has are refused by name and range") {
  struct Case {
    const char* place;
    void (*change)(isa::Config&);
  };
  int compared = 0;
  for (const Case& c : {
           Case{"config: lanes", [](isa::Config& m) { m.lanes = 12; }},
           Case{"config: act_words", [](isa::Config& m) { m.act_words = 3000; }},
           Case{"config: weight_words", [](isa::Config& m) { m.weight_words = 1 << 20; }},
           Case{"config: acc_words", [](isa::Config& m) { m.acc_words = 0; }},
           Case{"config: param_blocks", [](isa::Config& m) { m.param_blocks = -64; }},
           Case{"config: bus_bytes", [](isa::Config& m) { m.bus_bytes = 2 * m.lanes; }},
           Case{"config: post_lanes", [](isa::Config& m) { m.post_lanes = 3; }},
           Case{"config: pool_lanes", [](isa::Config& m) { m.pool_lanes = 0; }},
           Case{"config: mask_layers", [](isa::Config& m) { m.mask_layers = 5000; }},
           Case{"config: pack_lanes", [](isa::Config& m) { m.pack_lanes = 5; }},
           Case{"config: address_bits", [](isa::Config& m) { m.address_bits = 40; }},
           Case{"config: core", [](isa::Config& m) { m.core = static_cast<isa::Core>(7); }},
           Case{"config", [](isa::Config& m) { m.acc_halves = 1; }},
           Case{"config", [](isa::Config& m) { m.timing_model = false; }},
       }) {
    isa::Config machine = own_machine();
    c.change(machine);
    machine.hash = isa::config_hash(machine);
    const Status status = isa::check_config(machine);
    INFO(c.place);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().code == ErrorCode::kRange);
    CHECK(status.error().place == c.place);
    ++compared;
  }
  CHECK(compared == 14);
  isa::Config other = own_machine();
  other.hash ^= 1;
  CHECK(isa::check_config(other).error().code == ErrorCode::kMismatch);
}

}  // namespace espalier::tests
