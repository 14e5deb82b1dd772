#include "cli/run_job.hpp"

#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "cli/compare_float.hpp"
#include "cli/device_option.hpp"
#include "cli/images.hpp"
#include "cli/lockstep.hpp"
#include "cli/masks.hpp"
#include "cli/report.hpp"
#include "images/dataset.hpp"
#include "images/files.hpp"
#include "images/input.hpp"
#include "import/model.hpp"
#include "prune/channels.hpp"
#include "runtime/interrupt.hpp"
#include "base/whole_file.hpp"

namespace espalier::cli {
namespace {

/// The device that is asked for, or the best that this build has. Errors: kUsage.
Result<runtime::DeviceKind> choose_device(const RunOptions& options,
                                          const program::Program& program) {
  if (!options.device.empty()) return device_kind(options.device);
  return runtime::has_rtl(program.machine()) ? runtime::DeviceKind::kRtl
                                             : runtime::DeviceKind::kIss;
}

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
  if (Status status = runtime::check_jobs(kind, options.jobs); !status) return status;
  if (!rtl && options.lockstep)
    return usage("--lockstep", "follows the verilated machine; take --device rtl");
  if (options.lockstep && !options.float_model.empty())
    return usage("--compare-float", "cannot go with --lockstep");
  if (options.lockstep && options.jobs > 1)
    return usage("--lockstep", "follows one machine; leave out --jobs");
  if (!rtl && !options.wave.empty()) return usage("--wave", "only the device rtl has waves");
  if (!rtl && (!options.latency.empty() || options.stall > 0)) {
    return usage("--mem-latency, --mem-stall", "only the device rtl has a memory that waits");
  }
  if (options.has_wave_cycles && options.wave.empty() && !options.lockstep)
    return usage("--wave-cycles", "needs --wave FILE.fst");
  if (options.wave.empty()) return {};
  if (options.jobs > 1) return usage("--wave", "records one machine; leave out --jobs");
  const std::vector<std::string> traced = runtime::wave_configs();
  if (std::ranges::find(traced, program.config) == traced.end()) {
    return usage("--wave",
                 fmt::format("this build has no traced machine of {}; it has {}", program.config,
                             traced.empty() ? "none" : fmt::format("{}", fmt::join(traced, ", "))));
  }
  return {};
}

class RunJob {
 public:
  explicit RunJob(const RunOptions& options) : options_(options) {}

  Result<int> go() {
    runtime::note_interrupts();
    for (const auto step :
         {&RunJob::load_program, &RunJob::load_images, &RunJob::load_names, &RunJob::load_float}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    if (const Status status = execute(); !status) return status.error();
    return finish();
  }

 private:
  Status load_program() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    program_ = std::move(program).value();
    auto kind = choose_device(options_, program_);
    if (!kind) return kind.error();
    batch_.kind = *kind;
    batch_.check = options_.check;
    batch_.jobs = options_.jobs;
    batch_.device.stall = options_.stall;
    batch_.device.seed = options_.seed;
    if (options_.has_seed) batch_.device.order_seed = options_.seed;
    batch_.device.wave = options_.wave;
    batch_.device.wave_cycles = options_.wave_cycles;
    auto board = board_of(options_.device, options_.buffer);
    if (!board) return board.error();
    batch_.device.fpga = std::move(*board);
    if (options_.lockstep && options_.wave.empty() && can_wave(program_))
      batch_.device.wave = wave_name(options_.program);
    if (Status status = check_options(options_, program_, *kind); !status) return status;
    if (Status status = load_mask(); !status) return status;
    if (Status status = load_overlay(); !status) return status;
    return parse_latency(options_.latency, batch_.device);
  }

  Status load_mask() {
    report_.fingerprint = program::fingerprint(program_);
    if (!options_.masks.empty() || !options_.overlay.empty())
      model_ = prune::fingerprint(program_.graph);
    if (options_.masks.empty()) return {};
    if (Status s = load_masks(program_, *model_, {options_.masks, options_.patches},
                              batch_.kind != runtime::DeviceKind::kGolden, batch_.device);
        !s)
      return s;
    report_.masks = options_.masks;
    report_.live_macs = live_macs(program_, batch_.device.masks);
    return {};
  }

  Status load_overlay() {
    if (options_.overlay.empty()) return {};
    auto use = use_overlay(program_, *model_, options_.overlay,
                           batch_.kind != runtime::DeviceKind::kGolden);
    if (!use) return use.error();
    report_.overlay = std::move(use).value();
    return {};
  }

