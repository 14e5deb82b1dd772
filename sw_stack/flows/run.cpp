#include "flows/run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "environment/environment.hpp"
#include "flows/images.hpp"
#include "flows/models.hpp"
#include "images/files.hpp"
#include "images/input.hpp"
#include "images/output.hpp"
#include "masks/channels.hpp"
#include "runtime/interrupt.hpp"

namespace espalier::flows {
namespace {

/// Options that contradict each other or the device. Errors: kUsage.
Status check_options(const RunOptions& options, const program::Program& program,
                     runtime::DeviceKind kind) {
  const auto usage = [](const std::string& option, const std::string& message) {
    return fail(ErrorCode::kUsage, message, option);
  };
  const bool rtl = kind == runtime::DeviceKind::kRtl;
  if (options.check && kind == runtime::DeviceKind::kGolden) {
    return usage("--check", "compares a device with golden; take --device iss or rtl");
  }
  if (!options.environment.empty() && kind != runtime::DeviceKind::kGolden && !program.switchable) {
    return usage(
        "--environment",
        "goes with --device golden, or with a program that takes environments (compile "
        "--environment U.env --switchable); otherwise compile it in: compile --environment");
  }
  if (options.environments.empty() == options.pick) {
    return options.pick ? usage("--auto", "picks from a folder: --environments DIR")
                        : usage("--environments",
                                "goes with --auto, which picks one for each image; one for all is "
                                "--environment U.env");
  }
  if (options.pick) {
    if (!options.masks.masks.empty() || !options.overlay.empty() || !options.environment.empty())
      return usage("--auto", "cannot go with --mask, --overlay or --environment");
    if (options.lockstep || !options.wave.empty() || !options.float_model.empty())
      return usage("--auto", "cannot go with --lockstep, --wave or --compare-float");
    if (options.jobs > 1)
      return usage("--auto", "follows a stream on one device; leave out --jobs");
  }
  if (Status status = runtime::check_jobs(kind, options.jobs); !status) return status;
  if (!rtl && options.lockstep)
    return usage("--lockstep", "follows the verilated machine; take --device rtl");
  if (options.lockstep && !options.float_model.empty())
    return usage("--compare-float", "cannot go with --lockstep");
  if (options.lockstep && options.jobs > 1)
    return usage("--lockstep", "follows one machine; leave out --jobs");
  if (!rtl && !options.wave.empty()) return usage("--wave", "only the device rtl has waves");
  if (!rtl && options.memory)
    return usage("--mem-latency, --mem-stall", "only the device rtl has a memory that waits");
  if (options.wave_cycles && options.wave.empty() && !options.lockstep)
    return usage("--wave-cycles", "needs --wave FILE.fst");
  if (options.wave.empty()) return {};
  if (options.jobs > 1) return usage("--wave", "records one machine; leave out --jobs");
  if (runtime::has_waves(program.config.name)) return {};
  const std::vector<std::string> traced = runtime::wave_configs();
  return usage(
      "--wave",
      fmt::format("this build has no traced machine of {}; it has {}", program.config.name.view(),
                  traced.empty() ? "none" : fmt::format("{}", fmt::join(traced, ", "))));
}

class Job {
 public:
  Job(const RunOptions& options, const Listener& listener)
      : options_(options), listener_(listener) {}

  Result<RunResult> go() {
    runtime::note_interrupts();
    for (const auto step :
         {&Job::load_program, &Job::load_environment, &Job::load_masks, &Job::load_images,
          &Job::load_names, &Job::load_float, &Job::execute, &Job::judge}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    return std::move(result_);
  }

 private:
  Status load_program() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    run_.program = std::move(program).value();
    run_.clock = clock_of(run_.program, options_.mhz);
    const bool has_rtl = runtime::has_rtl(run_.program.machine());
    runtime::BatchOptions& batch = run_.options;
    batch.kind =
        options_.device.value_or(has_rtl ? runtime::DeviceKind::kRtl : runtime::DeviceKind::kIss);
    batch.check = options_.check;
    batch.jobs = options_.jobs;
    if (options_.memory) options_.memory->set(batch.device);
    if (options_.seed) batch.device.seed = batch.device.order_seed = *options_.seed;
    batch.device.wave = options_.wave;
    batch.device.wave_cycles = options_.wave_cycles.value_or(0);
    batch.device.fpga = options_.fpga;
    if (options_.lockstep && options_.wave.empty() && runtime::has_waves(run_.program.config.name))
      batch.device.wave = wave_name(options_.program);
    return check_options(options_, run_.program, batch.kind);
  }

