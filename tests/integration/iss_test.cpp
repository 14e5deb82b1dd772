// The functional simulator against itself: every legal order of the engines gives the same memory,
// and the hazard checker sees each dependency that is taken away.

#include <bit>

#include "catch.hpp"
#include "iss/hazards.hpp"
#include "iss/iss.hpp"
#include "iss/numerics.hpp"
#include "random_program.hpp"
#include "seed.hpp"

using namespace espalier;

namespace {

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

}  // namespace

TEST_CASE("iss: requantises by hand-computed literals") {
  CHECK(iss::requantise(5, bits(0.5F), 0, -128, 127) == 2);  // 2.5 to even
  CHECK(iss::requantise(7, bits(0.5F), 0, -128, 127) == 4);  // 3.5 to even
  CHECK(iss::requantise(-5, bits(0.5F), 0, -128, 127) == -2);
  CHECK(iss::requantise(-5, bits(0.5F), 3, 2, 127) == 2);  // zero point, then the clamp
  CHECK(iss::requantise(100, bits(0.1F), 0, -128, 127) == 10);
  CHECK(iss::requantise(16777217, bits(1.0F / 16777216), 0, -128, 127) == 1);
  CHECK(iss::requantise(16777219, bits(0.5F), -8388600, -128, 127) ==
        10);  // 2^24 + 3 rounds to 2^24 + 4
  CHECK(iss::requantise(2147483647, bits(1e30F), 0, -128, 127) == 127);
  CHECK(iss::requantise(-2147483647 - 1, bits(1e30F), 0, -128, 127) == -128);
  CHECK(iss::requantise(1, 0x7F800000U, 0, -128, 127) == 127);
  CHECK(iss::requantise(-1, 0x7F800000U, 0, -128, 127) == -128);
  CHECK(iss::requantise(1000, 0x007FFFFFU, 5, -128, 127) == 5);  // subnormal multiplier
  CHECK(iss::requantise(0, 0x7F800000U, 7, -128, 127) == 7);
}

TEST_CASE("iss: rounds and adds by hand-computed literals") {
  CHECK(iss::rne_shift(3, 1) == 2);
  CHECK(iss::rne_shift(1, 1) == 0);
  CHECK(iss::rne_shift(-3, 1) == -2);
  CHECK(iss::rne_shift(-1, 1) == 0);
  CHECK(iss::rne_shift(6, 2) == 2);
  CHECK(iss::rne_shift(5, 2) == 1);
  // (10 - 2) * 2^20 + (-4 - 1) * 2^19 = 5.5 * 2^20
  CHECK(iss::residual_add(10, 2, 1U << 20, -4, 1, 1U << 19, 20, 3, -128, 127) == 9);
  CHECK(iss::residual_add(127, -128, (1U << 22) - 1, 127, -128, (1U << 22) - 1, 13, 0, -128, 127) ==
        127);
}

TEST_CASE("iss: a score is the product of two bytes, whatever the operand's zero point") {
  CHECK(iss::score(3, 1, 1U << 8, -128, -2, 7) == 2 * 256 + 5 * 7);
  CHECK(iss::score(127, -128, 0, 127, -128, 0) == 255 * 255 - 65536);  // 16 bits
  for (int zero = -128; zero < 128; zero += 51) {
    for (int y = -128; y < 128; ++y) {
      for (int b = -128; b < 128; ++b) {
        const auto mb = static_cast<std::uint32_t>(-128 - zero) % 65536;
        if (iss::score(y, 0, 0, b, 0, mb) != y * (b - zero)) {
          FAIL(y << " * (" << b << " - " << zero << ")");
        }
      }
    }
  }
}

TEST_CASE("iss: any legal order of the engines leaves the same memory") {
  const std::uint64_t seed = tests::seed();
  INFO("ESPALIER_SEED=" << seed);
  for (const char* name : {"nano", "tiny", "edge"}) {
    const isa::Config& config = *isa::find_config(name);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::rounds(12)); ++i) {
      INFO(name << " program " << i);
      const auto program = tests::random_program(config, seed * 1000 + i, 12);
      const Status hazards = iss::check_hazards(config, program.instructions);
      INFO((hazards.ok() ? std::string("no hazard") : hazards.error().text()));
      REQUIRE(hazards.ok());
      iss::Regions fixed = program.regions;
      const Status status = iss::Iss(config).run(program.instructions, fixed);
      INFO((status.ok() ? std::string("ran") : status.error().text()));
      REQUIRE(status.ok());
      REQUIRE(fixed != program.regions);
      for (std::uint64_t order = 1; order <= 3; ++order) {
        iss::Regions other = program.regions;
        REQUIRE(iss::Iss(config, {order}).run(program.instructions, other).ok());
        REQUIRE(other == fixed);
      }
    }
  }
}

TEST_CASE("iss: the hazard checker names a dependency that was taken away") {
  const isa::Config& config = *isa::find_config("nano");
  const auto program = tests::random_program(config, 7, 20);
  int removed = 0, found = 0;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    auto waits = isa::dependencies(program.instructions[i]);
    for (auto& wait : waits) {
      if (wait.engine == isa::Engine::kNone) continue;
      auto broken = program.instructions;
      const auto kept = wait;
      wait = {};
      isa::set_dependencies(broken[i], waits);
      wait = kept;
      ++removed;
      found += iss::check_hazards(config, broken).ok() ? 0 : 1;
    }
  }
  // Some are implied by others; a load of its own tile never is.
  CHECK(removed > 30);
  CHECK(found > removed / 2);
}

TEST_CASE("iss: a program that would hang is refused with what it waits for") {
  const isa::Config& config = *isa::find_config("nano");
  isa::Conv conv;  // its weights never come
  std::vector<isa::Instruction> program = {conv, isa::End{}};
  iss::Regions regions;
  const Status status = iss::Iss(config).run(program, regions);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().text(), Catch::Matchers::Contains("exec holds instruction 0"));
}
