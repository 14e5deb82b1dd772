#include "flows/score.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "flows/classes.hpp"
#include "flows/user_stream.hpp"
#include "timing/timing.hpp"

namespace espalier::flows {
namespace {

class Job {
 public:
  Job(const ScoreOptions& options, const Listener& listener)
      : options_(options), listener_(listener) {}

  Result<Scored> go() {
    for (const auto step : {&Job::load, &Job::open, &Job::measure, &Job::estimate}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    return result();
  }

 private:
  Status load() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    program_ = std::move(*program);
    graph_ = masks::without_copies(program_.graph);
    channels_ = masks::find_channels(graph_);
    const auto outputs = outputs_of(graph_, options_.program);
    if (!outputs) return outputs.error();
    if (options_.classes.empty()) {
      classes_.resize(static_cast<std::size_t>(*outputs));
      std::iota(classes_.begin(), classes_.end(), 0);
    } else {
      auto classes = choose_classes(options_.classes, *outputs);
      if (!classes) return classes.error();
      classes_ = std::move(*classes);
    }
    scored_ = personal::scored_tensors(graph_, channels_, options_.scope);
    return options_.from.empty() ? Status() : leave_out();
  }
  /// Scores nothing that is made before `from`.
  Status leave_out() {
    const auto first = std::ranges::find_if(graph_.nodes, [&](const ir::QuantNode& node) {
      return node.name.find(options_.from) != std::string::npos;
    });
    if (first == graph_.nodes.end()) {
      return fail(
          ErrorCode::kUsage,
          fmt::format("no node of {} has `{}` in its name", options_.program, options_.from),
          "--from");
    }
    for (auto node = graph_.nodes.begin(); node != first; ++node)
      scored_[static_cast<std::size_t>(node->output)] = false;
    return {};
  }

  Status open() {
    auto stream = UserStream::open(graph_, options_.images, options_.labels, listener_);
    if (!stream) return stream.error();
    stream_.emplace(std::move(*stream));
    const bool golden = options_.device == runtime::DeviceKind::kGolden;
    auto meter = personal::Meter::make(
        graph_, channels_, scored_, classes_,
        golden ? personal::MakePasses(personal::golden_passes)
               : device_passes(program_.machine(), options_.device, {}, options_.check, totals_));
    if (!meter) return placed(meter.error(), options_.program);
    meter_.emplace(std::move(*meter));
    return {};
  }

  Status measure() {
    listener_.show("scoring", 0, options_.count);
    std::size_t at = options_.first;
    while (importance_.images < options_.count && at < stream_->size()) {
      std::vector<std::int8_t> inputs;
      std::vector<int> labels;
      const std::size_t round =
          std::min(personal::Meter::kRound, options_.count - importance_.images);
      for (; labels.size() < round && at < stream_->size(); ++at) {
        const int label = stream_->predicted() ? -1 : stream_->label(at);
        if (label >= 0 && !std::ranges::binary_search(classes_, label)) continue;
        const auto input = stream_->load(at, 1);
        if (!input) return input.error();
        inputs.insert(inputs.end(), input->begin(), input->end());
        labels.push_back(label);
      }
      if (labels.empty()) break;
      if (Status s = meter_->add(inputs, labels, importance_, options_.jobs); !s) return s;
      listener_.show("scoring", importance_.images, options_.count);
    }
    if (importance_.images < options_.count) {
      return fail(ErrorCode::kRange,
                  fmt::format("has {} images of these classes from number {} on; --count is {}",
                              importance_.images, options_.first, options_.count),
                  options_.images);
    }
    return {};
  }

  /// Cycles of one image each way: measured, or by the timing model.
  Status estimate() {
    if (totals_->backward_cycles > 0) {
      forward_ = totals_->forward_cycles / totals_->forward_images;
      backward_ = totals_->backward_cycles / totals_->backward_images;
      measured_ = true;
    }
    const bool estimates = !measured_ && program_.machine().timing_model;
    if (!estimates && options_.backward.empty()) return {};
    const auto made = personal::Backward::make(graph_, scored_);
    if (!made) return made.error();
    const auto programs = compile_scoring(graph_, *made, program_.machine());
    if (!programs) return programs.error();
    if (!options_.backward.empty()) {
      if (Status s = program::save(programs->backward, options_.backward); !s) return s;
    }
    if (!estimates) return {};
    const auto there = timing::estimate(programs->forward);
    if (!there) return there.error();
    const auto back = timing::estimate(programs->backward);
    if (!back) return back.error();
    forward_ = static_cast<std::uint64_t>(there->cycles);
    backward_ = static_cast<std::uint64_t>(back->cycles);
    return {};
  }

  Scored result() {
    Scored scored;
    scored.images = importance_.images;
    scored.classes = std::move(classes_);
    scored.measured = measured_;
    scored.forward = forward_;
    scored.backward = backward_;
    scored.forward_check = totals_->forward;
    scored.backward_check = totals_->backward;
    for (std::size_t t = 0; t < scored_.size(); ++t) {
      if (!scored_[t]) continue;
      Scored::Tensor tensor{graph_.tensors[t].name, {}};
      for (const int c : channels_.of_tensor[t])
        tensor.scores.push_back(importance_.taylor[static_cast<std::size_t>(c)]);
      scored.tensors.push_back(std::move(tensor));
    }
    return scored;
  }

  const ScoreOptions& options_;
  const Listener& listener_;
  program::Program program_;
  ir::QuantGraph graph_;
  masks::Channels channels_;
  std::vector<int> classes_;  // ascending
  std::vector<bool> scored_;
  std::optional<UserStream> stream_;
  std::shared_ptr<ScoringTotals> totals_ = std::make_shared<ScoringTotals>();
  std::optional<personal::Meter> meter_;
  personal::Importance importance_;
  std::optional<std::uint64_t> forward_, backward_;
  bool measured_ = false;
};

}  // namespace

Result<Scored> score(const ScoreOptions& options, const Listener& listener) {
  return Job(options, listener).go();
}

}  // namespace espalier::flows
