// `espalier score`: how much each channel matters for images of some classes, measured on a device.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/common.hpp"
#include "cli/models.hpp"
#include "cli/personalise_request.hpp"
#include "cli/personalise_stream.hpp"
#include "cli/scoring.hpp"
#include "prune/mask.hpp"
#include "prune/prune.hpp"
#include "base/whole_file.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {
namespace {

constexpr const char* kFooter =
    "Runs each image forward, takes the gradient of the cross-entropy over the classes at the\n"
    "network's output, and runs a backward pass of int8 gradients down to the lowest tensor that\n"
    "is scored: how much the loss would change without each channel (docs/backward.md). Prints\n"
    "what that takes in cycles: measured on rtl, by the timing model elsewhere.\n"
    "\n"
    "examples:\n"
    "  espalier score net.espl --images photos/ --classes 3,5,8 -o scores.csv\n"
    "  espalier score net.espl --images test_batch.bin --labels given --count 2 --device rtl "
    "--check\n"
    "  espalier score resnet50.espl --images x.npy --count 1 --from layer4";

struct ScoreOptions {
  std::string program, images, classes, output, backward, from, device = "golden";
  std::string labels = "predicted", scope = "internal";
  std::size_t first = 0, count = 16;
  int jobs = 0;
  bool check = false, json = false;
};

class Job {
 public:
  explicit Job(const ScoreOptions& options) : options_(options) {}

  Result<int> go() {
    for (const auto step : {&Job::load, &Job::open, &Job::measure, &Job::estimate, &Job::write}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    report();
    return totals_->forward.mismatches + totals_->backward.mismatches > 0 ? kDiffers : kOk;
  }

 private:
  Status load() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    program_ = std::move(*program);
    graph_ = prune::without_copies(program_.graph);
    channels_ = prune::find_channels(graph_);
    const ir::Shape& out = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape;
    if (out.h != 1 || out.w != 1) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("is no classifier: its output is {}x{}x{}", out.c, out.h, out.w),
                  options_.program);
    }
    if (options_.classes.empty()) {
      classes_.resize(static_cast<std::size_t>(out.c));
      std::iota(classes_.begin(), classes_.end(), 0);
    } else {
      auto classes = read_classes(options_.classes, out.c);
      if (!classes) return classes.error();
      classes_ = std::move(*classes);
    }
    const auto scope = options_.scope == "all" ? prune::Scope::kAll : prune::Scope::kInternal;
    scored_ = learn::scored_tensors(graph_, channels_, scope);
    return options_.from.empty() ? Status() : leave_out();
  }
  /// Scores nothing that is made before --from.
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
    auto stream = UserStream::open(graph_, options_.images, options_.labels);
    if (!stream) return stream.error();
    stream_.emplace(std::move(*stream));
    const auto kind = runtime::find_device(options_.device);
    ESP_CHECK(kind.has_value());
    const bool golden = *kind == runtime::DeviceKind::kGolden;
    auto meter = learn::Meter::make(
        graph_, channels_, scored_, classes_,
        golden ? learn::MakePasses(learn::golden_passes)
               : device_passes(program_.machine(), *kind, {}, options_.check, totals_));
    if (!meter) return placed(meter.error(), options_.program);
    meter_.emplace(std::move(*meter));
    return {};
  }

  Status measure() {
    ProgressBar bar("scoring", options_.count, options_.json);
    std::size_t at = options_.first;
    while (importance_.images < options_.count && at < stream_->size()) {
      std::vector<std::int8_t> inputs;
      std::vector<int> labels;
      const std::size_t round = std::min(learn::Meter::kRound, options_.count - importance_.images);
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
      bar.show(importance_.images);
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
    const bool estimates = !measured_ && !program_.machine().compact;
    if (!estimates && options_.backward.empty()) return {};
    const auto made = learn::Backward::make(graph_, scored_);
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

  Status write() {
    if (options_.output.empty()) return {};
    std::string text = "tensor,channel,score\n";
    for (std::size_t t = 0; t < scored_.size(); ++t) {
      for (std::size_t c = 0; scored_[t] && c < channels_.of_tensor[t].size(); ++c) {
        const auto id = static_cast<std::size_t>(channels_.of_tensor[t][c]);
        text += fmt::format("\"{}\",{},{}\n", graph_.tensors[t].name, c, importance_.taylor[id]);
      }
    }
    return write_file(options_.output, text);
  }

  void report() const {
    std::size_t tensors = 0, count = 0;
    for (std::size_t t = 0; t < scored_.size(); ++t) {
      if (!scored_[t]) continue;
      ++tensors;
      count += static_cast<std::size_t>(graph_.tensors[t].shape.c);
    }
    runtime::Comparison all = totals_->forward;
    all.merge(totals_->backward);
    const double share =
        forward_ > 0 ? static_cast<double>(backward_) / static_cast<double>(forward_) : 0;
    if (options_.json) {
      Json json{{"images", importance_.images},
                {"classes", classes_},
                {"tensors", tensors},
                {"channels", count},
                {"measured", measured_}};
      json["forward_cycles"] = forward_ > 0 ? Json(forward_) : Json();
      json["backward_cycles"] = forward_ > 0 ? Json(backward_) : Json();
      if (options_.check) json["checked"] = {{"values", all.values}, {"differ", all.mismatches}};
      print_json(json);
      return;
    }
    fmt::print("scored     {} images, {} channels in {} tensors\n", importance_.images, count,
               tensors);
    if (forward_ > 0) {
      fmt::print("forward    {} cycles an image{}\n", grouped(forward_),
                 measured_ ? "" : ", by the timing model");
      fmt::print("backward   {} cycles an image, {:.1f} % of forward\n", grouped(backward_),
                 100 * share);
    }
    if (!options_.check) return;
    if (all.mismatches == 0) {
      fmt::print("check      {} values forward, {} backward: all equal to golden\n",
                 grouped(totals_->forward.values), grouped(totals_->backward.values));
    } else {
      fmt::print("check      {} of {} values differ from golden\n", grouped(all.mismatches),
                 grouped(all.values));
      if (all.first) fmt::print("           {}\n", printable(all.first->text(options_.device)));
    }
  }

  const ScoreOptions& options_;
  program::Program program_;
  ir::QuantGraph graph_;
  prune::Channels channels_;
  std::vector<int> classes_;  // ascending
  std::vector<bool> scored_;
  std::optional<UserStream> stream_;
  std::shared_ptr<ScoringTotals> totals_ = std::make_shared<ScoringTotals>();
  std::optional<learn::Meter> meter_;
  learn::Importance importance_;
  std::uint64_t forward_ = 0, backward_ = 0;
  bool measured_ = false;
};

}  // namespace

