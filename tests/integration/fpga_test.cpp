// The fpga device, end to end: the class that opens a board, on files with a machine behind them.

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "fake_board.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "runtime/check.hpp"

using namespace espalier;
using tests::FakeBoard;

namespace {

/// A convolution, a residual add and a pool.
ir::QuantGraph network() {
  tests::GraphBuilder g(21);
  const int x = g.conv(g.input(3, 10, 10), 8, 3);
  const int y = g.add(g.conv(x, 8, 3), x);
  return g.finish(g.conv(g.global_average(y), 10, 1));
}

program::Program compiled(const char* config = "nano") {
  auto made = compiler::compile(network(), *isa::find_config(config));
  if (!made) FAIL(made.error().text());
  return std::move(made).value();
}

runtime::DeviceOptions options_for(const FakeBoard& board) {
  runtime::DeviceOptions options;
  options.fpga = board.fpga();
  return options;
}

std::unique_ptr<runtime::Device> open_device(const program::Program& program,
                                             const runtime::DeviceOptions& options) {
  auto devices = runtime::open(program, runtime::DeviceKind::kFpga, options);
  if (!devices) FAIL(devices.error().text());
  return std::move((*devices)[0]);
}

Diagnostic refused(const program::Program& program, const runtime::DeviceOptions& options) {
  const auto devices = runtime::open(program, runtime::DeviceKind::kFpga, options);
  REQUIRE_FALSE(devices.ok());
  return devices.error();
}

runtime::Execution run(runtime::Device& device, std::span<const std::int8_t> image) {
  auto list = device.run(image);
  if (!list) FAIL(list.error().text());
  REQUIRE(list->size() == 1);
  return std::move((*list)[0]);
}

}  // namespace

TEST_CASE("fpga: outputs, cycles and traffic are those of the verilated machine") {
  const auto program = compiled();
  FakeBoard board({});
  const auto fpga = open_device(program, options_for(board));
  auto rtl = runtime::open(program, runtime::DeviceKind::kRtl, {});
  REQUIRE(rtl.ok());
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const auto image = tests::random_image(program.graph, seed);
    const auto got = run(*fpga, image);
    const auto wanted = run(*(*rtl)[0], image);
    CHECK(got.complete);
    CHECK(got.output == wanted.output);
    CHECK(got.timing->cycles == wanted.timing->cycles);
    CHECK(got.timing->counters == wanted.timing->counters);
    CHECK(got.timing->cycles_by_layer.empty());
    CHECK(got.timing->seconds > 0);
    CHECK(got.traffic->read == wanted.traffic->read);
    CHECK(got.traffic->written == wanted.traffic->written);
  }
  CHECK(board.interrupts() >= 3);  // an old one may come once more
  // The output was taken from the machine before the CPU looked at it, each time.
  const auto syncs = board.to_cpu();
  REQUIRE(syncs.size() == 3);
  for (const auto& sync : syncs) {
    CHECK(sync.direction == 2);
    CHECK(sync.bytes >= program.output_bytes);
  }
}

TEST_CASE("fpga: without an interrupt, and without a cache to care for, it works as well") {
  const auto program = compiled();
  const auto image = tests::random_image(program.graph, 4);
  const auto golden = golden::Runner(program.graph).run(image);
  FakeBoard::Options kind;
  SECTION("no interrupt") { kind.interrupt = false; }
  SECTION("no cache") { kind.cached = false; }
  FakeBoard board(kind);
  const auto fpga = open_device(program, options_for(board));
  for (int i = 0; i < 2; ++i)
    CHECK(run(*fpga, image).output == golden[static_cast<std::size_t>(program.graph.output)]);
  CHECK((board.interrupts() >= 2) == kind.interrupt);
}

TEST_CASE("fpga: checks the tensors that are left in memory, and would see one that is wrong") {
  auto program = compiled();
  const auto image = tests::random_image(program.graph, 5);
  const auto golden = golden::Runner(program.graph).run(image);
  FakeBoard board({});
  auto options = options_for(board);
  options.keep_tensors = true;
  {
    const auto fpga = open_device(program, options);
    const auto execution = run(*fpga, image);
    CHECK_FALSE(execution.stored.empty());
    const auto comparison = runtime::compare(program, execution, golden, 0);
    CHECK(comparison.values >= execution.output.size());
    CHECK(comparison.mismatches == 0);
    CHECK(std::ranges::any_of(execution.stored, [&](const runtime::StoredTensor& stored) {
      return stored.tensor == program.graph.output;
    }));
  }
  program.constants[0] ^= 0x40;
  const auto execution = run(*open_device(program, options), image);
  CHECK(runtime::compare(program, execution, golden, 0).mismatches > 0);
}

TEST_CASE("fpga: a machine of another configuration is refused, and both are named") {
  FakeBoard board({});
  const auto error = refused(compiled("tiny"), options_for(board));
  CHECK(error.code == ErrorCode::kMismatch);
  CHECK(error.place == board.path("dev/uio0"));
  CHECK(error.message.find("the program is for configuration tiny (0x") == 0);
  CHECK(error.message.find("the machine is configuration nano (0x") != std::string::npos);
}

TEST_CASE("fpga: where no machine answers, what ID reads is told") {
  FakeBoard board({});
  auto options = options_for(board);
  tests::Scratch other;
  options.fpga.uio = other.write("uio0", std::string(4096, '\0'));
  const auto error = refused(compiled(), options);
  CHECK(error.code == ErrorCode::kDevice);
  CHECK(error.text() ==
        options.fpga.uio + ": no machine answers: ID reads 0x00000000; it should be 0x4553504C");
}

