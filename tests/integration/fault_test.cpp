// Every fault: its cause, its engine, the instruction's address; and the machine works afterwards.

#include <cstring>

#include "iss/iss.hpp"
#include "machine_tester.hpp"

using namespace espalier;
using isa::Engine;
using isa::Fault;
using tests::copy_words;
using tests::MachineTester;

namespace {

using Program = std::vector<isa::Instruction>;

struct Expected {
  Fault cause;
  Engine engine;
  std::uint32_t address;
};

/// Runs what is loaded, expects the fault, then expects a good program to run.
void expect_fault(MachineTester& tester, const Expected& expected) {
  const auto result = tester.run();
  INFO("cause " << isa::name(result.fault) << ", expected " << isa::name(expected.cause));
  REQUIRE_FALSE(result.timed_out);
  REQUIRE(result.fault == expected.cause);
  REQUIRE(result.fault_engine == static_cast<std::uint32_t>(expected.engine));
  REQUIRE(result.fault_address == expected.address);
  REQUIRE((tester.get(isa::reg::kStatus) & 7U) == 4);
  REQUIRE(tester.get(isa::reg::kIrqStatus) == 2);
  tester.set(isa::reg::kControl, 1);  // ignored
  REQUIRE((tester.get(isa::reg::kStatus) & 7U) == 4);

  for (std::uint32_t i = 0; i < 64; ++i)
    tester.byte(MachineTester::kData + i) = static_cast<std::uint8_t>(i);
  tester.set(isa::reg::kProgramHash, tester.config().hash)
      .set(isa::reg::kReadLow, MachineTester::kCode)
      .set(isa::reg::kReadHigh, MachineTester::kOut)
      .set(isa::reg::kWriteLow, MachineTester::kOut)
      .set(isa::reg::kWriteHigh, MachineTester::kEnd)
      .set(isa::reg::kBase0, MachineTester::kData)
      .set(isa::reg::kBase1, MachineTester::kOut);
  const auto again = tester.program(copy_words(0, 0x100, 16)).run();
  REQUIRE(again.fault == Fault::kNone);
  REQUIRE_FALSE(again.timed_out);
  for (std::uint32_t i = 0; i < 64; ++i) REQUIRE(tester.byte(MachineTester::kOut + 0x100 + i) == i);
}

void expect_fault(const Program& program, Fault cause, Engine engine, std::size_t instruction,
                  bool masks = true, const char* machine = "nano") {
  for (const double stall : {0.0, 0.4}) {
    MachineTester tester(machine, stall, true, masks);
    tester.program(program);
    const std::uint32_t address = tester.address(instruction);
    expect_fault(tester, {cause, engine, address});
  }
}

/// The program with bits of its second instruction overwritten.
void expect_patched(const Program& program, unsigned bit, unsigned width, std::uint32_t value,
                    Fault cause) {
  std::vector<std::uint8_t> code;
  isa::encode(program[0], code);
  const std::size_t at = code.size();
  for (std::size_t i = 1; i < program.size(); ++i) isa::encode(program[i], code);
  for (unsigned i = 0; i < width; ++i) {
    auto& byte = code[at + (bit + i) / 8];
    const auto mask = static_cast<std::uint8_t>(1U << ((bit + i) % 8));
    byte = static_cast<std::uint8_t>(((value >> i) & 1U) != 0 ? byte | mask : byte & ~mask);
  }
  MachineTester tester;
  tester.raw(code);
  expect_fault(tester,
               {cause, Engine::kNone, MachineTester::kCode + static_cast<std::uint32_t>(at)});
}

isa::Nop nop(Engine engine = Engine::kLoadA) {
  isa::Nop n;
  n.engine = static_cast<std::uint32_t>(engine);
  return n;
}

isa::Conv conv() {
  isa::Conv c;
  c.last = 1;
  return c;
}

}  // namespace

