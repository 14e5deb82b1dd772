#include "flows/personalise/subject.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "flows/classes.hpp"
#include "timing/timing.hpp"

namespace espalier::flows {

Result<Subject> load_subject(const PersonaliseOptions& options) {
  auto program = program::load(options.program);
  if (!program) return program.error();
  Subject subject;
  subject.program = std::move(*program);
  subject.graph = masks::without_copies(subject.program.graph);
  subject.channels = masks::find_channels(subject.graph);
  subject.model = masks::fingerprint(subject.graph);
  const bool any = std::ranges::any_of(subject.channels.groups, [&](const auto& group) {
    return masks::in_scope(group, options.scope);
  });
  if (!any) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("has no channels that could go in scope {}", masks::name(options.scope)),
        options.program);
  }
  const auto outputs = outputs_of(subject.graph, options.program);
  if (!outputs) return outputs.error();
  subject.outputs = static_cast<std::size_t>(*outputs);
  auto classes = choose_classes(options.classes, *outputs);
  if (!classes) return classes.error();
  subject.classes = std::move(*classes);
  if (!subject.timed() && options.budget.kind == Budget::Kind::kCycles) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the configuration {} has no timing model; take macs=SHARE",
                            subject.program.config.name.view()),
                "--budget");
  }
  return subject;
}

Result<std::int64_t> cycles_of(const program::Program& program) {
  const auto estimate = timing::estimate(program);
  if (!estimate) return estimate.error();
  return estimate->cycles;
}

}  // namespace espalier::flows
