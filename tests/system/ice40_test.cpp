// The `pico` system as it goes into an iCE40: the verilated wrapper, driven over its serial line.

#include <verilated.h>

#include <algorithm>
#include <memory>

#include "Vice40_system.h"
#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "isa/generated/registers.hpp"
#include "runtime/serial_host.hpp"
#include "seed.hpp"

using namespace espalier;

namespace {

constexpr std::uint32_t kMemory = 8192;

/// The wrapper's clock and both ends of its serial line.
class Wrapper final : public runtime::SerialPort {
 public:
  Wrapper() {
    top_.rx_i = 1;
    top_.rst_ni = 0;
    clocks(4);
    top_.rst_ni = 1;
    clocks(4);
  }
  ~Wrapper() override { top_.final(); }

  Status send(std::span<const std::uint8_t> bytes) override {
    for (const std::uint8_t byte : bytes) {
      bit(false);
      for (int i = 0; i < 8; ++i) bit(((byte >> i) & 1) != 0);
      bit(true);
    }
    return {};
  }
  Status receive(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) {
      for (int waited = 0; received_.empty(); ++waited) {
        if (waited == 10'000) return fail(ErrorCode::kDevice, "no answer", "serial port");
        clocks(1);
      }
      byte = received_.front();
      received_.erase(received_.begin());
    }
    return {};
  }

 private:
  static constexpr int kClocksPerBit = 8;  // as in CMakeLists.txt

  void bit(bool high) {
    top_.rx_i = high ? 1 : 0;
    clocks(kClocksPerBit);
  }
  void clocks(int count) {
    for (int i = 0; i < count; ++i) {
      top_.clk_i = 0;
      top_.eval();
      top_.clk_i = 1;
      top_.eval();
      listen();
    }
  }
  /// Takes the middle of each bit.
  void listen() {
    if (left_ == 0) {
      if (top_.tx_o != 0) return;
      left_ = 10;
      time_ = kClocksPerBit / 2;
    } else if (--time_ == 0) {
      time_ = kClocksPerBit;
      --left_;
      const bool high = top_.tx_o != 0;
      if (left_ == 9) {
        REQUIRE_FALSE(high);  // start
      } else if (left_ == 0) {
        REQUIRE(high);  // stop
        received_.push_back(shift_);
      } else {
        shift_ = static_cast<std::uint8_t>((shift_ >> 1) | (high ? 0x80 : 0));
      }
    }
  }

  Vice40_system top_;
  int left_ = 0, time_ = 0;
  std::uint8_t shift_ = 0;
  std::vector<std::uint8_t> received_;
};

/// An image of 8 x 8 in two channels, two convolutions, a residual block, a classifier of four.
ir::QuantGraph small_network(std::uint64_t seed) {
  tests::GraphBuilder g(seed);
  const int x = g.conv(g.input(2, 8, 8), 4, 3);
  const int y = g.conv(x, 4, 3, 2);
  const int z = g.add(g.conv(y, 4, 3), y);
  return g.finish(g.conv(g.global_average(z), 4, 1));
}

program::Program compiled(const ir::QuantGraph& graph) {
  auto made = compiler::compile(graph, *isa::find_config("pico"));
  if (!made) FAIL(made.error().text());
  return std::move(made).value();
}

}  // namespace

TEST_CASE("ice40: the system classifies images over its serial port as golden does") {
  const std::uint64_t seed = tests::seed();
  const ir::QuantGraph graph = small_network(seed);
  const program::Program program = compiled(graph);
  Wrapper wrapper;
  auto host = runtime::SerialHost::open(program, wrapper, kMemory);
  if (!host) FAIL(host.error().text());
  for (std::uint64_t i = 0; i < 3; ++i) {
    INFO("ESPALIER_SEED=" << seed << ", image " << i);
    const auto image = tests::random_image(graph, seed + i);
    const auto output = host->run(image);
    if (!output) FAIL(output.error().text());
    CHECK(*output == golden::run(graph, image)[static_cast<std::size_t>(graph.output)]);
    CHECK(host->cycles() > 0);
  }
}

TEST_CASE("ice40: another network's output differs, so the comparison can fail") {
  const ir::QuantGraph graph = small_network(1);
  const auto image = tests::random_image(graph, 1);
  const program::Program program = compiled(small_network(2));
  Wrapper wrapper;
  auto host = runtime::SerialHost::open(program, wrapper, kMemory);
  REQUIRE(host.ok());
  const auto output = host->run(image);
  REQUIRE(output.ok());
  CHECK(*output != golden::run(graph, image)[static_cast<std::size_t>(graph.output)]);
}

TEST_CASE("ice40: memory is read back as written, beyond it the machine faults, and runs again") {
  const ir::QuantGraph graph = small_network(3);
  const program::Program program = compiled(graph);
  const auto image = tests::random_image(graph, 3);
  Wrapper wrapper;
  auto host = runtime::SerialHost::open(program, wrapper, kMemory);
  REQUIRE(host.ok());

  std::vector<std::uint8_t> written(600), read(600);
  for (std::size_t i = 0; i < written.size(); ++i) written[i] = static_cast<std::uint8_t>(i * 7);
  REQUIRE(host->write_memory(kMemory - 600, written).ok());
  REQUIRE(host->read_memory(kMemory - 600, read).ok());
  CHECK(read == written);

  // The window lets it read past the memory, which answers by an error.
  REQUIRE(host->write_register(isa::reg::kReadHigh, 2 * kMemory).ok());
  REQUIRE(host->write_register(isa::reg::kProgramAddress, kMemory).ok());
  const auto faulted = host->run(image);
  REQUIRE_FALSE(faulted.ok());
  CHECK(faulted.error().text() ==
        "serial port: fault read_response of the instruction at byte 8192");

  auto again = runtime::SerialHost::open(program, wrapper, kMemory);
  REQUIRE(again.ok());
  const auto output = again->run(image);
  REQUIRE(output.ok());
  CHECK(*output == golden::run(graph, image)[static_cast<std::size_t>(graph.output)]);
}

TEST_CASE("ice40: a program that does not fit the memory, or is another machine's, is refused") {
  const program::Program program = compiled(small_network(4));
  Wrapper wrapper;
  const auto small = runtime::SerialHost::open(program, wrapper, 1024);
  REQUIRE_FALSE(small.ok());
  CHECK(small.error().text().ends_with("bytes of memory; the machine has 1024"));
  program::Program other = program;
  other.config.hash ^= 1;
  const auto foreign = runtime::SerialHost::open(other, wrapper, kMemory);
  REQUIRE_FALSE(foreign.ok());
  CHECK(foreign.error().text() ==
        "serial port: the machine is not configuration pico of the program");
}

TEST_CASE("ice40: an unknown command is answered by a question mark") {
  Wrapper wrapper;
  const std::array<std::uint8_t, 1> command = {'x'};
  REQUIRE(wrapper.send(command).ok());
  std::array<std::uint8_t, 1> answer{};
  REQUIRE(wrapper.receive(answer).ok());
  CHECK(answer[0] == '?');
}
