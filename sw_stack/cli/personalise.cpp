// `espalier personalise`: serves a stream of images, learns from them what its user needs, and
// goes on with a model of the user's own.

#include "cli/personalise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "cli/common.hpp"
#include "cli/device_option.hpp"
#include "cli/models.hpp"
#include "cli/personalise_report.hpp"
#include "cli/personalise_request.hpp"
#include "cli/personalise_stream.hpp"
#include "cli/scoring.hpp"
#include "cli/serving.hpp"
#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "learn/personal.hpp"
#include "learn/scores_file.hpp"
#include "learn/select.hpp"
#include "learn/watch.hpp"
#include "program/program.hpp"
#include "prune/patch.hpp"
#include "base/file_id.hpp"
#include "base/whole_file.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {
namespace {

using learn::Samples;

constexpr std::size_t kChunk = 64;  // images served side by side; then the scores are saved
constexpr int kSteps = 9;           // of the search for a loss

class Job {
 public:
  explicit Job(const PersonaliseOptions& options) : options_(options) {}
  /// Scores of a run that came to nothing would refuse the next one.
  ~Job() {
    std::error_code ignored;
    if (made_scores_ && !done_) std::filesystem::remove(followed(options_.scores), ignored);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  Result<int> go() {
    for (const auto step : {&Job::load_program, &Job::open_stream, &Job::open_scores, &Job::learn,
                            &Job::check_learnt, &Job::choose, &Job::write, &Job::serve}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    if (!options_.svg.empty()) {
      if (const Status s = write_file(options_.svg, report_svg(report_)); !s) return s.error();
    }
    if (!options_.answers.empty()) {
      if (const Status s = write_file(options_.answers, answers_); !s) return s.error();
    }
    print_report(report_, options_);
    done_ = true;
    return kOk;
  }

 private:
  Status load_program() {
    if (!options_.patch.empty() && options_.correct == "none") {
      return fail(ErrorCode::kUsage, "there are no corrections to write with --correct none",
                  "--patch");
    }
    auto program = program::load(options_.program);
    if (!program) return program.error();
    program_ = std::move(*program);
    graph_ = prune::without_copies(program_.graph);
    channels_ = prune::find_channels(graph_);
    model_ = prune::fingerprint(graph_);
    scope_ = options_.scope == "all" ? prune::Scope::kAll : prune::Scope::kInternal;
    const bool any = std::ranges::any_of(
        channels_.groups, [this](const auto& group) { return prune::in_scope(group, scope_); });
    if (!any) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("has no channels that could go in scope {}", options_.scope),
                  options_.program);
    }
    const ir::Shape& out = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape;
    if (out.h != 1 || out.w != 1) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("is no classifier: its output is {}x{}x{}", out.c, out.h, out.w),
                  options_.program);
    }
    outputs_ = static_cast<std::size_t>(out.c);
    auto classes = read_classes(options_.classes, out.c);
    if (!classes) return classes.error();
    classes_ = std::move(*classes);
    auto budget = read_budget(options_.budget);
    if (!budget) return budget.error();
    budget_ = *budget;
    timed_ = !program_.machine().compact;
    if (!timed_ && budget_.kind == Budget::Kind::kCycles) {
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("the configuration {} has no timing model; take macs=SHARE", program_.config),
          "--budget");
    }
    auto board = board_of(options_.device, options_.buffer);
    if (!board) return board.error();
    runtime::DeviceOptions device;
    device.fpga = std::move(*board);
    server_.emplace(device_kind(options_.device), device, options_.jobs);
    auto meter = learn::Meter::make(graph_, channels_,
                                    learn::scored_tensors(graph_, channels_, scope_), classes_,
                                    server_->kind() == runtime::DeviceKind::kGolden
                                        ? learn::MakePasses(learn::golden_passes)
                                        : device_passes(program_.machine(), server_->kind(), device,
                                                        false, std::make_shared<ScoringTotals>()));
    if (!meter) return placed(meter.error(), options_.program);
    meter_.emplace(std::move(*meter));
    report_.network = graph_.name;
    report_.classes = classes_;
    return {};
  }

  Status open_stream() {
    auto stream = UserStream::open(graph_, options_.images, options_.labels);
    if (!stream) return stream.error();
    stream_.emplace(std::move(*stream));
    report_.predicted = stream_->predicted();
    return {};
  }

  Status open_scores() {
    std::error_code error;
    if (!std::filesystem::is_regular_file(options_.scores, error)) return {};
    auto loaded =
        learn::load_scores(scores_of(), channels_.classes(), meter_->slots(), options_.scores);
    if (!loaded) return of_others(loaded.error());
    importance_ = std::move(*loaded);
    if (importance_.images > options_.count) {
      return of_others(
          fail(ErrorCode::kMismatch,
               fmt::format("is of {} images; --count is {}", importance_.images, options_.count),
               options_.scores));
    }
    report_.resumed = importance_.images;
    return {};
  }
  /// What to do about a file of scores that this run cannot go on from.
  static Diagnostic of_others(Diagnostic error) {
    if (error.code != ErrorCode::kIo)
      error.message += "; remove it to begin anew, or name another file with --scores";
    return error;
  }
  [[nodiscard]] learn::ScoresOf scores_of() const { return {*model_, options_.scope, classes_}; }

  [[nodiscard]] bool mine(int label) const { return std::ranges::binary_search(classes_, label); }
  [[nodiscard]] std::size_t trials() const {
    return budget_.kind == Budget::Kind::kLoss ? options_.held : 0;
  }
  [[nodiscard]] bool full() const {
    return learnt_.size() >= options_.count && trial_.size() >= trials() &&
           held_.size() >= options_.held;
  }
  void answer(std::size_t image, int answer, const char* model) {
    if (!options_.answers.empty()) answers_ += fmt::format("{},{},{}\n", image, answer, model);
  }

  /// Serves with the generic model until there are images enough, and scores on the way.
  Status learn() {
    const std::size_t wanted = options_.count + trials() + options_.held;
    ProgressBar bar("learning", wanted, options_.json);
    while (at_ < stream_->size() && !full()) {
      const std::size_t first = at_, count = std::min(kChunk, stream_->size() - first);
      const auto inputs = stream_->load(first, count);
      if (!inputs) return inputs.error();
      const auto outputs = server_->answer(program_, *inputs);
      if (!outputs) return outputs.error();
      const std::size_t size = inputs->size() / count;
      for (std::size_t i = 0; i < count && !full(); ++i, ++at_) {
        const auto row = std::span(*outputs).subspan(i * outputs_, outputs_);
        const int best = static_cast<int>(std::ranges::max_element(row) - row.begin());
        answer(at_, best, "generic");
        const int label = stream_->predicted() ? best : stream_->label(at_);
        if (!mine(label)) continue;
        take(std::span(*inputs).subspan(i * size, size), label);
        agreed_ += learn::best_of(row, classes_) == label ? 1 : 0;
      }
      if (const Status status = score(); !status) return status;
      bar.show(std::min(wanted, learnt_.size() + trial_.size() + held_.size()));
    }
    report_.until_switch = at_;
    report_.scored = importance_.images;
    report_.held = held_.size();
    return {};
  }
  /// Where the next of the user's images goes: every N-th is scored.
  void take(std::span<const std::int8_t> input, int label) {
    const bool turn = seen_++ % options_.every == 0;
    Samples* to = nullptr;
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
  Status score() {
    const std::size_t total = learnt_.size();
    const auto input = [&](std::size_t i) {
      const std::size_t size = learnt_.inputs.size() / total;
      return std::span(learnt_.inputs).subspan(i * size, size);
    };
    for (; checked_ < std::min(total, report_.resumed); ++checked_) {
      digest_ = learn::digest(digest_, input(checked_), learnt_.labels[checked_]);
      if (checked_ + 1 == report_.resumed && digest_ != importance_.digest) {
        return of_others(
            fail(ErrorCode::kMismatch,
                 fmt::format("is of other images than the {} that this stream begins with",
                             report_.resumed),
                 options_.scores));
      }
    }
    if (total <= importance_.images) return {};
    const std::size_t first = importance_.images;
    const Status added =
        meter_->add({input(first).data(), learnt_.inputs.data() + learnt_.inputs.size()},
                    std::span(learnt_.labels).subspan(first), importance_, options_.jobs);
    if (!added) return added;
    made_scores_ = report_.resumed == 0 && file_id(options_.scores);
    return learn::save_scores(scores_of(), importance_, options_.scores);
  }

  Status check_learnt() {
    const std::size_t total = learnt_.size() + trial_.size() + held_.size();
    for (const int c : classes_) {
      const auto has = [c](const Samples& s) { return std::ranges::count(s.labels, c) > 0; };
      if (!has(learnt_) && !has(trial_) && !has(held_)) {
        return fail(ErrorCode::kRange,
                    fmt::format("has no image of class {} among the {} that were taken of {}", c,
                                total, at_),
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
    if (agreed_ * classes_.size() <= total) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("the labels agree with the model on {} of {} images, no more than by "
                              "chance: they are not of these images, or in another order",
                              agreed_, total),
                  options_.labels == "given" ? options_.images : options_.labels);
    }
    return {};
  }

  [[nodiscard]] std::vector<double> scores() const {
    if (options_.by == "magnitude") return prune::magnitudes(graph_, channels_);
    if (options_.by == "activation") return importance_.activation;
    if (options_.by == "random") return learn::random_scores(channels_.classes(), options_.seed);
    return importance_.taylor;
  }
  Result<program::Program> compiled(const ir::QuantGraph& graph) const {
    auto program = compiler::compile(graph, program_.machine());
    if (!program) return placed(program.error(), "the pruned program");
    return program;
  }
  Result<ir::QuantGraph> personal(const prune::Mask& mask, learn::Correction level) const {
    return learn::personalise(graph_, channels_, mask, reference_, learnt_.inputs, classes_, level,
                              options_.jobs);
  }
  static Result<std::int64_t> cycles(const program::Program& program) {
    const auto estimate = timing::estimate(program);
    if (!estimate) return estimate.error();
    return estimate->cycles;
  }
  Result<double> cycles_share(const prune::Mask& mask) const {
    const auto graph = personal(mask, learn::Correction::kNone);
    if (!graph) return graph.error();
    const auto program = compiled(*graph);
    if (!program) return program.error();
    const auto now = cycles(*program);
    if (!now) return now.error();
    return static_cast<double>(*now) / static_cast<double>(*report_.forward);
  }

  Status measure_cycles() {
    if (!timed_) return {};
    const auto dense = cycles(program_);
    if (!dense) return dense.error();
    report_.forward = *dense;
    const auto backward =
        learn::Backward::make(graph_, learn::scored_tensors(graph_, channels_, scope_));
    if (!backward) return placed(backward.error(), options_.program);
    const auto program = compile_backward(*backward, program_.machine());
    if (!program) return placed(program.error(), "the backward program");
    const auto back = cycles(*program);
    if (!back) return back.error();
    report_.backward = *back;
    return {};
  }

  Status choose() {
    if (const Status status = measure_cycles(); !status) return status;
    level_ = options_.correct == "none"   ? learn::Correction::kNone
             : options_.correct == "fold" ? learn::Correction::kFold
                                          : learn::Correction::kAll;
    if (level_ != learn::Correction::kNone)
      reference_ = learn::measure_reference(graph_, learnt_.inputs, options_.jobs);
    const int align = options_.align > 0 ? options_.align : program_.machine().lanes;
    const learn::Ranking ranking(channels_, scope_, scores(), align,
                                 learn::channel_macs(graph_, channels_), options_.least);
    if (ranking.size() == 0) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("has no channels that could go in blocks of {}", align),
                  options_.program);
    }
    Result<learn::Selected> found = fail(ErrorCode::kUsage, "is unknown", "--budget");
    switch (budget_.kind) {
      case Budget::Kind::kMacs:
        found = learn::meet(
            ranking, budget_.limit,
            [this](const prune::Mask& mask) -> Result<double> {
              return learn::macs_share(graph_, channels_, mask);
            },
            "the share of MACs");
        break;
      case Budget::Kind::kCycles:
        found = learn::meet(
            ranking, budget_.limit, [this](const prune::Mask& mask) { return cycles_share(mask); },
            "the share of cycles");
        break;
      case Budget::Kind::kLoss: {
        const double generic = learn::accuracy(graph_, trial_, classes_, options_.jobs);
        found = learn::push(
            ranking, budget_.limit,
            [this, generic](const prune::Mask& mask) -> Result<double> {
              const auto graph = personal(mask, level_);
              if (!graph) return graph.error();
              return 100 * (generic - learn::accuracy(*graph, trial_, classes_, options_.jobs));
            },
            kSteps, "the loss");
        break;
      }
    }
    if (!found) return placed(found.error(), "--budget");
    mask_ = found->mask;
    const auto light = prune::prune(graph_, channels_, mask_);
    if (!light) return light.error();
    auto graph = learn::correct(graph_, *light, prune::by_tensor(channels_, mask_), reference_,
                                learnt_.inputs, classes_, level_, options_.jobs);
    if (!graph) return graph.error();
    if (!options_.patch.empty()) {
      const auto patch = prune::make_patch(graph_, channels_, mask_, *light, *graph, model_);
      if (!patch) return placed(patch.error(), "--patch");
      patch_ = prune::serialise(*patch);
    }
    personal_ = learn::keep_outputs(std::move(*graph), classes_);
    return {};
  }

  static std::string_view text_of(std::span<const std::uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  Status write() {
    auto program = compiled(personal_);
    if (!program) return program.error();
    personal_program_ = std::move(*program);
    if (timed_) {
      const auto count = cycles(personal_program_);
      if (!count) return count.error();
      report_.pruned = *count;
    }
    const std::string mask = prune::to_text(prune::to_file(graph_, channels_, mask_, model_));
    if (Status s = write_file(options_.output, mask); !s) return s;
    const auto bytes = program::serialise(personal_program_);
    if (Status s = write_file(options_.personal, text_of(bytes)); !s) return s;
    if (!options_.patch.empty()) {
      if (Status s = write_file(options_.patch, text_of(patch_)); !s) return s;
      report_.patch = patch_.size();
    }
    report_.macs_share = learn::macs_share(graph_, channels_, mask_);
    report_.generic = learn::accuracy(graph_, held_, classes_, options_.jobs);
    report_.personal = learn::accuracy(personal_, held_, classes_, options_.jobs);
    const ir::ChannelMask live = prune::by_tensor(channels_, mask_);
    for (const ir::QuantNode& node : graph_.nodes) {
      const auto& bits = live[static_cast<std::size_t>(node.output)];
      if (!std::holds_alternative<ir::QuantConv>(node.op) || node.output == graph_.output) continue;
      const auto count = static_cast<std::size_t>(std::ranges::count(bits, true));
      report_.layers.push_back({node.name, count, bits.size()});
    }
    return {};
  }

  /// Whether the personal graph has the user's classes only.
  [[nodiscard]] bool reduced() const {
    return personal_.tensors[static_cast<std::size_t>(personal_.output)].shape.c ==
           static_cast<int>(classes_.size());
  }
  /// Answers of the user's classes, one an image, and how sure the model is.
  struct Answer {
    int best = 0;
    double confidence = 0;
  };
  [[nodiscard]] std::vector<Answer> answers(std::span<const std::int8_t> outputs,
                                            std::size_t count) const {
    const ir::Quant quant = personal_.tensors[static_cast<std::size_t>(personal_.output)].quant;
    const std::size_t width = outputs.size() / count;
    std::vector<Answer> list;
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = outputs.subspan(i * width, width);
      std::vector<std::int8_t> own;
      for (std::size_t c = 0; c < classes_.size(); ++c)
        own.push_back(row[reduced() ? c : static_cast<std::size_t>(classes_[c])]);
      const auto best = std::ranges::max_element(own) - own.begin();
      list.push_back({classes_[static_cast<std::size_t>(best)], learn::confidence(quant, own)});
    }
    return list;
  }

  /// Goes on with the personal model, and with --watch back to the generic one where it must.
  Status serve() {
    std::optional<learn::Watch> watch;
    if (options_.watch) {
      std::vector<double> held;
      const auto outputs = golden::run_batch(personal_, held_.inputs, options_.jobs);
      for (const Answer& a : answers(outputs, held_.size())) held.push_back(a.confidence);
      watch.emplace(std::move(held));
    }
    const std::size_t end = at_ + std::min(options_.serve, stream_->size() - at_);
    std::size_t right = 0;
    ProgressBar bar("serving", end - at_, options_.json);
    while (at_ < end) {
      const std::size_t count = std::min(kChunk, end - at_);
      const auto inputs = stream_->load(at_, count);
      if (!inputs) return inputs.error();
      const auto outputs = server_->answer(personal_program_, *inputs);
      if (!outputs) return outputs.error();
      const auto list = answers(*outputs, count);
      std::vector<std::int8_t> generic;
      for (std::size_t i = 0; i < count; ++i, ++at_, ++report_.served) {
        int best = list[i].best;
        if (report_.returned) {
          if (generic.empty()) {
            auto again = server_->answer(program_, *inputs);
            if (!again) return again.error();
            generic = std::move(*again);
          }
          const auto row = std::span(generic).subspan(i * outputs_, outputs_);
          best = static_cast<int>(std::ranges::max_element(row) - row.begin());
        }
        answer(at_, best, report_.returned ? "generic" : "personal");
        if (!stream_->predicted() && mine(stream_->label(at_))) {
          ++report_.judged;
          right += best == stream_->label(at_) ? 1 : 0;
        }
        if (watch && !report_.returned && watch->note(list[i].confidence)) {
          report_.returned = at_ + 1;
          fmt::print(
              stderr,
              "espalier: image {}: the personal model is unsure of {:.0f} % of the last {} "
              "images, {:.0f} % of those held back; the generic model answers from here on\n",
              at_, 100 * watch->low_share(), learn::Watch::kWindow, 100 * learn::Watch::kLowShare);
        }
      }
      bar.show(report_.served);
    }
    report_.answered = server_->images();
    if (server_->cycles() > 0) report_.cycles = server_->cycles();
    if (watch) report_.low_share = watch->low_share();
    if (report_.judged > 0)
      report_.served_right = static_cast<double>(right) / static_cast<double>(report_.judged);
    return {};
  }

  const PersonaliseOptions& options_;
  program::Program program_;
  ir::QuantGraph graph_;  // without copies
  prune::Channels channels_;
  prune::Known model_;  // the graph's fingerprint
  prune::Scope scope_ = prune::Scope::kInternal;
  std::size_t outputs_ = 0;
  std::vector<int> classes_;  // ascending
  Budget budget_;
  bool timed_ = true;  // the configuration has a timing model
  std::optional<learn::Meter> meter_;
  std::optional<Server> server_;
  std::optional<UserStream> stream_;
  std::size_t at_ = 0;             // the next image of the stream
  std::size_t seen_ = 0;           // of the user's
  std::size_t agreed_ = 0;         // labels that are the generic model's answer
  Samples learnt_, trial_, held_;  // trial_: to try budgets of loss on
  bool made_scores_ = false;       // this run began the file of scores
  bool done_ = false;
  std::size_t checked_ = 0;   // images of learnt_ against the file of scores
  std::uint64_t digest_ = 0;  // of these
  learn::Importance importance_;
  learn::Reference reference_;
  learn::Correction level_ = learn::Correction::kAll;
  prune::Mask mask_;
  ir::QuantGraph personal_;
  program::Program personal_program_;
  std::vector<std::uint8_t> patch_;  // its file
  std::string answers_ = "image,answer,model\n";
  PersonaliseReport report_;
};

}  // namespace

Result<int> personalise_job(const PersonaliseOptions& options) { return Job(options).go(); }

}  // namespace espalier::cli
