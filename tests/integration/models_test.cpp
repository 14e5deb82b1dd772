// The models beside the fast ones: assertions on during random programs, waves, and complaints.

#include <filesystem>

#include "bare_metal.hpp"
#include "catch.hpp"
#include "random_program.hpp"
#include "seed.hpp"
#include "skip.hpp"

using namespace espalier;

TEST_CASE("models: no assertion fires in random programs") {
  if (tb::asserting_models().empty()) return tests::skip("this build has no such model");
  for (const std::string& name : tb::asserting_models()) {
    const isa::Config& config = *isa::find_config(name);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(12)); ++i) {
      const std::uint64_t seed = tests::seed(500) + i;
      INFO(name << " ESPALIER_SEED=" << seed);
      const auto program = tests::random_program(config, seed, 12, config.mask_layers > 0 && i % 2);
      tb::SimulationOptions options;
      options.asserting = true;
      options.memory.stall = i % 2 == 0 ? 0.0 : 0.4;
      options.memory.seed = seed;
      options.max_cycles = 5'000'000;
      auto machine = tb::make_simulation(config, options);
      REQUIRE(machine.ok());
      const auto run = tests::run_bare(**machine, config, program.regions, program.code_offset);
      REQUIRE_FALSE(run.result.timed_out);
      REQUIRE(run.result.fault == isa::Fault::kNone);
    }
  }
}

TEST_CASE("models: a traced run writes a wave and gives the same cycles as a fast one") {
  const auto file = std::filesystem::temp_directory_path() / "espalier_models_test.fst";
  if (tb::traced_models().empty()) return tests::skip("this build has no such model");
  for (const std::string& name : tb::traced_models()) {
    const isa::Config& config = *isa::find_config(name);
    const auto program = tests::random_program(config, 7, 3);
    std::array<std::uint64_t, 2> cycles{};
    for (const bool traced : {false, true}) {
      tb::SimulationOptions options;
      if (traced) options.wave = file.string();
      auto machine = tb::make_simulation(config, options);
      REQUIRE(machine.ok());
      const auto run = tests::run_bare(**machine, config, program.regions, program.code_offset);
      REQUIRE(run.result.fault == isa::Fault::kNone);
      cycles[traced ? 1 : 0] = run.result.cycles;
    }
    REQUIRE(cycles[0] == cycles[1]);
    REQUIRE(std::filesystem::file_size(file) > 1000);
    std::filesystem::remove(file);
  }
}

TEST_CASE("models: programs without masks take the same cycles with a layer table and without") {
  if (tb::maskless_models().empty()) return tests::skip("this build has no such model");
  for (const std::string& name : tb::maskless_models()) {
    const isa::Config& config = *isa::find_config(name);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::compiled_rounds(8)); ++i) {
      const std::uint64_t seed = tests::seed(300) + i;
      INFO(name << " ESPALIER_SEED=" << seed);
      isa::Config plain = config;
      plain.mask_layers = 0;
      const auto program = tests::random_program(plain, seed, 12);
      std::array<std::uint64_t, 2> cycles{};
      for (const bool masks : {false, true}) {
        tb::SimulationOptions options;
        options.masks = masks;
        auto machine = tb::make_simulation(config, options);
        REQUIRE(machine.ok());
        const auto run = tests::run_bare(**machine, config, program.regions, program.code_offset);
        REQUIRE(run.result.fault == isa::Fault::kNone);
        cycles[masks ? 1 : 0] = run.result.cycles;
      }
      REQUIRE(cycles[0] == cycles[1]);
    }
  }
}

TEST_CASE("models: what a build does not have or cannot do is named") {
  const auto complaint = [](const char* name, const tb::SimulationOptions& options) {
    const auto made = tb::make_simulation(*isa::find_config(name), options);
    REQUIRE_FALSE(made.ok());
    REQUIRE(made.error().code == ErrorCode::kUsage);
    return made.error().text();
  };
  tb::SimulationOptions options;
  options.wave = "wave.fst";
  REQUIRE(complaint("wide", options) ==
          "machine wide: no model that writes waves; this build has nano, edge");
  options.wave = "/nonexistent/wave.fst";
  REQUIRE(complaint("edge", options) == "/nonexistent/wave.fst: cannot write the wave");
  options.wave.clear();
  options.asserting = true;
  REQUIRE(complaint("edge", options) ==
          "machine edge: no model with assertions; this build has pico, nano, tiny");
  options.asserting = false;
  options.memory.stall = 1.0;
  REQUIRE(complaint("edge", options).find("stall probability") != std::string::npos);
}