  Status load_images() {
    auto dataset = open_images(options_.images, input().shape);
    if (!dataset) return dataset.error();
    dataset_.emplace(std::move(dataset).value());
    const std::uint64_t size = dataset_->size();
    if (options_.first >= size) {
      return fail(ErrorCode::kUsage,
                  fmt::format("is {}; {} has {} images", options_.first, options_.images, size),
                  "--first");
    }
    count_ = options_.has_count ? options_.count : size - options_.first;
    if (count_ > size - options_.first) {
      return fail(ErrorCode::kUsage,
                  fmt::format("is {}; {} has {} images from {} on", count_, options_.images,
                              size - options_.first, options_.first),
                  "--count");
    }
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
    auto model = import_::load(options_.float_model);
    if (!model) return model.error();
    auto* graph = std::get_if<ir::FloatGraph>(&*model);
    if (graph == nullptr) {
      return fail(ErrorCode::kUsage,
                  "is quantised already; there is no float model to compare with",
                  options_.float_model);
    }
    float_graph_ = std::move(*graph);
    auto comparison = FloatComparison::open(float_graph_, program_.graph, options_.float_model);
    if (!comparison) return comparison.error();
    float_ = std::move(comparison).value();
    return {};
  }

  Status execute() {
    const auto load = [this](std::size_t i) -> Result<std::vector<std::int8_t>> {
      const auto pixels = dataset_->load(options_.first + i);
      if (!pixels) return pixels.error();
      return images::quantise_input(program_.graph, *pixels, dataset_->raw_float());
    };
    runtime::Observe observe;
    if (float_ != nullptr) {
      observe = [this](std::size_t i, std::span<const golden::Tensor> tensors) -> Status {
        const auto pixels = dataset_->load(options_.first + i);
        if (!pixels) return pixels.error();
        const auto values = images::preprocess_input(program_.graph.preprocess, input().shape,
                                                     *pixels, dataset_->raw_float());
        float_->add(values, tensors, label(i));
        return {};
      };
    }
    ProgressBar bar(std::string(runtime::name(batch_.kind)), count_, options_.json);
    const auto show = [&bar](std::size_t done) { bar.show(done); };
    auto result = options_.lockstep
                      ? run_in_lockstep(program_, batch_, count_, load, show, difference_)
                      : runtime::run_batch(program_, batch_, count_, load, show, observe);
    if (!result) {
      Diagnostic error = result.error();
      if (error.code == ErrorCode::kDevice)
        error.place = options_.program + (error.place.empty() ? "" : ": " + error.place);
      return error;
    }
    const std::size_t images = result->images;
    report_.program = &program_;
    report_.options = batch_;
    report_.images = images;
    report_.result = std::move(result).value();
    if (dataset_->has_labels() && images > 0) {
      report_.correct = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        if (!finished(i)) continue;
        *report_.correct +=
            arg_max(std::span<const std::int8_t>(report_.result.outputs[i])) == label(i) ? 1 : 0;
      }
    }
    if (report_.result.comparison.first) report_.result.comparison.first->image += options_.first;
    for (auto& partial : report_.result.partial) {
      partial.image += options_.first;
      if (partial.comparison.first) partial.comparison.first->image += options_.first;
    }
    return {};
  }

  Result<int> finish() {
    if (!options_.output.empty()) {
      std::vector<float> all;
      for (const auto& output : report_.result.outputs) {
        if (output.empty()) continue;
        const std::vector<float> values = scores(output);
        all.insert(all.end(), values.begin(), values.end());
      }
      if (Status status = images::write_scores(options_.output, all, report_.images, output_size());
          !status)
        return status.error();
    }
    Json json = to_json(report_);
    if (options_.lockstep) json["lockstep"] = to_json(difference_);
    if (float_ != nullptr) json["float"] = float_->report();
    if (!options_.report.empty()) {
      if (Status status = write_file(options_.report, json_text(json)); !status)
        return status.error();
    }
    if (options_.json) {
      if (options_.top > 0) json["top"] = top_json();
      print_json(json);
    } else {
      if (options_.top > 0) print_top();
      print(report_, options_.layers);
      if (float_ != nullptr) {
        if (float_->top1()) fmt::print("  {:<17}{:.2f} %\n", "float top-1", 100 * *float_->top1());
        fmt::print("\n");
        float_->print();
      }
      if (!options_.wave.empty() && !options_.lockstep)
        fmt::print("  {:<17}{}\n", "wave", options_.wave);
      if (options_.lockstep) print(difference_);
    }
    if (report_.result.interrupted != 0) return kInterrupted + report_.result.interrupted;
    if (difference_.result.difference) return kDiffers;
    return report_.result.comparison.mismatches == 0 ? kOk : kDiffers;
  }

  [[nodiscard]] const ir::QuantTensor& input() const {
    return program_.graph.tensors[static_cast<std::size_t>(program_.graph.input)];
  }
  [[nodiscard]] const ir::QuantTensor& output() const {
    return program_.graph.tensors[static_cast<std::size_t>(program_.graph.output)];
  }
  [[nodiscard]] std::size_t output_size() const {
    return static_cast<std::size_t>(output().shape.count());
  }
  [[nodiscard]] bool finished(std::size_t i) const { return !report_.result.outputs[i].empty(); }
  [[nodiscard]] std::optional<int> label(std::size_t i) const {
    if (!dataset_->has_labels()) return std::nullopt;
    return dataset_->label(options_.first + i);
  }

