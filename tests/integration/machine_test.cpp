// The whole machine with small programs by hand: results, rates, counters, registers.

#include <cstring>
#include <random>

#include "machine_tester.hpp"
#include "seed.hpp"

using namespace espalier;
using isa::Engine;
using tests::copy_words;
using tests::MachineTester;

namespace {

constexpr auto kOut = MachineTester::kOut, kData = MachineTester::kData;

void fill_random(MachineTester& tester) {
  std::mt19937_64 random(tests::seed(21));
  for (std::uint32_t at = kData; at < kOut; ++at)
    tester.byte(at) = static_cast<std::uint8_t>(random());
}

bool same(MachineTester& tester, std::uint32_t a, std::uint32_t b, std::uint32_t bytes) {
  const auto& memory = tester.machine().memory();
  return std::memcmp(memory.data() + a, memory.data() + b, bytes) == 0;
}

/// A 2 x 2 convolution over 3 x 3 pixels of 4 channels: 4 output pixels.
std::vector<isa::Instruction> convolution() {
  isa::Load weights;
  weights.target = 2;
  weights.x_words = 16;
  isa::Load parameters;
  parameters.target = 3;
  parameters.offset = 0x100;
  parameters.x_words = 8;
  isa::Load activations;
  activations.offset = 0x200;
  activations.x_words = 9;
  activations.sram_address = 2044;  // wraps
  isa::Conv conv;
  conv.layer = 3;
  conv.first = conv.last = 1;
  conv.zx = 2;
  conv.act_base = 2044;
  conv.row_pitch = conv.y_step = conv.tap_step = 3;
  conv.plane = 9;
  conv.in_rows = conv.in_cols = 3;
  conv.kh = conv.kw = 2;
  conv.rows = conv.cols = 2;
  conv.w_n_stride = 4;
  conv.w_tap_stride = 1;
  conv.w_piece = 16;
  conv.w_release = conv.p_release = 1;
  conv.zy = -1;
  conv.lo = -128;
  conv.hi = 127;
  conv.dep0_engine = static_cast<std::uint32_t>(Engine::kLoadA);
  conv.dep0_count = 1;
  isa::Store store;
  store.layer = 3;
  store.region = 1;
  store.x_words = 4;
  return {weights, parameters, activations, conv, store, isa::End{}};
}

}  // namespace

TEST_CASE("machine: a convolution by hand") {
  for (const double stall : {0.0, 0.5}) {
    MachineTester tester("nano", stall);
    fill_random(tester);
    const float scale = 0.01F;
    std::array<std::int32_t, 4> bias = {0, 100, -1000, 7};
    for (std::size_t n = 0; n < 4; ++n) {
      std::memcpy(&tester.byte(kData + 0x100) + 8 * n, &bias[n], 4);
      std::memcpy(&tester.byte(kData + 0x104) + 8 * n, &scale, 4);
    }
    const auto result = tester.program(convolution()).run();
    REQUIRE(result.fault == isa::Fault::kNone);
    const auto value = [&](std::uint32_t at) {
      return static_cast<std::int8_t>(tester.byte(kData + at));
    };
    for (std::uint32_t pixel = 0; pixel < 4; ++pixel) {
      for (std::uint32_t n = 0; n < 4; ++n) {
        std::int32_t sum = bias[n];
        for (std::uint32_t tap = 0; tap < 4; ++tap) {
          const std::uint32_t from = (pixel / 2 + tap / 2) * 3 + pixel % 2 + tap % 2;
          for (std::uint32_t k = 0; k < 4; ++k) {
            sum += (value(0x200 + from * 4 + k) - 2) * value(n * 16 + tap * 4 + k);
          }
        }
        const float scaled = std::nearbyint(static_cast<float>(sum) * scale);
        const float expected = std::min(127.0F, std::max(-128.0F, scaled - 1.0F));
        INFO("pixel " << pixel << " channel " << n);
        REQUIRE(static_cast<int>(static_cast<std::int8_t>(tester.byte(kOut + pixel * 4 + n))) ==
                static_cast<int>(expected));
      }
    }
  }
}

