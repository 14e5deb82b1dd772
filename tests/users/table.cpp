#include "tests/users/table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <sstream>

#include "base/whole_file.hpp"

namespace espalier::users {
namespace {

constexpr const char* kColumns = "classes,by,correct,align,cut,right";

}  // namespace

std::string Results::key(const User& user, const Case& which) {
  return fmt::format("{},{},{},{},{}", fmt::join(user, " "), which.by, which.correct, which.align,
                     which.cut);
}

Result<Results> Results::open(const std::string& path, const std::string& settings, Use use) {
  Results results;
  results.path_ = path;
  results.settings_ = settings;
  std::error_code error;
  if (use == Use::kRead || std::filesystem::exists(path, error)) {
    const auto text = read_file(path);
    if (!text) return text.error();
    // A last line without its end was cut off.
    std::istringstream lines(text->substr(0, text->rfind('\n') + 1));
    std::string line;
    std::getline(lines, line);
    if (line != "# " + settings) {
      return fail(ErrorCode::kMismatch, fmt::format("is of `{}`; this run is `{}`", line, settings),
                  path);
    }
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      const std::size_t comma = line.rfind(',');
      if (comma != std::string::npos)
        results.values_[line.substr(0, comma)] = line.substr(comma + 1);
    }
  }
  if (use == Use::kRead) return results;
  if (Status s = results.save(path); !s) return s.error();
  return results;
}

Status Results::save(const std::string& path) const {
  std::string text = fmt::format("# {}\n{}\n", settings_, kColumns);
  for (const auto& [key, value] : values_) text += fmt::format("{},{}\n", key, value);
  return write_file(path, text);
}

bool Results::has(const User& user, const Case& which) const {
  return values_.contains(key(user, which));
}

Status Results::add(const User& user, const Case& which, std::optional<std::size_t> right) {
  const std::string name = key(user, which), value = right ? fmt::format("{}", *right) : "-";
  values_[name] = value;
  // One write, so that lines of several processes stay whole.
  const std::string line = fmt::format("{},{}\n", name, value);
  const int file = ::open(path_.c_str(), O_WRONLY | O_APPEND);
  const bool good =
      file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (file >= 0) ::close(file);
  if (!good) return fail(ErrorCode::kIo, "cannot be written", path_);
  return {};
}

}  // namespace espalier::users
