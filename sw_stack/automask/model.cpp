#include "automask/model.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "masks/channels.hpp"
#include "program/program.hpp"

namespace espalier::automask {
namespace {

namespace fs = std::filesystem;

/// Runs `espalier compile`; what it prints goes to stderr.
Status compile(const ModelOptions& options) {
  std::error_code error;
  const fs::path command = fs::read_symlink("/proc/self/exe", error).parent_path() / "espalier";
  if (error || !fs::exists(command, error)) {
    return fail(ErrorCode::kIo,
                "is no program, and there is no `espalier` beside this command to make one",
                options.model);
  }
  std::vector<std::string> words{command.string(), "compile", options.model, "-o", options.program};
  words.insert(words.end(), options.compile.begin(), options.compile.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int failed =
      posix_spawn(&child, command.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return fail(ErrorCode::kIo, std::string("cannot be run: ") + std::strerror(failed),
                command.string());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status)) return fail(ErrorCode::kIo, "");
  return fail(ErrorCode::kIo, "`espalier compile` was killed", options.model);
}

}  // namespace

bool is_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head(8, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head == "ESPALIER";
}

Result<ir::QuantGraph> load_model(const ModelOptions& options) {
  std::string path = options.model;
  if (!is_program(path)) {
    std::error_code error;
    if (!fs::exists(path, error)) return fail(ErrorCode::kIo, "does not exist", path);
    if (const Status s = compile(options); !s) return s.error();
    path = options.program;
  }
  const auto program = program::load(path);
  if (!program) return program.error();
  return masks::without_copies(program->graph);
}

}  // namespace espalier::automask