  Status load_environment() {
    if (options_.environment.empty()) {
      if (run_.program.switchable && !options_.pick)
        run_.program = program::without_environment(run_.program);
      return {};
    }
    const auto environment = environment::load(options_.environment);
    if (!environment) return environment.error();
    auto graph = environment::apply(*environment, run_.program.graph, options_.environment);
    if (!graph) return graph.error();
    if (run_.program.switchable) {
      auto applied = program::apply_environment(run_.program, *graph);
      if (!applied) return placed(applied.error(), options_.environment);
      runtime::DeviceOptions& device = run_.options.device;
      device.masks = {program::all_channels(*graph)};
      device.graphs.push_back(std::move(*graph));
      device.applied = std::make_shared<const std::vector<program::Masked>>(
          std::vector<program::Masked>{std::move(*applied)});
    } else {
      run_.program.graph = std::move(*graph);
    }
    run_.environment = OverlayUse{options_.environment, environment->count(), environment->live()};
    return {};
  }

  Status load_masks() {
    run_.fingerprint = program::fingerprint(run_.program);
    return apply_masks(run_, options_.masks, options_.overlay,
                       run_.options.kind != runtime::DeviceKind::kGolden);
  }

  Status load_images() {
    auto dataset = open_images(options_.images, tensor(graph().input).shape, listener_);
    if (!dataset) return dataset.error();
    dataset_.emplace(std::move(dataset).value());
    const auto count = count_images(*dataset_, options_.images, options_.first, options_.count);
    if (!count) return count.error();
    count_ = *count;
    return {};
  }

  Status load_names() {
    names_ = dataset_->class_names();
    if (!options_.classes.empty()) {
      auto names = images::read_class_names(options_.classes);
      if (!names) return names.error();
      names_ = std::move(names).value();
    }
    const std::size_t classes = output_size();
    if (options_.top < 0 || static_cast<std::size_t>(options_.top) > classes) {
      return fail(ErrorCode::kUsage,
                  fmt::format("is {}; the network has {} outputs", options_.top, classes), "--top");
    }
    if (!options_.classes.empty() && names_.size() != classes) {
      return fail(
          ErrorCode::kMismatch,
          fmt::format("names {} classes; the network has {} outputs", names_.size(), classes),
          options_.classes);
    }
    return {};
  }

  Status load_float() {
    if (options_.float_model.empty()) return {};
    auto model = load_model(options_.float_model);
    if (!model) return model.error();
    auto* graph = std::get_if<ir::FloatGraph>(&*model);
    if (graph == nullptr) {
      return fail(ErrorCode::kUsage,
                  "is quantised already; there is no float model to compare with",
                  options_.float_model);
    }
    float_graph_ = std::move(*graph);
    auto comparison = FloatComparison::open(float_graph_, run_.program.graph, options_.float_model);
    if (!comparison) return comparison.error();
    float_ = std::move(comparison).value();
    return {};
  }

  Status execute() {
    const auto load = [this](std::size_t i) {
      return load_input(*dataset_, graph(), options_.first + i);
    };
    const auto show = [this](std::size_t done) {
      listener_.show(runtime::name(run_.options.kind), done, count_);
    };
    show(0);
    auto result = options_.pick ? run_picking(run_.program, options_.environments, run_.options,
                                              count_, load, show, run_.picking.emplace())
                  : options_.lockstep ? run_in_lockstep(run_.program, run_.options, count_, load,
                                                        show, result_.lockstep.emplace())
                                      : runtime::run_batch(run_.program, run_.options, count_, load,
                                                           show, observe());
    if (!result) {
      const Diagnostic& error = result.error();
      return error.code == ErrorCode::kDevice ? placed(error, options_.program) : error;
    }
    run_.images = result->images;
    run_.result = std::move(result).value();
    if (run_.result.comparison.first) run_.result.comparison.first->image += options_.first;
    for (auto& partial : run_.result.partial) {
      partial.image += options_.first;
      if (partial.comparison.first) partial.comparison.first->image += options_.first;
    }
    if (float_ != nullptr) result_.noise = float_->noise();
    return {};
  }