  [[nodiscard]] bool on_host(const char* op) const {
    return std::ranges::find(program_.graph.host_ops, op) != program_.graph.host_ops.end();
  }

  /// The network's output as the model gives it: dequantised, and with what the host does to it.
  [[nodiscard]] std::vector<float> scores(const std::vector<std::int8_t>& values) const {
    std::vector<float> result;
    for (const int value : values) {
      result.push_back(output().quant.scale * static_cast<float>(value - output().quant.zero));
    }
    const auto pixels = static_cast<std::size_t>(output().shape.h * output().shape.w);
    const bool logarithm = on_host(ir::kLogSoftmax);
    if (program_.graph.softmax || logarithm) {
      for (std::size_t p = 0; p < pixels; ++p) softmax(result, p, pixels, logarithm);
    }
    if (!on_host(ir::kTransposeOutput)) return result;
    std::vector<float> turned;  // from channel by channel to pixel by pixel
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t i = p; i < result.size(); i += pixels) turned.push_back(result[i]);
    }
    return turned;
  }

  /// Softmax, or its logarithm, over the channels of one pixel; values are channel by channel.
  static void softmax(std::vector<float>& values, std::size_t pixel, std::size_t pixels,
                      bool logarithm) {
    float top = values[pixel];
    for (std::size_t i = pixel; i < values.size(); i += pixels) top = std::max(top, values[i]);
    float sum = 0;
    for (std::size_t i = pixel; i < values.size(); i += pixels) sum += std::exp(values[i] - top);
    for (std::size_t i = pixel; i < values.size(); i += pixels) {
      const float x = values[i] - top;
      values[i] = logarithm ? x - std::log(sum) : std::exp(x) / sum;
    }
  }

  /// The best classes of image i, first the best; ties in the order of classes.
  [[nodiscard]] std::vector<std::pair<int, float>> best(std::size_t i) const {
    const std::vector<float> values = scores(report_.result.outputs[i]);
    std::vector<int> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&values](int a, int b) {
      return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
    });
    std::vector<std::pair<int, float>> list;
    for (int k = 0; k < options_.top; ++k) {
      const int c = order[static_cast<std::size_t>(k)];
      list.emplace_back(c, values[static_cast<std::size_t>(c)]);
    }
    return list;
  }
  [[nodiscard]] std::string class_name(int c) const {
    return static_cast<std::size_t>(c) < names_.size()
               ? printable(names_[static_cast<std::size_t>(c)])
               : std::to_string(c);
  }

  [[nodiscard]] Json top_json() const {
    Json list = Json::array();
    for (std::size_t i = 0; i < count_; ++i) {
      if (!finished(i)) continue;
      Json item{{"image", dataset_->name(options_.first + i)}};
      if (const auto wanted = label(i)) item["label"] = class_name(*wanted);
      for (const auto& [c, score] : best(i)) {
        item["classes"].push_back({{"class", c}, {"name", class_name(c)}, {"score", score}});
      }
      list.push_back(std::move(item));
    }
    return list;
  }

  void print_top() const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (!finished(i)) continue;
      std::string line = printable(dataset_->name(options_.first + i)) + ":";
      for (const auto& [c, score] : best(i))
        line += fmt::format("  {} {:.4g}", class_name(c), score);
      if (const auto wanted = label(i)) line += fmt::format("  (is {})", class_name(*wanted));
      fmt::print("{}\n", line);
    }
    fmt::print("\n");
  }

  const RunOptions& options_;
  program::Program program_;
  prune::Known model_;  // the graph's fingerprint, where masks or overlays need it
  runtime::BatchOptions batch_;
  std::optional<images::Dataset> dataset_;
  std::size_t count_ = 0;
  std::vector<std::string> names_;
  ir::FloatGraph float_graph_;
  std::unique_ptr<FloatComparison> float_;
  Report report_;
  LockstepReport difference_;
};

}  // namespace

Status parse_latency(const std::string& text, runtime::DeviceOptions& device) {
  if (text.empty()) return {};
  const auto values = parse_wholes("--mem-latency", text, 1, 10000);
  if (!values) return values.error();
  if (values->size() > 2) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` has {} numbers; R or R,W", text, values->size()),
                "--mem-latency");
  }
  device.read_latency = static_cast<int>((*values)[0]);
  if (values->size() == 2) device.write_latency = static_cast<int>((*values)[1]);
  return {};
}

Result<int> run_job(const RunOptions& options) { return RunJob(options).go(); }

}  // namespace espalier::cli
