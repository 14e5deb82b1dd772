// Many images over several devices: what is refused, and what is thrown on the way.

#include "runtime/batch.hpp"

#include <unistd.h>

#include <atomic>
#include <new>
#include <stdexcept>

#include "catch.hpp"
#include "compiler/compiler.hpp"
#include "graphs.hpp"

using namespace espalier;
using runtime::DeviceKind;

namespace {

program::Program compiled() {
  tests::GraphBuilder g(21);
  const int x = g.conv(g.input(3, 6, 6), 8, 3);
  auto made =
      compiler::compile(g.finish(g.conv(g.global_average(x), 10, 1)), *isa::find_config("nano"));
  if (!made) FAIL(made.error().text());
  return std::move(made).value();
}

}  // namespace

TEST_CASE("batch: a board takes no second job, and no process is made for it") {
  const auto program = compiled();
  std::size_t loads = 0;
  const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
    ++loads;
    return tests::random_image(program.graph, i);
  };
  for (const std::size_t images : {1U, 4U}) {
    for (const bool observed : {false, true}) {
      runtime::BatchOptions options;
      options.kind = DeviceKind::kFpga;
      options.device.fpga.uio = "/dev/uio99";
      options.jobs = 2;
      const runtime::Observe observe = [](std::size_t, auto) { return Status(); };
      const auto result = runtime::run_batch(program, options, images, load, {},
                                             observed ? observe : runtime::Observe());
      REQUIRE_FALSE(result.ok());
      CHECK(result.error().code == ErrorCode::kUsage);
      CHECK(result.error().text() == "--jobs: is 2; a board is one machine");
    }
  }
  CHECK(loads == 0);
}

TEST_CASE("batch: what a thread throws comes to the caller") {
  const auto program = compiled();
  std::atomic<std::size_t> loads{0};
  const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
    ++loads;
    if (i == 20) throw std::bad_alloc();
    return tests::random_image(program.graph, i);
  };
  for (const int jobs : {1, 2, 5}) {
    runtime::BatchOptions options;
    options.jobs = jobs;
    loads = 0;
    CHECK_THROWS_AS(runtime::run_batch(program, options, 4000, load), std::bad_alloc);
    CHECK(loads < 4000);  // the others stop, too
  }
}

TEST_CASE("batch: what a process throws comes to the caller as an error") {
  const auto program = compiled();
  const pid_t parent = getpid();
  for (const bool memory : {false, true}) {
    const auto load = [&](std::size_t i) -> Result<std::vector<std::int8_t>> {
      if (i == 3 && memory) throw std::bad_alloc();
      if (i == 3) throw std::runtime_error("no such pixel");
      return tests::random_image(program.graph, i);
    };
    runtime::BatchOptions options;
    options.kind = DeviceKind::kIss;
    options.jobs = 2;
    const auto result = runtime::run_batch(program, options, 6, load);
    if (getpid() != parent) _exit(77);  // a child must not come back here
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().text() == (memory ? "job 1: out of memory" : "job 1: no such pixel"));
  }
}