TEST_CASE("machine: cycles are charged to layers and counters agree with the program") {
  MachineTester tester;
  fill_random(tester);
  const auto result = tester.program(convolution()).run();
  REQUIRE(result.fault == isa::Fault::kNone);
  const auto counter = [&](isa::Counter c) { return result.counters[static_cast<std::size_t>(c)]; };
  std::uint64_t sum = 0;
  for (const auto cycles : result.cycles_by_layer) sum += cycles;
  REQUIRE(sum == result.cycles);
  REQUIRE(result.cycles_by_layer.size() == 4);
  REQUIRE(result.cycles_by_layer[3] > 0);
  REQUIRE(counter(isa::Counter::kInstructions) == 5);
  REQUIRE(counter(isa::Counter::kPasses) == 4);
  REQUIRE(counter(isa::Counter::kExecBusy) == 16);
  REQUIRE(counter(isa::Counter::kReadBeats) == 16 + 8 + 9 + 4 * (2 + 2 + 2 + 5 + 2 + 1));
  REQUIRE(counter(isa::Counter::kWriteBeats) == 4);
}

TEST_CASE("machine: retirements are reported with their counts, once what they wrote is there") {
  MachineTester tester;
  fill_random(tester);
  std::array<std::uint64_t, 7> counts{};
  bool stored = false;
  const auto result =
      tester.program(copy_words(0, 0, 40)).run([&](Engine engine, std::uint64_t count) {
        REQUIRE(count == ++counts[static_cast<std::size_t>(engine)]);
        if (engine == Engine::kStore) stored = same(tester, kData, kOut, 160);
      });
  REQUIRE(result.fault == isa::Fault::kNone);
  REQUIRE(stored);
  REQUIRE(counts == std::array<std::uint64_t, 7>{0, 1, 0, 0, 0, 1, 1});
}

TEST_CASE("machine: transfers by strides, round the activation buffer's end, on every bus") {
  for (const char* config : {"nano", "tiny", "edge", "zynq", "wide"}) {
    INFO(config);
    MachineTester tester(config, 0.3, false);
    fill_random(tester);
    const auto lanes = static_cast<std::uint32_t>(tester.config().lanes);
    auto list = copy_words(0, 0, 60, static_cast<std::uint32_t>(tester.config().act_words) - 7);
    auto& load = std::get<isa::Load>(list[0]);
    load.x_words = 5;
    load.y_count = 4;
    load.z_count = 3;
    load.y_stride = 6 * lanes;
    load.z_stride = 100 * lanes;
    auto& store = std::get<isa::Store>(list[2]);
    store.x_words = 10;
    store.y_count = 6;
    store.y_stride = 33 * lanes;
    const auto result = tester.program(list).run();
    REQUIRE(result.fault == isa::Fault::kNone);
    for (std::uint32_t word = 0; word < 60; ++word) {
      const std::uint32_t from =
          word % 5 * lanes + word / 5 % 4 * 6 * lanes + word / 20 * 100 * lanes;
      const std::uint32_t to = word % 10 * lanes + word / 10 * 33 * lanes;
      REQUIRE(same(tester, kData + from, kOut + to, lanes));
    }
    REQUIRE(tester.byte(kOut + 10 * lanes) == 0xA5);  // between rows
  }
}

TEST_CASE("machine: a long LOAD moves a beat a cycle, and so do many of one row") {
  for (const std::uint32_t rows : {1U, 32U}) {
    MachineTester tester("edge", 0, false);
    std::vector<isa::Instruction> list;
    for (std::uint32_t i = 0; i < rows; ++i) {
      isa::Load load;
      load.offset = i * 512;
      load.x_words = 1024 / rows;
      list.emplace_back(load);
    }
    list.emplace_back(isa::End{});
    const auto result = tester.program(list).run();
    REQUIRE(result.fault == isa::Fault::kNone);
    const auto beats = result.counters[static_cast<std::size_t>(isa::Counter::kReadBeats)];
    REQUIRE(beats == 1024 + 2 * rows + 1);
    // One latency for the first words of the program, one for the first data, and the fetches.
    REQUIRE(result.cycles < beats + 2 * 62 + 40);
  }
}

