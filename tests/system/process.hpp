#pragma once
// Runs the command as a user does: a process of its own, its exit code and what it wrote.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "scratch.hpp"

namespace espalier::tests {

struct Ran {
  int code = -1;  ///< 128 + signal where it was killed
  std::string out, err;
};

/// The first argument is the command's path.
inline Ran run_command(const Scratch& scratch, std::vector<std::string> arguments) {
  const std::string out = scratch.path("stdout"), err = scratch.path("stderr");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const auto redirect = [](const std::string& path, int to) {
      dup2(open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), to);
    };
    redirect("/dev/null", STDIN_FILENO);
    redirect(out, STDOUT_FILENO);
    redirect(err, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) std::abort();
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err)};
}

inline Ran run_espalier(const Scratch& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ESPALIER_BINARY);
  return run_command(scratch, std::move(arguments));
}

}  // namespace espalier::tests