TEST_CASE("fault: unknown opcodes and wrong lengths") {
  const Program program = {nop(), nop(), isa::End{}};
  for (const std::uint32_t opcode : {0U, 7U, 63U}) {
    expect_patched(program, 0, 6, opcode, Fault::kIllegalOpcode);
  }
  for (const std::uint32_t length : {0U, 2U, 7U}) {
    expect_patched(program, 6, 3, length, Fault::kIllegalLength);
  }
}

TEST_CASE("fault: what a mask needs, on a machine without a layer table") {
  isa::Load load;
  load.clip.emplace();
  expect_fault({nop(), load, isa::End{}}, Fault::kIllegalLength, Engine::kNone, 1, false);
  isa::Conv convolution = conv();
  convolution.clip.emplace();
  expect_fault({nop(), convolution, isa::End{}}, Fault::kIllegalLength, Engine::kNone, 1, false);
  convolution.clip.reset();
  convolution.w_sparse = 1;
  expect_fault({nop(), convolution, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1, false);
  convolution.w_sparse = 0;
  convolution.add = convolution.product = 1;
  convolution.add_shift = 13;
  expect_fault({nop(), convolution, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1, false);
  load = {};
  load.target = 4;
  expect_fault({nop(), load, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1, false);
  load = {};
  load.region = 4;
  expect_fault({nop(), load, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1, false);
  load = {};
  load.target = 5;
  expect_fault({nop(), load, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1, false);
  MachineTester tester("nano", 0, true, false);
  tester.set(isa::reg::kBase4, 0x1000);
  CHECK(tester.get(isa::reg::kBase4) == 0);
}

TEST_CASE("fault: clip words that make no sense and LOADs past the layer table") {
  isa::Load load;
  load.clip.emplace();
  load.layer = 63;
  load.clip->image = 1;  // of activations
  expect_fault({nop(), load, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1);
  isa::Load table;
  table.target = 4;
  table.x_words = (64 * 32 + 512 * 8) / 4 + 1;  // rows and bit maps
  expect_fault({nop(), table, isa::End{}}, Fault::kCapacity, Engine::kLoadW, 1);
  table.x_words = 64 * 8;
  table.sram_address = (512 * 8) / 4 + 1;
  expect_fault({nop(), table, isa::End{}}, Fault::kCapacity, Engine::kLoadW, 1);
  table.sram_address = 0;
  table.offset = MachineTester::kOut - MachineTester::kData - 64 * 32 + 4;
  expect_fault({nop(), table, isa::End{}}, Fault::kReadWindow, Engine::kLoadW, 1);
}

TEST_CASE("fault: fields out of range and spare bits") {
  expect_patched({nop(), nop(), isa::End{}}, 78, 2, 1, Fault::kIllegalField);
  expect_patched({nop(), nop(), isa::End{}}, 127, 1, 1, Fault::kIllegalField);
  expect_patched({nop(), isa::End{}}, 80, 1, 1, Fault::kIllegalField);
  expect_patched({nop(), nop(), isa::End{}}, 80, 3, 0, Fault::kIllegalField);
  expect_patched({nop(), nop(), isa::End{}}, 80, 3, 7, Fault::kIllegalField);
  expect_patched({nop(), nop(), isa::End{}}, 80, 3, 4, Fault::kIllegalField);  // post has no queue
  expect_patched({nop(), isa::Load{}, isa::End{}}, 179, 16, 0, Fault::kIllegalField);
  expect_patched({nop(), isa::Pool{}, isa::End{}}, 383, 1, 1, Fault::kIllegalField);
  expect_patched({nop(), conv(), isa::End{}}, 81, 4, 12, Fault::kIllegalField);
}

TEST_CASE("fault: a dependency on an engine that does not exist") {
  for (const unsigned bit : {21U, 40U, 59U}) {
    expect_patched({nop(), nop(), isa::End{}}, bit, 3, 7, Fault::kIllegalDependency);
  }
}

TEST_CASE("fault: fields that contradict each other") {
  const auto check = [](const isa::Instruction& instruction) {
    expect_fault({nop(), instruction, isa::End{}}, Fault::kIllegalField, Engine::kNone, 1);
  };
  // What spec/espalier.toml lists; the simulator finds the same.
  int listed = 0;
  const auto check_listed = [&](const isa::Instruction& instruction) {
    check(instruction);
    const std::vector<isa::Instruction> program{nop(), instruction, isa::End{}};
    iss::Regions regions;
    const Status run = iss::Iss(*isa::find_config("nano")).run(program, regions);
    REQUIRE_FALSE(run.ok());
    CHECK(run.error().message == "illegal_field: " + isa::contradiction_in(instruction));
    CHECK(run.error().place.find("instruction 1") == 0);
    ++listed;
  };
  check_listed(nop(Engine::kPost));
  isa::Conv c = conv();
  c.w_release = 1;
  c.w_offset = 1;
  check_listed(c);
  c = conv();
  c.p_release = 1;
  c.p_offset = 1;
  check_listed(c);
  c = conv();
  c.add = 1;
  c.add_shift = 12;
  check_listed(c);
  c = conv();
  c.gap = 1;
  c.gap_first = 1;
  c.n_blocks = 2;
  check_listed(c);
  c.gap_first = 0;
  c.gap_last = 1;
  check_listed(c);
  c = conv();
  c.product = 1;
  check_listed(c);
  c = conv();
  c.w_sparse = c.w_tapwise = 1;
  check_listed(c);
  CHECK(listed == 8);
  c = conv();
  c.w_sparse = 1;
  c.clip.emplace();
  check(c);
  isa::Load load;
  load.offset = 2;
  check(load);
  load.offset = 0;
  load.y_stride = 1;
  check(load);
  isa::Store store;
  store.z_stride = 3;
  check(store);
}

TEST_CASE("fault: fine CONVs and indexed weights that no machine runs") {
  // Each alone; the simulator refuses the same with the same cause.
  const auto check = [](const isa::Instruction& instruction, const char* machine,
                        Fault cause = Fault::kIllegalField) {
    const std::vector<isa::Instruction> program{nop(), instruction, isa::End{}};
    expect_fault(program, cause, Engine::kNone, 1, true, machine);
    iss::Regions regions;
    const Status run = iss::Iss(*isa::find_config(machine)).run(program, regions);
    REQUIRE_FALSE(run.ok());
    CHECK(run.error().message.find(isa::name(cause)) == 0);
  };
  isa::Conv fine = conv();
  fine.fine = fine.pair = 1;
  isa::Load skips;
  skips.skip = 1;
  isa::Load indexed;
  indexed.target = 2;
  indexed.form = 1;
  indexed.x_words = 5;
  for (const isa::Instruction& any :
       {isa::Instruction(fine), isa::Instruction(skips), isa::Instruction(indexed)})
    check(any, "nano");
  isa::Conv c = conv();
  c.pair = 1;
  check(c, "nano");
  check(c, "tiny");
  c.pair = 0;
  c.pair_cols = 1;
  check(c, "tiny");
  c = fine;
  c.w_sparse = 1;
  check(c, "tiny");
  c = fine;
  c.pair = 2;
  check(c, "tiny");
  c = fine;
  c.w_piece = 2041;
  check(c, "tiny", Fault::kCapacity);
  c.fine = c.pair = 0;
  c.w_piece = 2049;
  check(c, "tiny", Fault::kCapacity);
  skips.target = 2;
  check(skips, "tiny");
  for (indexed.form = 1; indexed.form < 5; ++indexed.form) {
    indexed.target = 0;
    check(indexed, "tiny");
    indexed.target = 2;
    check(indexed, "nano");
  }
}

TEST_CASE("fault: more than the rings, the accumulators and the table hold") {
  isa::Conv c = conv();
  c.w_offset = 1000;
  c.w_piece = 25;
  expect_fault({c, isa::End{}}, Fault::kCapacity, Engine::kNone, 0);
  c = conv();
  c.p_offset = 60;
  c.n_blocks = 5;
  expect_fault({nop(), c, isa::End{}}, Fault::kCapacity, Engine::kNone, 1);
  c = conv();
  c.rows = 1;
  c.cols = 129;
  isa::Load weights;
  weights.target = 2;
  weights.x_words = 8;
  expect_fault({weights, c, isa::End{}}, Fault::kCapacity, Engine::kExec, 1);
  isa::Load table;
  table.target = 1;
  table.x_words = 2;
  table.sram_address = 127;
  expect_fault({table, isa::End{}}, Fault::kCapacity, Engine::kLoadA, 0);
  auto pool = copy_words(0, 0, 200);
  auto& p = std::get<isa::Pool>(pool[1]);
  p.average = p.use_table = 1;
  p.kw = 129;
  p.cx_hi = 200;
  p.cy_hi = 1;
  expect_fault(pool, Fault::kCapacity, Engine::kPool, 1);
}

TEST_CASE("fault: reads outside the window, by each engine") {
  isa::Load good;
  good.offset = MachineTester::kOut - MachineTester::kData - 4;
  isa::Load bad = good;
  bad.x_words = 2;
  expect_fault({good, bad, good, isa::End{}}, Fault::kReadWindow, Engine::kLoadA, 1);
  bad.target = 2;
  expect_fault({good, good, bad, isa::End{}}, Fault::kReadWindow, Engine::kLoadW, 2);
  MachineTester tester;
  tester.program({nop(), nop(), nop(), nop(), nop(), nop(), isa::End{}})
      .set(isa::reg::kReadHigh, MachineTester::kCode + 4 * 16);
  expect_fault(tester, {Fault::kReadWindow, Engine::kNone, MachineTester::kCode + 4 * 16});
}

TEST_CASE("fault: a write outside the window changes no byte there") {
  auto program = copy_words(0, MachineTester::kEnd - MachineTester::kOut - 30 * 4, 30);
  for (const std::uint32_t beyond : {4U, 64U, 4096U}) {
    MachineTester tester;
    tester.program(program).set(isa::reg::kWriteHigh, MachineTester::kEnd - beyond);
    const auto before = tester.machine().memory();
    const auto result = tester.run();
    REQUIRE(result.fault == Fault::kWriteWindow);
    REQUIRE(result.fault_engine == static_cast<std::uint32_t>(Engine::kStore));
    REQUIRE(result.fault_address == tester.address(2));
    const auto& after = tester.machine().memory();
    REQUIRE(std::memcmp(after.data() + MachineTester::kEnd - beyond,
                        before.data() + MachineTester::kEnd - beyond, beyond) == 0);
    expect_fault(tester, {Fault::kWriteWindow, Engine::kStore, tester.address(2)});
  }
}

TEST_CASE("fault: bursts that the memory answers with an error") {
  isa::Load load;
  load.region = 2;
  load.x_words = 40;
  MachineTester tester;
  tester.program({nop(), load, isa::End{}})
      .set(isa::reg::kBase2, 0x100000)
      .set(isa::reg::kReadHigh, 0x200000);
  expect_fault(tester, {Fault::kReadResponse, Engine::kLoadA, tester.address(1)});
  load.target = 3;
  load.region = 4;
  tester.program({nop(), load, isa::End{}})
      .set(isa::reg::kBase4, 0x100000)
      .set(isa::reg::kReadHigh, 0x200000);
  expect_fault(tester, {Fault::kReadResponse, Engine::kLoadW, tester.address(1)});
  tester.program(copy_words(0, 0, 100))
      .set(isa::reg::kBase1, 0x100000)
      .set(isa::reg::kWriteHigh, 0x200000);
  expect_fault(tester, {Fault::kWriteResponse, Engine::kStore, tester.address(2)});
  tester.set(isa::reg::kProgramAddress, 0x100000).set(isa::reg::kReadHigh, 0x200000);
  const auto result = tester.run();
  REQUIRE(result.fault == Fault::kReadResponse);
  REQUIRE(result.fault_engine == 0);
  REQUIRE(result.fault_address == 0x100000);
}

TEST_CASE("fault: a program without an end, and one that ends inside an instruction") {
  MachineTester tester;
  tester.program({nop(), nop()});
  expect_fault(tester, {Fault::kProgramEnd, Engine::kNone, MachineTester::kCode + 32});
  tester.program({nop(), conv(), isa::End{}}).set(isa::reg::kProgramWords, 3);
  expect_fault(tester, {Fault::kProgramEnd, Engine::kNone, tester.address(1)});
  tester.program({isa::End{}}).set(isa::reg::kProgramWords, 0);
  expect_fault(tester, {Fault::kProgramEnd, Engine::kNone, MachineTester::kCode});
}

TEST_CASE("fault: a program that hangs meets the watchdog") {
  isa::Nop never = nop();
  never.dep0_engine = static_cast<std::uint32_t>(Engine::kStore);
  never.dep0_count = 1;
  MachineTester tester;
  tester.program({never, isa::End{}});
  expect_fault(tester, {Fault::kWatchdog, Engine::kNone, tester.address(1)});
  auto starved = copy_words(0, 0, 8);
  starved.erase(starved.begin() + 1);  // a STORE of words that nobody makes
  tester.program(starved);
  expect_fault(tester, {Fault::kWatchdog, Engine::kNone, tester.address(2)});
}

TEST_CASE("fault: a program of another configuration does not start") {
  MachineTester tester;
  tester.program(copy_words(0, 0, 8)).set(isa::reg::kProgramHash, isa::find_config("tiny")->hash);
  expect_fault(tester, {Fault::kConfiguration, Engine::kNone, MachineTester::kCode});
}

TEST_CASE("fault: a reset by register stops a running program") {
  MachineTester tester;
  isa::Nop never = nop();
  never.dep0_engine = static_cast<std::uint32_t>(Engine::kStore);
  never.dep0_count = 1;
  tester.program({never, isa::End{}}).set(isa::reg::kControl, 1);
  tester.machine().idle(300);
  REQUIRE((tester.get(isa::reg::kStatus) & 1U) == 1);
  tester.set(isa::reg::kControl, 2);
  tester.machine().idle(300);
  REQUIRE(tester.get(isa::reg::kStatus) == 0);
  REQUIRE(tester.program({isa::End{}}).run().fault == Fault::kNone);
}

TEST_CASE("fault: a reset in any cycle after a start stops the program, on every core") {
  int resets = 0;
  const auto sweep = [&resets](const std::string& config, bool asserting, bool masks) {
    MachineTester tester(config, 0, asserting, masks);
    isa::Load load;  // something to be under way
    load.x_words = 64;
    isa::Nop never = nop();
    never.dep0_engine = static_cast<std::uint32_t>(Engine::kStore);
    never.dep0_count = 1;
    tester.program({load, never, isa::End{}});
    for (int gap = 0; gap < 150; ++gap, ++resets) {
      INFO(config << ": reset " << gap << " cycles after the start was answered");
      tester.set(isa::reg::kControl, 1);
      tester.machine().idle(gap);
      tester.set(isa::reg::kControl, 2);
      tester.machine().idle(200);
      REQUIRE(tester.get(isa::reg::kStatus) == 0);
      REQUIRE(tester.get(isa::reg::kIrqStatus) == 0);
    }
    REQUIRE(tester.program({load, isa::End{}}).run().fault == Fault::kNone);
  };
  for (const std::string& config : tb::fast_models()) sweep(config, false, true);
  for (const std::string& config : tb::asserting_models()) sweep(config, true, true);
  for (const std::string& config : tb::maskless_models()) sweep(config, true, false);
  CHECK(resets >= 150);
}