TEST_CASE("machine: runs again and again, from any word, on a bus of two words too") {
  for (const char* config : {"nano", "edge", "wide"}) {
    MachineTester tester(config, 0.2, false);
    fill_random(tester);
    const auto lanes = static_cast<std::uint32_t>(tester.config().lanes);
    for (std::uint32_t i = 0; i < 4; ++i) {
      INFO(config << " run " << i);
      std::vector<std::uint8_t> code(16 * i, 0xFF);
      for (const auto& instruction : copy_words(i * 64, i * 4096, 30))
        isa::encode(instruction, code);
      tester.raw(code)
          .set(isa::reg::kProgramAddress, MachineTester::kCode + 16 * i)
          .set(isa::reg::kProgramWords, static_cast<std::uint32_t>(code.size() / 16 - i));
      const auto result = tester.run();
      REQUIRE(result.fault == isa::Fault::kNone);
      REQUIRE(same(tester, kData + i * 64, kOut + i * 4096, 30 * lanes));
    }
  }
}

TEST_CASE("machine: registers hold what is written, and the read-only ones do not move") {
  namespace reg = isa::reg;
  MachineTester tester;
  REQUIRE(tester.get(reg::kId) == reg::kIdValue);
  REQUIRE(tester.get(reg::kVersion) == isa::kIsaVersion);
  REQUIRE(tester.get(reg::kConfigHash) == tester.config().hash);
  REQUIRE(tester.get(reg::kStatus) == 0);
  for (const std::uint32_t r : {reg::kProgramHash, reg::kProgramWords, reg::kReadLow,
                                reg::kReadHigh, reg::kWriteLow, reg::kWriteHigh, reg::kWatchdog}) {
    for (const std::uint32_t value : {0U, 0xFFFFFFFFU, 0x12345678U}) {
      REQUIRE(tester.set(r, value).get(r) == value);
    }
  }
  for (const std::uint32_t r : {reg::kBase0, reg::kBase1, reg::kBase2, reg::kBase3, reg::kBase4}) {
    REQUIRE(tester.set(r, 0xFFFFFFFFU).get(r) == 0xFFFFFFE0U);
  }
  REQUIRE(tester.set(reg::kProgramAddress, 0xFFFFFFFFU).get(reg::kProgramAddress) == 0xFFFFFFF0U);
  REQUIRE(tester.set(reg::kIrqEnable, 0xFFFFFFFFU).get(reg::kIrqEnable) == 3);
  for (const std::uint32_t r :
       {reg::kId, reg::kVersion, reg::kConfigHash, reg::kStatus, reg::kIrqStatus, reg::kFaultCause,
        reg::kFaultAddress, reg::kFaultEngine, reg::kCountersBase, 0x0FCU, 0x800U, 0xFFCU}) {
    const std::uint32_t before = tester.get(r);
    REQUIRE(tester.set(r, 0xFFFFFFFFU).get(r) == before);
  }
}

TEST_CASE("machine: done is shown in status and interrupt until it is cleared") {
  namespace reg = isa::reg;
  MachineTester tester;
  tester.program({isa::End{}}).run();
  REQUIRE(tester.get(reg::kStatus) == 2);
  REQUIRE(tester.get(reg::kIrqStatus) == 1);
  tester.set(reg::kIrqStatus, 2);
  REQUIRE(tester.get(reg::kIrqStatus) == 1);
  tester.set(reg::kIrqStatus, 1);
  REQUIRE(tester.get(reg::kIrqStatus) == 0);
}

TEST_CASE("machine: a run that takes too long is given up, and the machine can be used again") {
  tb::SimulationOptions options;
  options.max_cycles = 500;
  const isa::Config& config = *isa::find_config("nano");
  auto made = tb::make_simulation(config, options);
  REQUIRE(made.ok());
  auto& machine = **made;
  machine.memory().assign(4096, 0);
  isa::Nop never;
  never.dep0_engine = 1;
  never.dep0_count = 1;
  std::vector<std::uint8_t> code;
  isa::encode(never, code);
  isa::encode(isa::End{}, code);
  std::copy(code.begin(), code.end(), machine.memory().begin());
  machine.write_register(isa::reg::kReadHigh, 4096);
  machine.write_register(isa::reg::kProgramHash, config.hash);
  machine.write_register(isa::reg::kProgramWords, 2);
  machine.write_register(isa::reg::kIrqEnable, 3);
  REQUIRE(machine.run({}).timed_out);
  code.clear();
  isa::encode(isa::End{}, code);
  std::copy(code.begin(), code.end(), machine.memory().begin());
  const auto result = machine.run({});
  REQUIRE_FALSE(result.timed_out);
  REQUIRE(result.fault == isa::Fault::kNone);
}
