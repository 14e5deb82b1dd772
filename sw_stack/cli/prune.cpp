// `espalier prune`: a model in, the model without what a mask leaves out as ONNX.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/calibrate.hpp"
#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/models.hpp"
#include "cli/personalise_request.hpp"
#include "export/onnx_writer.hpp"
#include "import/model.hpp"
#include "learn/correct.hpp"
#include "program/program.hpp"
#include "base/whole_file.hpp"

namespace espalier::cli {
namespace {

struct PruneOptions {
  std::string model, mask, classes, output, form = "qdq";
  CalibrationOptions calibration;
  bool json = false;
};

constexpr const char* kFooter =
    "What `run --mask` computes, for other runtimes: the written model has the mask's channels\n"
    "alone, and is as much smaller. It is quantised: docs/quantised-models.md has its forms.\n"
    "\n"
    "MODEL is what the mask was made for: a quantised model, a float one with the images that it\n"
    "was quantised with, or a program. A program needs no mask: what `personalise` wrote is "
    "pruned\n"
    "already, and has its corrections.\n"
    "\n"
    "examples:\n"
    "  espalier prune resnet8_int8.tflite --mask user.mask -o small.onnx\n"
    "  espalier prune resnet20.espl --mask user.mask --classes 3,5,8 -o small.onnx\n"
    "  espalier prune user.espl -o small.onnx";

std::int64_t macs(const ir::QuantGraph& graph) {
  std::int64_t sum = 0;
  for (const ir::QuantNode& node : graph.nodes) sum += ir::macs(graph, node);
  return sum;
}

class Prune {
 public:
  explicit Prune(const PruneOptions& options) : options_(options) {}

  Result<int> go() {
    for (const auto step :
         {&Prune::load, &Prune::apply_mask, &Prune::keep_classes, &Prune::write}) {
      if (const Status status = (this->*step)(); !status) return status.error();
    }
    tell();
    return kOk;
  }

  [[nodiscard]] const import_::Refusals& refusals() const { return refusals_; }

 private:
  Status load() {
    const bool program = is_program(options_.model);
    if (!program && options_.mask.empty() && options_.classes.empty()) {
      return fail(ErrorCode::kUsage, "nothing to leave out; name a --mask or --classes",
                  options_.model);
    }
    if (program) {
      auto loaded = program::load(options_.model);
      if (!loaded) return loaded.error();
      graph_ = prune::without_copies(loaded->graph);
    } else {
      auto model = import_::load(options_.model, &refusals_);
      if (!model) return model.error();
      if (auto* plain = std::get_if<ir::FloatGraph>(&*model)) {
        auto made = calibrate(*plain, options_.calibration, options_.model);
        if (!made) return made.error();
        graph_ = std::move(made->graph);
        macs_ = macs(graph_);
        return {};
      }
      graph_ = std::move(std::get<ir::QuantGraph>(*model));
    }
    if (!options_.calibration.images.empty()) {
      return fail(ErrorCode::kUsage, options_.model + " is quantised already; leave it out",
                  "--calibrate");
    }
    macs_ = macs(graph_);
    return {};
  }

  Status apply_mask() {
    if (options_.mask.empty()) return {};
    const prune::Channels channels = prune::find_channels(graph_);
    const auto mask = prune::load_mask_for(graph_, channels, options_.mask);
    if (!mask) return mask.error();
    if (std::ranges::all_of(mask->live, [](bool live) { return live; })) {
      return fail(ErrorCode::kRange, "leaves nothing out: every channel of the model stays",
                  options_.mask);
    }
    auto light = pruned(graph_, channels, *mask, options_.mask);
    if (!light) return light.error();
    graph_ = std::move(light->graph);
    return {};
  }

  Status keep_classes() {
    if (options_.classes.empty()) return {};
    const auto outputs = [this] {
      return graph_.tensors[static_cast<std::size_t>(graph_.output)].shape.c;
    };
    const auto classes = read_classes(options_.classes, outputs());
    if (!classes) return classes.error();
    graph_ = learn::keep_outputs(std::move(graph_), *classes);
    if (outputs() == static_cast<int>(classes->size())) return {};
    return fail(ErrorCode::kUnsupported,
                "no convolution or fully connected layer makes the output: classes cannot go",
                options_.model);
  }

  Status write() {
    const auto form = options_.form == "qdq" ? export_::Form::kQdq : export_::Form::kQoperator;
    const auto bytes = export_::write_onnx(graph_, {form, false});
    if (!bytes) return placed(bytes.error(), options_.model);
    size_ = bytes->size();
    return write_file(options_.output, *bytes);
  }

  void tell() const {
    const std::int64_t now = macs(graph_);
    const int outputs = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape.c;
    if (options_.json) {
      print_json(Json{{"network", graph_.name},
                      {"output", options_.output},
                      {"form", options_.form},
                      {"macs", {{"model", macs_}, {"written", now}}},
                      {"outputs", outputs},
                      {"bytes", size_}});
      return;
    }
    fmt::print("{}: {} operators, {} outputs, {}\n", printable(graph_.name), graph_.nodes.size(),
               outputs, bytes_text(size_));
    fmt::print(
        "  {} of {} multiply-accumulates ({:.1f} %)\n", grouped(static_cast<std::uint64_t>(now)),
        grouped(static_cast<std::uint64_t>(macs_)),
        100 * static_cast<double>(now) / static_cast<double>(std::max<std::int64_t>(macs_, 1)));
    fmt::print("  written to {}, form {}\n", options_.output, options_.form);
  }

  const PruneOptions& options_;
  import_::Refusals refusals_;
  ir::QuantGraph graph_;
  std::int64_t macs_ = 0;  // of the model as it was
  std::size_t size_ = 0;
};

}  // namespace

void add_prune(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<PruneOptions>();
  CLI::App* command =
      app.add_subcommand("prune", "write a model without the channels that a mask leaves out");
  command->footer(kFooter);
  command->add_option("MODEL", options->model, "ONNX or TensorFlow Lite file, or a program")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("--mask", options->mask, "the channels that stay")
      ->check(reads())
      ->type_name("U.mask");
  command->add_option("--classes", options->classes, "outputs that stay, from 0; without it all")
      ->type_name("A,B,...");
  command->add_option("-o,--output", options->output, "model to write")
      ->check(writes())
      ->type_name("SMALL.onnx")
      ->required();
  command->add_option("--form", options->form, "qdq or qoperator, as `quantise` has them")
      ->type_name("FORM")
      ->check(CLI::IsMember({"qdq", "qoperator"}))
      ->capture_default_str();
  add_calibration(*command, options->calibration);
  command->add_flag("--json", options->json, "print what was made as JSON");
  command->callback([options, command, &chosen] {
    options->calibration.has_count = command->count("--count") > 0;
    options->calibration.quiet = options->json;
    chosen = [options] {
      Prune job(*options);
      const auto code = job.go();
      return code ? *code : complain(code.error(), job.refusals().lines());
    };
  });
}

}  // namespace espalier::cli