void add_score(CLI::App& app, Action& chosen) {
  auto o = std::make_shared<ScoreOptions>();
  CLI::App* command =
      app.add_subcommand("score", "how much each channel matters for some images, on a device");
  command->footer(kFooter);
  command->add_option("PROGRAM", o->program, "program file that `compile` wrote")
      ->check(reads())
      ->type_name("P.espl")
      ->required();
  command->add_option("--images", o->images, "images, as `run` takes them")
      ->check(reads())
      ->type_name("IMAGES")
      ->required();
  command->add_option("--classes", o->classes, "outputs that compete, from 0 (all)")
      ->type_name("A,B,...");
  CLI::Option* labels =
      command
          ->add_option(
              "--labels", o->labels,
              "given (those of the images), predicted (the network's best of the classes), or "
              "a file with a\nlabel a line")
          ->type_name("LABELS")
          ->capture_default_str();
  command->add_option("--scope", o->scope, "as `mask random` has it")
      ->type_name("SCOPE")
      ->check(CLI::IsMember({"internal", "all"}))
      ->capture_default_str();
  command
      ->add_option("--from", o->from,
                   "score only what the first node with this in its name makes, and those after")
      ->type_name("NAME");
  command->add_option("--first", o->first, "first image, counted from 0")
      ->type_name("N")
      ->transform(whole(0, 1'000'000'000'000));
  command->add_option("--count", o->count, "images to score")
      ->type_name("N")
      ->transform(whole(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--device", o->device, "what runs the passes: golden, iss or rtl")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"golden", "iss", "rtl"}))
      ->capture_default_str();
  command->add_flag("--check", o->check,
                    "compare every activation, gradient and sum that the device stores with "
                    "golden;\nexit code 1 if one differs");
  command->add_option("-o,--output", o->output, "table of scores to write")
      ->check(writes())
      ->type_name("F.csv");
  command
      ->add_option("--backward", o->backward,
                   "program of the backward pass to write, for `inspect` and `profile`")
      ->check(writes())
      ->type_name("B.espl");
  command->add_option("--jobs", o->jobs, "golden: threads (every core)")
      ->type_name("J")
      ->transform(whole(1, 256));
  command->add_flag("--json", o->json, "print the report as JSON");
  command->callback([o, labels, &chosen] {
    if (o->labels != "given" && o->labels != "predicted") labels->check(reads());
    chosen = [o] {
      const auto code = Job(*o).go();
      return code ? *code : complain(code.error());
    };
  });
}

}  // namespace espalier::cli
