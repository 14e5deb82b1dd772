#include "flows/personalise.hpp"

#include <algorithm>

#include "base/whole_file.hpp"
#include "flows/device_passes.hpp"
#include "flows/personalise/choice.hpp"
#include "flows/personalise/lesson.hpp"
#include "flows/personalise/service.hpp"
#include "flows/personalise/subject.hpp"
#include "personal/select.hpp"

namespace espalier::flows {
namespace {

/// Cycles of the generic network and of its backward pass.
Status measure_cycles(const PersonaliseOptions& options, const Subject& subject,
                      Personalised& result) {
  if (!subject.timed()) return {};
  const auto dense = cycles_of(subject.program);
  if (!dense) return dense.error();
  result.forward = *dense;
  const auto backward = personal::Backward::make(
      subject.graph, personal::scored_tensors(subject.graph, subject.channels, options.scope));
  if (!backward) return placed(backward.error(), options.program);
  const auto program = compile_backward(*backward, subject.program.machine());
  if (!program) return placed(program.error(), "the backward program");
  const auto back = cycles_of(*program);
  if (!back) return back.error();
  result.backward = *back;
  return {};
}

Status write(const PersonaliseOptions& options, const Subject& subject, const Choice& choice,
             const program::Program& program) {
  const masks::MaskFile file =
      masks::to_file(subject.graph, subject.channels, choice.mask, subject.model);
  if (Status s = write_file(options.mask, masks::to_text(file)); !s) return s;
  if (Status s = program::save(program, options.personal); !s) return s;
  return options.patch.empty() ? Status() : write_file(options.patch, choice.patch);
}

/// What the choice leaves, and what it is worth on images held back.
Status judge(const PersonaliseOptions& options, const Subject& subject, const Choice& choice,
             const program::Program& program, const personal::Samples& held, Personalised& result) {
  if (subject.timed()) {
    const auto cycles = cycles_of(program);
    if (!cycles) return cycles.error();
    result.pruned = *cycles;
  }
  if (!options.patch.empty()) result.patch = choice.patch.size();
  result.macs_share = personal::macs_share(subject.graph, subject.channels, choice.mask);
  result.generic = personal::accuracy(subject.graph, held, subject.classes, options.jobs);
  result.personal = personal::accuracy(choice.graph, held, subject.classes, options.jobs);
  const ir::ChannelMask live = masks::by_tensor(subject.channels, choice.mask);
  for (const ir::QuantNode& node : subject.graph.nodes) {
    const auto& bits = live[static_cast<std::size_t>(node.output)];
    if (!std::holds_alternative<ir::QuantConv>(node.op) || node.output == subject.graph.output)
      continue;
    const auto count = static_cast<std::size_t>(std::ranges::count(bits, true));
    result.layers.push_back({node.name, count, bits.size()});
  }
  return {};
}

}  // namespace

std::optional<double> Personalised::scoring_share() const {
  if (!forward || !backward) return {};
  const double scoring = static_cast<double>(*backward) * static_cast<double>(scored);
  return scoring / (scoring + static_cast<double>(*forward) * static_cast<double>(until_switch));
}

Result<Personalised> personalise(const PersonaliseOptions& options, const Listener& listener,
                                 const std::function<Status(const Personalised&)>& deliver) {
  if (!options.patch.empty() && options.correct == personal::Correction::kNone) {
    return fail(ErrorCode::kUsage, "there are no corrections to write with --correct none",
                "--patch");
  }
  const auto subject = load_subject(options);
  if (!subject) return subject.error();
  const auto stream = UserStream::open(subject->graph, options.images, options.labels, listener);
  if (!stream) return stream.error();
  Personalised result;
  result.network = subject->graph.name;
  result.classes = subject->classes;
  result.predicted = stream->predicted();
  runtime::DeviceOptions device;
  device.fpga = options.fpga;
  Server server(options.device, device, options.jobs);
  Lesson lesson(options, *subject, *stream, server, listener, result);
  if (const Status s = lesson.give(); !s) return s.error();
  if (const Status s = measure_cycles(options, *subject, result); !s) return s.error();
  const auto choice = choose(options, *subject, lesson, result.forward);
  if (!choice) return choice.error();
  const auto program = compile_personal(choice->graph, subject->program.machine());
  if (!program) return program.error();
  if (const Status s = judge(options, *subject, *choice, *program, lesson.held(), result); !s)
    return s.error();
  if (const Status s = write(options, *subject, *choice, *program); !s) return s.error();
  if (const Status s = serve(options, *subject, {choice->graph, *program}, lesson.held(), *stream,
                             server, listener, result);
      !s)
    return s.error();
  if (deliver) {
    if (const Status s = deliver(result); !s) return s.error();
  }
  lesson.keep();
  return result;
}

}  // namespace espalier::flows
