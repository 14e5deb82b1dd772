// Loops over several threads, and what is thrown in them.

#include "base/parallel.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace espalier;

TEST_CASE("for each: every index once, with any number of threads") {
  for (const std::size_t count : {0U, 1U, 7U, 1000U}) {
    for (const int threads : {0, 1, 2, 16}) {
      std::vector<std::atomic<int>> calls(count);
      for_each(count, threads, [&](std::size_t i) { ++calls[i]; });
      std::size_t once = 0;
      for (const auto& c : calls) once += c == 1 ? 1 : 0;
      CHECK(once == count);
    }
  }
}

TEST_CASE("for each: what a thread throws is caught by the caller, the lowest index's first") {
  for (const int threads : {1, 2, 8}) {
    for (int turn = 0; turn < 50; ++turn) {
      std::atomic<std::size_t> begun{0};
      std::string caught;
      try {
        for_each(10000, threads, [&](std::size_t i) {
          ++begun;
          if (i >= 100) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      CHECK(caught == "100");
      CHECK(begun < 10000);
    }
  }
}

TEST_CASE("for each: where no thread is to be had the caller does all of it") {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0) _exit(2);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(3);  // the limit is not root's
    std::atomic<int> calls{0};
    try {
      for_each(100, 8, [&](std::size_t) { ++calls; });
    } catch (...) {
      _exit(4);
    }
    _exit(calls == 100 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