  /// The float model beside golden.
  runtime::Observe observe() {
    if (float_ == nullptr) return {};
    return [this](std::size_t i, std::span<const golden::Tensor> tensors) -> Status {
      const auto pixels = dataset_->load(options_.first + i);
      if (!pixels) return pixels.error();
      const auto values = images::preprocess_input(graph().preprocess, tensor(graph().input).shape,
                                                   *pixels, dataset_->raw_float());
      float_->add(values, tensors, label(i));
      return {};
    };
  }

  /// What the outputs say of the images that were finished.
  Status judge() {
    if (dataset_->has_labels() && run_.images > 0) run_.correct = 0;
    std::vector<float> all;
    for (std::size_t i = 0; i < count_; ++i) {
      const std::vector<std::int8_t>& output = run_.result.outputs[i];
      if (output.empty()) continue;
      if (run_.correct)
        *run_.correct += images::arg_max(std::span<const std::int8_t>(output)) == label(i) ? 1 : 0;
      if (options_.top == 0 && options_.scores.empty()) continue;
      const std::vector<float> scores = images::output_scores(graph(), output);
      if (options_.top > 0) answer(i, scores);
      if (!options_.scores.empty()) all.insert(all.end(), scores.begin(), scores.end());
    }
    if (options_.scores.empty()) return {};
    return images::write_scores(options_.scores, all, run_.images, output_size());
  }
  void answer(std::size_t i, std::span<const float> scores) {
    Answer answer{dataset_->name(options_.first + i), {}, {}};
    if (const auto wanted = label(i)) answer.label = class_name(*wanted);
    for (const auto& [c, score] :
         images::best_scores(scores, static_cast<std::size_t>(options_.top)))
      answer.best.push_back({c, class_name(c), score});
    result_.answers.push_back(std::move(answer));
  }

  [[nodiscard]] const ir::QuantGraph& graph() const { return run_.program.graph; }
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const {
    return graph().tensors[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::size_t output_size() const {
    return static_cast<std::size_t>(tensor(graph().output).shape.count());
  }
  [[nodiscard]] std::optional<int> label(std::size_t i) const {
    if (!dataset_->has_labels()) return std::nullopt;
    return dataset_->label(options_.first + i);
  }
  [[nodiscard]] std::string class_name(int c) const {
    return static_cast<std::size_t>(c) < names_.size() ? names_[static_cast<std::size_t>(c)]
                                                       : std::to_string(c);
  }

  const RunOptions& options_;
  const Listener& listener_;
  RunResult result_;
  Run& run_ = result_.run;
  std::optional<images::Dataset> dataset_;
  std::size_t count_ = 0;
  std::vector<std::string> names_;
  ir::FloatGraph float_graph_;
  std::unique_ptr<FloatComparison> float_;
};

}  // namespace

std::uint64_t Run::macs(std::size_t layer) const {
  return live_macs.empty() ? runtime::macs(program.layers[layer]) : live_macs[layer];
}

std::uint64_t Run::macs() const {
  std::uint64_t sum = 0;
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) sum += macs(layer);
  return sum;
}

void MemoryOptions::set(runtime::DeviceOptions& device) const {
  device.read_latency = read_latency;
  device.write_latency = write_latency;
  device.stall = stall;
}

isa::Clock clock_of(const program::Program& program, std::optional<double> mhz) {
  return mhz ? isa::Clock{*mhz, "as asked for"} : isa::clock_of(program.config.name.view());
}

Status apply_masks(Run& run, const MaskFiles& files, const std::string& overlay, bool packed) {
  if (files.masks.empty() && overlay.empty()) return {};
  const std::uint64_t model = masks::fingerprint(run.program.graph);
  runtime::DeviceOptions& device = run.options.device;
  if (!files.masks.empty()) {
    if (Status s = load_masks(run.program, model, files, packed, device); !s) return s;
    run.masks = files.masks;
    run.live_macs = live_macs(run.program, device.masks);
  }
  if (overlay.empty()) return {};
  auto use = use_overlay(run.program, model, overlay, packed);
  if (!use) return use.error();
  run.overlay = std::move(use).value();
  return {};
}

Result<RunResult> run(const RunOptions& options, const Listener& listener) {
  return Job(options, listener).go();
}

}  // namespace espalier::flows
