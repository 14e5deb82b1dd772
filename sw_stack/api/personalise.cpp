#include <utility>

#include "api/impl.hpp"
#include "base/file_id.hpp"
#include "base/processor.hpp"
#include "flows/personalise.hpp"

namespace espalier {
namespace {

/// Files that are written are files of their own.
Status check_files(const std::string& program, const PersonaliseOptions& options) {
  const std::pair<const char*, const std::string*> files[] = {
      {"program", &program},
      {"images", &options.images},
      {"mask", &options.mask},
      {"the user's program", &options.program},
      {"scores", &options.scores}};
  for (const auto& [name, path] : files) {
    if (path->empty()) return fail(ErrorCode::kUsage, "no file is named", name);
    const auto id = file_id(*path);
    for (const auto& [other_name, other] : files) {
      if (other == path) break;
      if (id && id == file_id(*other)) {
        return fail(ErrorCode::kUsage, *path + " is named for " + other_name + " too", name);
      }
    }
  }
  return {};
}

}  // namespace

Result<Personal> personalise(const std::string& program, const PersonaliseOptions& options,
                             const Progress& progress) {
  if (const Status s = check_processor(); !s) return s.error();
  PersonaliseOptions all = options;
  if (all.scores.empty() && !all.mask.empty()) all.scores = all.mask + ".scores";
  if (const Status s = check_files(program, all); !s) return s.error();
  if (!(all.cycles > 0 && all.cycles <= 1)) {
    return fail(ErrorCode::kRange, "is " + std::to_string(all.cycles) + "; above 0, up to 1",
                "cycles");
  }
  flows::PersonaliseOptions flow;
  flow.program = program;
  flow.images = all.images;
  flow.labels = all.labels;
  flow.classes = all.classes;
  flow.mask = all.mask;
  flow.personal = all.program;
  flow.scores = all.scores;
  flow.budget = {flows::Budget::Kind::kCycles, all.cycles};
  flow.count = all.count;
  flow.held = all.held_back;
  flow.serve = 0;
  flows::Listener listener;
  listener.progress = progress;
  const auto made = flows::personalise(flow, listener);
  if (!made) return made.error();
  return Personal{made->generic, made->personal, made->macs_share, made->forward, made->pruned};
}

}  // namespace espalier
