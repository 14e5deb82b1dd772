// The one reader and the one writer of whole files.

#include "base/whole_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <thread>

#include "catch.hpp"
#include "scratch.hpp"

using namespace espalier;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t files_in(const fs::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
  return count;
}

mode_t mode_of(const std::string& path) {
  struct stat file {};
  REQUIRE(stat(path.c_str(), &file) == 0);
  return file.st_mode & 07777;
}

/// Runs in a process of its own, whose limits and user may change; returns what `work` does.
template <typename Work>
int in_child(Work work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("whole file: what is written is read, and nothing else is left") {
  const tests::Scratch scratch;
  const std::string path = scratch.path("f");
  const std::string bytes(200000, 'x');
  for (const std::string& text : {std::string(), std::string("a\0b", 3), bytes}) {
    REQUIRE(write_file(path, text).ok());
    const auto back = read_file(path);
    REQUIRE(back.ok());
    CHECK(*back == text);
  }
  CHECK(files_in(fs::path(path).parent_path()) == 1);
}

TEST_CASE("whole file: a reader never sees half of one") {
  const tests::Scratch scratch;
  const std::string path = scratch.path("f");
  const std::string a(3000000, 'a'), b(3000000, 'b');
  REQUIRE(write_file(path, a).ok());
  std::atomic<bool> done{false};
  std::size_t writes = 0, reads = 0, halves = 0;
  std::thread writer([&] {
    for (; writes < 60; ++writes) {
      if (!write_file(path, writes % 2 == 0 ? b : a)) break;
    }
    done = true;
  });
  while (!done) {
    const std::string seen = tests::slurp(path);
    halves += seen == a || seen == b ? 0 : 1;
    ++reads;
  }
  writer.join();
  CHECK(writes == 60);
  CHECK(reads > 0);
  CHECK(halves == 0);
}

TEST_CASE("whole file: links, modes and a name of any length stay as they are") {
  const tests::Scratch scratch;
  const std::string path = scratch.write("folder/f", "old"), link = scratch.path("link");
  fs::create_symlink("folder/f", link);
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  REQUIRE(write_file(link, "new").ok());
  CHECK(fs::is_symlink(link));
  CHECK(tests::slurp(path) == "new");
  CHECK(mode_of(path) == 0640);
  const std::string dangling = scratch.path("dangling");
  fs::create_symlink("folder/there", dangling);
  REQUIRE(write_file(dangling, "x").ok());
  CHECK(fs::is_symlink(dangling));
  CHECK(tests::slurp(scratch.path("folder/there")) == "x");
  const mode_t mask = umask(027);
  REQUIRE(write_file(scratch.path("fresh"), "x").ok());
  umask(mask);
  CHECK(mode_of(scratch.path("fresh")) == 0640);
  CHECK(write_file(scratch.path(std::string(255, 'n')), "x").ok());
}

TEST_CASE("whole file: what was there stays whole on a full disk") {
  const tests::Scratch scratch;
  const std::string path = scratch.write("f", "old");
  const int code = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{5000, 5000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    const Status status = write_file(path, std::string(100000, 'x'));
    if (status.ok()) return 1;
    return contains(status.error().text(), "f: cannot be written: File too large") ? 0 : 3;
  });
  CHECK(code == 0);
  CHECK(tests::slurp(path) == "old");
  CHECK(files_in(fs::path(path).parent_path()) == 1);
  const Status full = write_file("/dev/full", "x");
  REQUIRE_FALSE(full.ok());
  CHECK(full.error().text() == "/dev/full: cannot be written: No space left on device");
}

TEST_CASE("whole file: folders, files without leave and folders without leave are refused") {
  const tests::Scratch scratch;
  const std::string folder = scratch.path("closed");
  const std::string path = scratch.write("closed/f", "old"), kept = scratch.write("kept", "old");
  CHECK(write_file(folder, "x").error().text() == folder + ": is a folder");
  CHECK(contains(write_file(scratch.path("none") + "/f", "x").error().text(), "cannot be written"));
  fs::permissions(fs::path(kept).parent_path(), fs::perms::all);
  REQUIRE(chmod(kept.c_str(), 0444) == 0);
  REQUIRE(chmod(folder.c_str(), 0555) == 0);
  REQUIRE(chmod(path.c_str(), 0666) == 0);
  const int code = in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return 2;  // root may write anywhere
    if (write_file(path, "x").ok() || write_file(folder + "/new", "x").ok()) return 1;
    return write_file(kept, "x").ok() ? 3 : 0;
  });
  CHECK(code == 0);
  chmod(folder.c_str(), 0755);
  CHECK(tests::slurp(path) == "old");
  CHECK(tests::slurp(kept) == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("whole file: devices, pipes and stdout are written as they are") {
  const tests::Scratch scratch;
  REQUIRE(write_file("/dev/null", "x").ok());
  CHECK(fs::is_character_file("/dev/null"));
  const std::string pipe = scratch.path("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::string got;
  std::thread reader([&] {
    const auto text = read_file(pipe);
    got = text ? *text : text.error().text();
  });
  const std::string sent(300000, 'p');
  CHECK(write_file(pipe, sent).ok());
  reader.join();
  CHECK(got == sent);
  CHECK(fs::is_fifo(pipe));
  const std::string out = scratch.path("out");
  std::cout.flush();  // what the test runner has printed is not the child's
  std::fflush(stdout);
  const int code = in_child([&] {
    dup2(::open(out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDOUT_FILENO);
    std::printf("before\n");
    const bool good = write_file("/dev/stdout", "between\n").ok();
    std::printf("after\n");
    std::fflush(stdout);
    return good ? 0 : 1;
  });
  CHECK(code == 0);
  CHECK(tests::slurp(out) == "before\nbetween\nafter\n");
}

TEST_CASE("whole file: the reader sees what goes wrong behind an open") {
  const tests::Scratch scratch;
  const std::string folder = fs::path(scratch.path("f")).parent_path().string();
  CHECK(read_file(folder).error().text() == folder + ": is a folder");
  CHECK(read_file(folder + "/none").error().text() ==
        folder + "/none: cannot be opened: No such file or directory");
  // Page 0 of a process is never there: it opens, and the first read fails.
  CHECK(read_file("/proc/self/mem").error().text() ==
        "/proc/self/mem: cannot be read: Input/output error");
}
