// The compact core (`pico`) under programs that it must refuse, and what it does after them.

#include <random>

#include "machine_tester.hpp"
#include "seed.hpp"

using namespace espalier;
using isa::Engine;
using isa::Fault;
using tests::MachineTester;

namespace {

using Program = std::vector<isa::Instruction>;

/// Loads two words, convolves them by weights and parameters of region 0 and stores two words.
Program small_program() {
  isa::Load tile, weights, parameters;
  tile.offset = 0;
  tile.x_words = 2;
  weights.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  weights.offset = 0x40;
  weights.x_words = 2;
  parameters.target = static_cast<std::uint32_t>(isa::LoadTarget::kParameters);
  parameters.offset = 0x80;
  parameters.x_words = 8;
  isa::Conv conv;
  conv.first = conv.last = 1;
  conv.dep0_engine = static_cast<std::uint32_t>(Engine::kLoadA);
  conv.dep0_count = 1;
  conv.in_cols = conv.cols = 2;
  conv.row_pitch = conv.y_step = conv.tap_step = 2;
  conv.w_piece = 2;
  conv.w_release = conv.p_release = 1;
  conv.lo = -128;
  conv.hi = 127;
  isa::Store store;
  store.region = 1;
  store.x_words = 2;
  return {tile, weights, parameters, conv, store, isa::End{}};
}

void put(MachineTester& tester) {
  const auto bytes = [&tester](std::uint32_t at, std::initializer_list<int> values) {
    for (const int value : values)
      tester.byte(MachineTester::kData + at++) = static_cast<std::uint8_t>(value);
  };
  bytes(0, {3, -4, 5, 6});     // two pixels of two channels
  bytes(0x40, {1, 2, -1, 1});  // output channels 0 and 1
  bytes(0x80, {10, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0x40});  // 10 by 1, 0 by 2
}

void expect_fault(const Program& program, Fault cause, Engine engine, std::size_t instruction) {
  for (const double stall : {0.0, 0.4}) {
    MachineTester tester("pico", stall);
    put(tester);
    const auto result = tester.program(program).run();
    REQUIRE_FALSE(result.timed_out);
    CHECK(isa::name(result.fault) == isa::name(cause));
    CHECK(result.fault_engine == static_cast<std::uint32_t>(engine));
    CHECK(result.fault_address == tester.address(instruction));
    const auto again = tester.program(small_program()).run();
    REQUIRE(again.fault == Fault::kNone);
    CHECK(int{tester.byte(MachineTester::kOut)} == 3 - 8 + 10);
  }
}

template <typename T>
T with(T instruction, std::uint32_t T::*field, std::uint32_t value) {
  instruction.*field = value;
  return instruction;
}

}  // namespace

TEST_CASE("compact: a convolution by hand") {
  MachineTester tester("pico");
  put(tester);
  const auto result = tester.program(small_program()).run();
  REQUIRE(result.fault == Fault::kNone);
  REQUIRE_FALSE(result.timed_out);
  const int expected[4] = {3 - 8 + 10, 2 * (-3 - 4), 5 + 12 + 10, 2 * (-5 + 6)};
  for (std::uint32_t i = 0; i < 4; ++i)
    CHECK(int{static_cast<std::int8_t>(tester.byte(MachineTester::kOut + i))} == expected[i]);
  CHECK(result.cycles > 0);
}

TEST_CASE("compact: what names the pool is illegal") {
  expect_fault({isa::Pool{}, isa::End{}}, Fault::kIllegalOpcode, Engine::kNone, 0);
  expect_fault({with(isa::Load{}, &isa::Load::target, 1), isa::End{}}, Fault::kIllegalField,
               Engine::kNone, 0);
  expect_fault({with(isa::Store{}, &isa::Store::source, 1), isa::End{}}, Fault::kIllegalField,
               Engine::kNone, 0);
  for (const std::uint32_t engine : {4U, 5U}) {
    expect_fault({isa::Nop{}, with(isa::Nop{}, &isa::Nop::engine, engine), isa::End{}},
                 Fault::kIllegalField, Engine::kNone, 1);
  }
}

