#include "flows/personalise/lesson.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/file_id.hpp"
#include "flows/device_passes.hpp"
#include "images/output.hpp"

namespace espalier::flows {
namespace {

/// What to do about a file of scores that this run cannot go on from.
Diagnostic of_others(Diagnostic error) {
  if (error.code != ErrorCode::kIo)
    error.message += "; remove it to begin anew, or name another file with --scores";
  return error;
}

}  // namespace

Lesson::Lesson(const PersonaliseOptions& options, const Subject& subject, const UserStream& stream,
               Server& server, const Listener& listener, Personalised& result)
    : options_(options),
      subject_(subject),
      stream_(stream),
      server_(server),
      listener_(listener),
      result_(result) {}

Lesson::~Lesson() {
  std::error_code ignored;
  if (made_scores_ && !kept_) std::filesystem::remove(followed(options_.scores), ignored);
}

Status Lesson::give() {
  for (const auto step : {&Lesson::open_meter, &Lesson::open_scores, &Lesson::learn}) {
    if (const Status status = (this->*step)(); !status) return status;
  }
  return check();
}

Status Lesson::open_meter() {
  const bool golden = server_.kind() == runtime::DeviceKind::kGolden;
  runtime::DeviceOptions device;
  device.fpga = options_.fpga;
  auto meter = personal::Meter::make(
      subject_.graph, subject_.channels,
      personal::scored_tensors(subject_.graph, subject_.channels, options_.scope), subject_.classes,
      golden ? personal::MakePasses(personal::golden_passes)
             : device_passes(subject_.program.machine(), server_.kind(), device, false,
                             std::make_shared<ScoringTotals>()));
  if (!meter) return placed(meter.error(), options_.program);
  meter_.emplace(std::move(*meter));
  return {};
}

Status Lesson::open_scores() {
  std::error_code error;
  if (!std::filesystem::is_regular_file(options_.scores, error)) return {};
  auto loaded = personal::load_scores(scores_of(), subject_.channels.classes(), meter_->slots(),
                                      options_.scores);
  if (!loaded) return of_others(loaded.error());
  importance_ = std::move(*loaded);
  if (importance_.images > options_.count) {
    return of_others(
        fail(ErrorCode::kMismatch,
             fmt::format("is of {} images; --count is {}", importance_.images, options_.count),
             options_.scores));
  }
  result_.resumed = importance_.images;
  return {};
}

personal::ScoresOf Lesson::scores_of() const {
  return {subject_.model, std::string(masks::name(options_.scope)), subject_.classes};
}

std::size_t Lesson::trials() const {
  return options_.budget.kind == Budget::Kind::kLoss ? options_.held : 0;
}

bool Lesson::full() const {
  return learnt_.size() >= options_.count && trial_.size() >= trials() &&
         held_.size() >= options_.held;
}

Status Lesson::learn() {
  const std::size_t wanted = options_.count + trials() + options_.held;
  listener_.show("learning", 0, wanted);
  while (at_ < stream_.size() && !full()) {
    const std::size_t first = at_, count = std::min(kChunk, stream_.size() - first);
    const auto inputs = stream_.load(first, count);
    if (!inputs) return inputs.error();
    const auto outputs = server_.answer(subject_.program, *inputs);
    if (!outputs) return outputs.error();
    const std::size_t size = inputs->size() / count;
    for (std::size_t i = 0; i < count && !full(); ++i, ++at_) {
      const auto row =
          std::span<const std::int8_t>(*outputs).subspan(i * subject_.outputs, subject_.outputs);
      const int best = images::arg_max(row);
      if (options_.keep_answers) result_.answers.push_back({at_, best, false});
      const int label = stream_.predicted() ? best : stream_.label(at_);
      if (!std::ranges::binary_search(subject_.classes, label)) continue;
      take(std::span(*inputs).subspan(i * size, size), label);
      agreed_ += personal::best_of(row, subject_.classes) == label ? 1 : 0;
    }
    if (const Status status = score(); !status) return status;
    listener_.show("learning", std::min(wanted, learnt_.size() + trial_.size() + held_.size()),
                   wanted);
  }
  result_.until_switch = at_;
  result_.scored = importance_.images;
  result_.held = held_.size();
  return {};
}

/// Where the next of the user's images goes: every N-th is scored.
void Lesson::take(std::span<const std::int8_t> input, int label) {
  const bool turn = seen_++ % options_.every == 0;
  personal::Samples* to = nullptr;
  if (turn && learnt_.size() < options_.count) {
    to = &learnt_;
  } else if (trial_.size() < trials()) {
    to = &trial_;
  } else if (held_.size() < options_.held) {
    to = &held_;
  } else {
    return;
  }
  to->inputs.insert(to->inputs.end(), input.begin(), input.end());
  to->labels.push_back(label);
}

/// Scores what is new; images that the file of scores has are checked instead.
Status Lesson::score() {
  const std::size_t total = learnt_.size();
  const auto input = [&](std::size_t i) {
    const std::size_t size = learnt_.inputs.size() / total;
    return std::span(learnt_.inputs).subspan(i * size, size);
  };
  for (; checked_ < std::min(total, result_.resumed); ++checked_) {
    digest_ = personal::digest(digest_, input(checked_), learnt_.labels[checked_]);
    if (checked_ + 1 == result_.resumed && digest_ != importance_.digest) {
      return of_others(
          fail(ErrorCode::kMismatch,
               fmt::format("is of other images than the {} that this stream begins with",
                           result_.resumed),
               options_.scores));
    }
  }
  if (total <= importance_.images) return {};
  const std::size_t first = importance_.images;
  const Status added =
      meter_->add({input(first).data(), learnt_.inputs.data() + learnt_.inputs.size()},
                  std::span(learnt_.labels).subspan(first), importance_, options_.jobs);
  if (!added) return added;
  made_scores_ = result_.resumed == 0 && file_id(options_.scores);
  return personal::save_scores(scores_of(), importance_, options_.scores);
}

Status Lesson::check() const {
  const std::size_t total = learnt_.size() + trial_.size() + held_.size();
  for (const int c : subject_.classes) {
    const auto has = [c](const personal::Samples& s) {
      return std::ranges::count(s.labels, c) > 0;
    };
    if (!has(learnt_) && !has(trial_) && !has(held_)) {
      return fail(
          ErrorCode::kRange,
          fmt::format("has no image of class {} among the {} that were taken of {}", c, total, at_),
          options_.images);
    }
  }
  if (!full()) {
    return fail(ErrorCode::kRange,
                fmt::format("has too few images of these classes: {} of {} to score, {} of {} to "
                            "hold back",
                            learnt_.size(), options_.count, trial_.size() + held_.size(),
                            trials() + options_.held),
                options_.images);
  }
  // By chance one in as many as there are classes agrees; a model that is of use does better.
  if (agreed_ * subject_.classes.size() <= total) {
    return fail(ErrorCode::kMismatch,
                fmt::format("the labels agree with the model on {} of {} images, no more than by "
                            "chance: they are not of these images, or in another order",
                            agreed_, total),
                options_.labels == "given" ? options_.images : options_.labels);
  }
  return {};
}

}  // namespace espalier::flows