TEST_CASE("fpga: devices that are missing are named") {
  const auto program = compiled();
  FakeBoard board({});
  auto options = options_for(board);
  options.fpga.uio = "/dev/uio-none";
  CHECK(refused(program, options).text() == "/dev/uio-none: there is no such device");
  options = options_for(board);
  options.fpga.buffer = "/dev/udmabuf-none";
  CHECK(refused(program, options).text() == "/dev/udmabuf-none: there is no such device");
  options = options_for(board);
  std::filesystem::remove(board.path("sys/class/uio/uio0/maps/map0/size"));
  CHECK(refused(program, options).text() ==
        board.path("sys/class/uio/uio0/maps/map0/size") + ": cannot be read");
}

TEST_CASE("fpga: a buffer that is too small or out of reach, and registers cut short") {
  const auto program = compiled();
  {
    FakeBoard::Options kind;
    kind.buffer_bytes = 8192;
    FakeBoard board(kind);
    const auto error = refused(program, options_for(board));
    CHECK(error.code == ErrorCode::kCapacity);
    CHECK(error.place == board.path("dev/udmabuf0"));
    CHECK(error.message.find("has 8192 bytes; the program needs ") == 0);
  }
  FakeBoard board({});
  const auto spoil = [&](const std::string& name, const std::string& text) {
    std::ofstream(board.path(name)) << text << "\n";
    return refused(program, options_for(board)).message;
  };
  CHECK(spoil("sys/class/u-dma-buf/udmabuf0/phys_addr", "0xFFFFF000") ==
        "lies at 0xFFFFF000 with 0x100000 bytes; the machine reaches pages below 0x100000000");
  CHECK(spoil("sys/class/u-dma-buf/udmabuf0/phys_addr", "somewhere") ==
        "`somewhere` is not a number");
  CHECK(spoil("sys/class/uio/uio0/maps/map0/size", "0x800") ==
        "maps 2048 bytes of registers; the machine has 4096");
}

TEST_CASE("fpga: a device that may not be opened says so") {
  const auto program = compiled();
  FakeBoard board({});
  std::filesystem::permissions(board.path("dev/uio0"), std::filesystem::perms::none);
  const auto options = options_for(board);
  // Root may open anything.
  const bool root = geteuid() == 0;
  if (root) REQUIRE(seteuid(65534) == 0);
  const auto devices = runtime::open(program, runtime::DeviceKind::kFpga, options);
  if (root) REQUIRE(seteuid(0) == 0);
  REQUIRE_FALSE(devices.ok());
  CHECK(devices.error().place == board.path("dev/uio0"));
  CHECK(devices.error().message == "permission denied; it must be readable and writable");
}

TEST_CASE("fpga: a fault names its instruction, and the next run works") {
  const auto good = compiled();
  const auto list = program::decode_all(good);
  // The first LOAD of weights, with an address past the memory.
  auto broken = good;
  broken.instructions.clear();
  std::size_t at = list.size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    isa::Instruction instruction = list[i];
    auto* load = std::get_if<isa::Load>(&instruction);
    if (load != nullptr && at == list.size()) {
      load->offset = 0x10000000;
      at = i;
    }
    isa::encode(instruction, broken.instructions);
  }
  FakeBoard board({});
  const auto image = tests::random_image(good.graph, 6);
  {
    const auto fpga = open_device(broken, options_for(board));
    for (int i = 0; i < 2; ++i) {
      const auto failed = fpga->run(image);
      REQUIRE_FALSE(failed.ok());
      CHECK(failed.error().code == ErrorCode::kDevice);
      CHECK(failed.error().place == "instruction " + std::to_string(at));
      CHECK(failed.error().message.find("fault read_window in load") == 0);
    }
  }
  CHECK(run(*open_device(good, options_for(board)), image).output ==
        golden::Runner(good.graph).run(image)[static_cast<std::size_t>(good.graph.output)]);
}

TEST_CASE("fpga: a machine that never answers is given up") {
  FakeBoard::Options kind;
  kind.dead = true;
  FakeBoard board(kind);
  const auto program = compiled();
  auto options = options_for(board);
  options.fpga.timeout = std::chrono::milliseconds(200);
  const auto fpga = open_device(program, options);
  const auto result = fpga->run(tests::random_image(program.graph, 7));
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().place == board.path("dev/uio0"));
  CHECK(result.error().message == "no interrupt in time; STATUS reads 0x0 after 0 cycles");
}

TEST_CASE("fpga: a run that is given up does not leave the machine running") {
  const auto program = compiled();
  FakeBoard board({});
  auto options = options_for(board);
  options.fpga.timeout = std::chrono::milliseconds(1);
  {
    const auto fpga = open_device(program, options);
    const auto result = fpga->run(tests::random_image(program.graph, 8));
    if (!result) CHECK(result.error().message.find("no interrupt in time") == 0);
  }
  CHECK(board.idle());
}

TEST_CASE("fpga: one board is one device") {
  FakeBoard board({});
  const auto program = compiled();
  const auto devices = runtime::open(program, runtime::DeviceKind::kFpga, options_for(board), 2);
  REQUIRE_FALSE(devices.ok());
  CHECK(devices.error().message == "is one machine; 2 are asked for");
}
