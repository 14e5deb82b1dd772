// The functional simulator against itself: every legal order of the engines gives the same memory,
// and the hazard checker sees each dependency that is taken away.

#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <set>
#include <string>

#include "catch.hpp"
#include "isa/clip.hpp"
#include "iss/hazards.hpp"
#include "iss/iss.hpp"
#include "iss/numerics.hpp"
#include "random_program.hpp"
#include "seed.hpp"
#include "wrapping_program.hpp"

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

TEST_CASE("iss: of bounds that cross the lower one is looked at first, as the machine does") {
  CHECK(iss::requantise(0, bits(1.0F), 0, 5, -5) == 5);
  CHECK(iss::requantise(10, bits(1.0F), 0, 5, -5) == -5);
  CHECK(iss::residual_add(0, 0, 1U << 13, 0, 0, 0, 13, 0, 5, -5) == 5);
  CHECK(iss::residual_add(10, 0, 1U << 13, 0, 0, 0, 13, 0, 5, -5) == -5);
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
      const auto program = tests::random_program(config, seed * 1000 + i, 12, i % 2 == 1);
      const auto clipped = isa::clip_all(program.instructions, program.regions[4], config);
      REQUIRE(clipped.ok());
      const Status hazards = iss::check_hazards(config, *clipped);
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

TEST_CASE("iss: random programs draw every field of every instruction") {
  const isa::Config& config = *isa::find_config("tiny");
  std::map<std::string, std::set<std::int64_t>> seen;
  const auto note = [&seen](const std::string& record, const auto& x) {
    isa::for_each_field(x, [&](std::string_view field, const auto& value, unsigned, unsigned, bool,
                               std::int64_t, std::int64_t) {
      seen[record + "." + std::string(field)].insert(std::int64_t{value});
    });
  };
  int clipped = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const auto program = tests::random_program(config, tests::seed() * 500 + i, 15, i % 2 == 1);
    for (const isa::Instruction& any : program.instructions) {
      std::visit([&](const auto& x) { note(std::string(isa::name(x.kOpcode)), x); }, any);
      const isa::Clip* clip = isa::clip_of(any);
      if (clip == nullptr) continue;
      note("clip." +
               std::string(std::visit([](const auto& x) { return isa::name(x.kOpcode); }, any)),
           *clip);
      const std::string trouble = isa::clip_trouble(any, config);
      INFO(isa::disassemble(any));
      REQUIRE(trouble.empty());
      ++clipped;
    }
  }
  CHECK(clipped > 500);
  // What one value has, and where it is tried instead. `end` has nothing but a header.
  const std::set<std::string> fixed = {
      "conv.w_sparse",  // tests/integration/tiles_test.cpp, tests/unit/rtl_exec_test.cpp
      "clip.load.last_taps", "clip.load.w_start",  // of CONVs
      "clip.store.image",    "clip.store.rows",   "clip.store.last_taps", "clip.store.w_start",
      "clip.pool.cut",       "clip.pool.by_k",    "clip.pool.shift",      "clip.pool.image",
      "clip.pool.words",     "clip.pool.rows",    "clip.pool.last_taps",  "clip.pool.w_start",
      "clip.conv.cut",       "clip.conv.by_k",    "clip.conv.shift",      "clip.conv.image",
      "clip.conv.words",     "clip.conv.rows",
  };
  for (const auto& [field, values] : seen) {
    if (field.starts_with("end.")) continue;
    INFO(field << " takes " << values.size() << " values from " << *values.begin() << " to "
               << *values.rbegin());
    CHECK((values.size() > 1) != fixed.contains(field));
  }
  CHECK(seen.size() > 150);
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

TEST_CASE("iss: sums of a program that is not ours wrap") {
  for (const char* name : {"nano", "edge"}) {
    const tests::WrappingProgram wrapping(*isa::find_config(name));
    REQUIRE(wrapping.sum < -(std::int64_t{1} << 31));
    const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(wrapping.sum));
    iss::Regions regions = wrapping.program.regions;
    REQUIRE(iss::Iss(*isa::find_config(name)).run(wrapping.program.instructions, regions).ok());
    CHECK(sum > 0);
    CHECK(int{regions[1][0]} == iss::requantise(sum, bits(0x1p-25F), 0, -128, 127));
  }
}

namespace {

/// Another value of a field; counts of what takes time stay small.
template <typename Field>
void change(std::string_view name, Field& value, std::int64_t low, std::int64_t high,
            std::mt19937_64& random) {
  constexpr std::string_view kCounts[] = {"x_words", "y_count",  "z_count",  "blocks", "rows",
                                          "cols",    "k_blocks", "n_blocks", "kh",     "kw"};
  if (name.ends_with("_engine")) high = 6;
  if (std::ranges::count(kCounts, name) > 0) high = std::min<std::int64_t>(high, 6);
  const std::uint64_t span = static_cast<std::uint64_t>(high - low) + 1;
  const std::int64_t values[] = {low, high, low + static_cast<std::int64_t>(random() % span)};
  value = static_cast<Field>(values[random() % 3]);
}

}  // namespace

// Under the sanitizers (ESPALIER_SANITIZE) this is where undefined behaviour would show.
TEST_CASE("iss: programs with any fields are run or refused, never more") {
  const std::uint64_t seed = tests::seed();
  INFO("ESPALIER_SEED=" << seed);
  int ran = 0, refused = 0;
  std::mt19937_64 random(seed);
  for (const char* name : {"pico", "nano", "edge"}) {
    const isa::Config& config = *isa::find_config(name);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(tests::rounds(150)); ++i) {
      const bool masked = config.mask_layers > 0 && i % 3 == 0;
      auto program = tests::random_program(config, seed * 1000 + i, 4, masked);
      for (std::uint64_t changes = 1 + random() % 4; changes > 0; --changes) {
        auto& chosen = program.instructions[random() % program.instructions.size()];
        std::visit(
            [&](auto& x) {
              unsigned fields = 0;
              isa::for_each_field(x, [&](auto&&...) { ++fields; });
              std::uint64_t at = random() % fields;
              isa::for_each_field(x, [&](std::string_view field, auto& value, unsigned, unsigned,
                                         bool, std::int64_t low, std::int64_t high) {
                if (at-- == 0) change(field, value, low, high, random);
              });
            },
            chosen);
      }
      (void)iss::check_hazards(config, program.instructions);
      const Status status = iss::Iss(config, {i % 2}).run(program.instructions, program.regions);
      (status.ok() ? ran : refused) += 1;
      if (!status.ok()) CHECK_FALSE(status.error().message.empty());
    }
  }
  CHECK(ran > tests::rounds(40));
  CHECK(refused > tests::rounds(40));
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
