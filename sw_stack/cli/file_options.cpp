#include "cli/file_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "images/dataset.hpp"
#include "import/model.hpp"
#include "base/file_id.hpp"

namespace espalier::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReads = "reads a file";
constexpr const char* kWrites = "writes a file";

CLI::Validator mark(const char* name) {
  return {[](std::string&) { return std::string(); }, "", name};
}

struct Use {
  std::string option, path;
  bool written = false;
  std::optional<FileId> id;  // none for devices and pipes
};

bool marked(CLI::Option& option, const char* mark) {
  try {
    return option.get_validator(mark) != nullptr;
  } catch (const CLI::OptionNotFound&) {
    return false;
  }
}

/// The files with weights that a model reads, where an output that is there could be one.
void add_external(const std::vector<Use>& uses, std::vector<Use>& more) {
  std::error_code error;
  const bool replaces = std::ranges::any_of(
      uses, [&](const Use& use) { return use.written && use.id && fs::exists(use.path, error); });
  for (const Use& use : uses) {
    if (!replaces || use.written || fs::path(use.path).extension() != ".onnx") continue;
    for (const std::string& file : import_::external_files(use.path))
      more.push_back({use.option, file, false, file_id(file)});
  }
}

void collect(CLI::App& app, std::vector<Use>& uses) {
  for (CLI::Option* option : app.get_options()) {
    const bool written = marked(*option, kWrites);
    if (!written && !marked(*option, kReads)) continue;
    for (const std::string& path : option->results())
      uses.push_back({option->get_name(), path, written, file_id(path)});
  }
  for (CLI::App* command : app.get_subcommands()) collect(*command, uses);
}

Status check_place(const Use& use) {
  std::error_code error;
  if (fs::is_directory(use.path, error)) return fail(ErrorCode::kIo, "is a folder", use.path);
  const fs::path folder = followed(use.path).parent_path();
  if (!use.id || folder.empty() || fs::is_directory(folder, error)) return {};
  return fail(ErrorCode::kIo,
              fmt::format("cannot be written: there is no folder {}", folder.string()), use.path);
}

/// Whether `file` is a picture that the folder, or a class's folder in it, has.
bool picture_of(const Use& file, const Use& folder) {
  std::error_code error;
  if (!fs::is_directory(folder.path, error) || !fs::exists(file.path, error)) return false;
  const fs::path whole = followed(fs::absolute(file.path, error));
  if (!images::is_picture(whole.string())) return false;
  const fs::path parent = whole.parent_path();
  return fs::equivalent(parent, folder.path, error) ||
         fs::equivalent(parent.parent_path(), folder.path, error);
}

/// What is printed would be lost with the file that another replaces.
Status check_streams(const Use& written) {
  std::error_code error;
  for (const auto& [name, stream] :
       {std::pair("stdout", "/dev/fd/1"), std::pair("stderr", "/dev/fd/2")}) {
    if (written.id && fs::equivalent(written.path, stream, error)) {
      return fail(ErrorCode::kUsage,
                  fmt::format("{} is the file that {} goes to; write to /dev/{}, or to another",
                              written.path, name, name),
                  written.option);
    }
  }
  return {};
}

Status check_pair(const Use& written, const Use& other) {
  const std::string also = written.path == other.path ? "" : fmt::format(", {},", other.path);
  if (!other.written && picture_of(written, other)) {
    return fail(ErrorCode::kUsage,
                fmt::format("{} is a picture in {}, which {} reads", written.path, other.path,
                            other.option),
                written.option);
  }
  if (!written.id || !other.id || *written.id != *other.id) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("{} is the file that {}{} {}; give it a name of its own", written.path,
                          other.option, also, other.written ? "writes too" : "reads"),
              written.option);
}

}  // namespace

CLI::Validator reads() { return mark(kReads); }
CLI::Validator writes() { return mark(kWrites); }

Status check_files(CLI::App& app) {
  std::vector<Use> uses;
  collect(app, uses);
  std::vector<Use> external;
  add_external(uses, external);
  uses.insert(uses.end(), external.begin(), external.end());
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (!uses[i].written) continue;
    for (std::size_t j = 0; j < uses.size(); ++j) {
      if (i == j || (uses[j].written && j > i)) continue;
      if (const Status status = check_pair(uses[i], uses[j]); !status) return status;
    }
    if (const Status status = check_streams(uses[i]); !status) return status;
    if (const Status status = check_place(uses[i]); !status) return status;
  }
  return {};
}

}  // namespace espalier::cli
