// Random programs on the functional simulator and on the RTL: the same memory, byte for byte.

#include "bare_metal.hpp"
#include "catch.hpp"
#include "iss/hazards.hpp"
#include "random_program.hpp"
#include "seed.hpp"
#include "wrapping_program.hpp"

using namespace espalier;

namespace {

/// The simulator's memory, byte for byte, after the machine ran the program.
void compare(const isa::Config& config, const tests::RandomProgram& program,
             const tb::SimulationOptions& options) {
  iss::Regions expected = program.regions;
  const Status status = iss::Iss(config).run(program.instructions, expected);
  INFO((status.ok() ? std::string("ran") : status.error().text()));
  REQUIRE(status.ok());
  auto machine = tb::make_simulation(config, options);
  REQUIRE(machine.ok());
  const auto run = tests::run_bare(**machine, config, program.regions, program.code_offset);
  INFO("fault " << isa::name(run.result.fault) << " of engine " << run.result.fault_engine << " at "
                << run.result.fault_address);
  REQUIRE_FALSE(run.result.timed_out);
  REQUIRE(run.result.fault == isa::Fault::kNone);
  for (std::size_t r = 0; r < 5; ++r) {
    for (std::size_t b = 0; b < expected[r].size(); ++b) {
      if (run.regions[r][b] != expected[r][b]) {
        INFO("region " << r << " byte " << b);
        REQUIRE(int{run.regions[r][b]} == int{expected[r][b]});
      }
    }
  }
}

void compare(const char* name, int usual, int jobs, bool masked = false) {
  const isa::Config& config = *isa::find_config(name);
  const std::uint64_t seed = tests::seed();
  const auto programs = static_cast<std::uint64_t>(tests::rounds(usual));
  for (std::uint64_t i = 0; i < programs; ++i) {
    INFO("ESPALIER_SEED=" << seed << " " << name << " program " << i);
    const auto program = tests::random_program(config, seed * 1000 + i, jobs, masked);
    tb::SimulationOptions options;
    options.memory.read_latency = static_cast<int>(5 + i * 37 % 200);
    options.memory.write_latency = static_cast<int>(2 + i * 53 % 100);
    options.memory.stall = i % 3 == 0 ? 0.0 : (i % 3 == 1 ? 0.2 : 0.6);
    options.memory.seed = seed + i;
    options.max_cycles = 5'000'000;
    compare(config, program, options);
  }
}

}  // namespace

TEST_CASE("rtl: random programs equal the functional simulator on pico") { compare("pico", 8, 15); }
TEST_CASE("rtl: random programs equal the functional simulator on nano") {
  compare("nano", 60, 15);
}
TEST_CASE("rtl: random programs equal the functional simulator on tiny") {
  compare("tiny", 30, 15);
}
TEST_CASE("rtl: random programs equal the functional simulator on edge") {
  compare("edge", 20, 15);
}
TEST_CASE("rtl: random programs equal the functional simulator on zynq") {
  compare("zynq", 20, 15);
}
TEST_CASE("rtl: random programs equal the functional simulator on wide") {
  compare("wide", 10, 10);
}

TEST_CASE("rtl: sums of a program that is not ours wrap as the simulator's do") {
  const isa::Config& config = *isa::find_config("nano");
  compare(config, tests::WrappingProgram(config).program, {});
}

TEST_CASE("rtl: random masked programs equal the functional simulator on nano") {
  compare("nano", 60, 15, true);
}
TEST_CASE("rtl: random masked programs equal the functional simulator on tiny") {
  compare("tiny", 30, 15, true);
}
TEST_CASE("rtl: random masked programs equal the functional simulator on edge") {
  compare("edge", 20, 15, true);
}
TEST_CASE("rtl: random masked programs equal the functional simulator on zynq") {
  compare("zynq", 20, 15, true);
}
TEST_CASE("rtl: random masked programs equal the functional simulator on wide") {
  compare("wide", 10, 10, true);
}
