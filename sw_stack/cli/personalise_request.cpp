#include "cli/personalise_request.hpp"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "cli/common.hpp"

namespace espalier::cli {

Result<std::vector<int>> read_classes(const std::string& text, int outputs) {
  const auto list = parse_wholes("--classes", text, 0, std::numeric_limits<std::uint64_t>::max());
  if (!list) {
    return fail(ErrorCode::kUsage, fmt::format("`{}` is no list of classes, as in 3,5,8", text),
                "--classes");
  }
  std::set<int> chosen;
  for (const std::uint64_t value : *list) {
    if (value >= static_cast<std::uint64_t>(outputs)) {
      return fail(ErrorCode::kUsage,
                  fmt::format("{} is no class of the model; it has {}, from 0 on", value, outputs),
                  "--classes");
    }
    if (!chosen.insert(static_cast<int>(value)).second)
      return fail(ErrorCode::kUsage, fmt::format("names {} twice", value), "--classes");
  }
  if (chosen.size() < 2)
    return fail(ErrorCode::kUsage, "names 1 class; a choice needs 2", "--classes");
  return std::vector<int>(chosen.begin(), chosen.end());
}

Result<Budget> read_budget(const std::string& text) {
  const std::size_t at = text.find('=');
  const std::string kind = text.substr(0, at);
  const auto value = parse_list("--budget", at == std::string::npos ? "" : text.substr(at + 1));
  const bool share = kind == "cycles" || kind == "macs";
  if ((!share && kind != "loss") || !value || value->size() != 1) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` is not cycles=SHARE, macs=SHARE or loss=POINTS", text),
                "--budget");
  }
  const double limit = value->front();
  if (limit < 0 || (share && (limit > 1 || limit == 0)) || limit > 100) {
    return fail(
        ErrorCode::kUsage,
        fmt::format("`{}` is out of range; shares are above 0, up to 1, losses 0 to 100", text),
        "--budget");
  }
  return Budget{kind == "cycles" ? Budget::Kind::kCycles
                : kind == "macs" ? Budget::Kind::kMacs
                                 : Budget::Kind::kLoss,
                limit};
}

}  // namespace espalier::cli