TEST_CASE("compact: fields that contradict each other, and what the rings cannot hold") {
  const auto refuse = [](auto change, Fault cause, Engine engine = Engine::kNone) {
    Program program = small_program();
    change(std::get<isa::Conv>(program[3]));
    expect_fault(program, cause, engine, 3);
  };
  refuse([](isa::Conv& c) { c.w_offset = 1; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.p_offset = 1; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.add = 1, c.add_shift = 12; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.gap = 1, c.n_blocks = 2; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.w_sparse = 1; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.add = 1, c.add_shift = 13, c.product = 1; }, Fault::kIllegalField);
  refuse([](isa::Conv& c) { c.w_piece = 513; }, Fault::kCapacity);
  refuse([](isa::Conv& c) { c.n_blocks = 33; }, Fault::kCapacity);
  refuse([](isa::Conv& c) { c.rows = 65; }, Fault::kCapacity, Engine::kExec);
  Program odd = small_program();
  std::get<isa::Load>(odd[0]).offset = 1;
  expect_fault(odd, Fault::kIllegalField, Engine::kNone, 0);
}

TEST_CASE("compact: windows, lengths, the program's end, dependencies on no engine") {
  Program far = small_program();
  std::get<isa::Load>(far[1]).offset = 0x8000;
  expect_fault(far, Fault::kReadWindow, Engine::kLoadW, 1);
  far = small_program();
  std::get<isa::Store>(far[4]).offset = 0x8000;
  expect_fault(far, Fault::kWriteWindow, Engine::kStore, 4);
  MachineTester tester("pico");
  CHECK(tester.program({isa::Nop{}, isa::Nop{}}).run().fault == Fault::kProgramEnd);
  CHECK(tester.program({with(isa::Nop{}, &isa::Nop::dep1_engine, 7), isa::End{}}).run().fault ==
        Fault::kIllegalDependency);
  std::vector<std::uint8_t> code;
  isa::encode(isa::Instruction{isa::Nop{}}, code);
  code[1] ^= 1;  // two bits of the length
  CHECK(tester.raw(code).run().fault == Fault::kIllegalLength);
}

TEST_CASE("compact: refuses by halfwords what the encoder's side refuses as a whole") {
  // An instruction that passes waits for what never comes, so the watchdog speaks.
  std::mt19937_64 random(tests::seed());
  const int rounds = tests::rounds(200);
  MachineTester tester("pico");
  tester.set(isa::reg::kWatchdog, 3000);
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    isa::Load load;
    isa::Store store;
    isa::Conv conv;
    load.dep0_engine = store.dep0_engine = conv.dep0_engine = 1;
    load.dep0_count = store.dep0_count = conv.dep0_count = 1000;
    const isa::Instruction instructions[3] = {load, store, conv};
    std::vector<std::uint8_t> code;
    isa::encode(instructions[i % 3], code);
    const std::size_t bits = code.size() * 8;
    // Some bits change; often a whole field is cleared by it, since most are 1.
    for (std::uint64_t flips = random() % 3; flips < 3; ++flips) {
      const std::size_t bit = 78 + random() % (bits - 78);
      code[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    }
    if (i % 4 == 0) {
      const std::size_t bit = 80 + random() % (bits - 96);
      for (std::size_t b = bit; b < bit + 16; ++b)
        code[b / 8] &= static_cast<std::uint8_t>(~(1U << (b % 8)));
    }
    std::size_t offset = 0;
    const auto decoded = isa::decode(code, offset);
    // The core has no masks and no fine CONVs: fields of theirs are 0.
    const auto* conv_back = decoded ? std::get_if<isa::Conv>(&*decoded) : nullptr;
    const auto* load_back = decoded ? std::get_if<isa::Load>(&*decoded) : nullptr;
    const bool plain =
        (conv_back == nullptr ||
         (conv_back->w_sparse == 0 && conv_back->product == 0 && conv_back->fine == 0 &&
          conv_back->pair == 0 && conv_back->pair_cols == 0)) &&
        (load_back == nullptr || (load_back->skip == 0 && load_back->form == 0));
    const bool passes = decoded.ok() && plain;
    isa::encode(isa::Instruction{isa::End{}}, code);
    INFO("ESPALIER_SEED=" << tests::seed() << " " << i);
    const Fault fault = tester.raw(code).run().fault;
    REQUIRE(isa::name(fault) == isa::name(passes ? Fault::kWatchdog : Fault::kIllegalField));
    refused += passes ? 0 : 1;
  }
  CHECK(refused > rounds / 10);
  CHECK(refused < rounds);
}
