// `espalier prune`: a model in, the model without what a mask leaves out as ONNX.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/calibration_option.hpp"
#include "cli/classes_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"
#include "cli/form_option.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/written.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::PruneOptions prune;
  CalibrationOption calibration;
  std::string classes, form{export_::name(prune.form)};
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
    "  espalier prune user.espl -o small.onnx\n"
    "  espalier prune resnet8_int8.tflite --two-of-four -o fine.onnx";

int prune(Options& options) {
  auto calibration = options.calibration.read();
  if (!calibration) return complain(calibration.error());
  options.prune.calibration = std::move(*calibration);
  options.prune.form = form_of(options.form);
  auto classes = parse_classes(options.classes);
  if (!classes) return complain(classes.error());
  options.prune.classes = std::move(*classes);
  const auto made = watched(options.json, [&](const flows::Listener& listener) {
    return flows::prune(options.prune, listener);
  });
  if (!made) return complain(made.error());
  print(options.json ? report::json_text(report::to_json(*made, options.prune))
                     : report::text(*made, options.prune));
  return kOk;
}

}  // namespace

void add_prune(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "prune",
      "write a model without the channels that a mask leaves out, or\nwithout two weights of four");
  command->footer(kFooter);
  command->add_option("MODEL", options->prune.model, "ONNX or TensorFlow Lite file, or a program")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("--mask", options->prune.mask, "the channels that stay")
      ->check(reads())
      ->type_name("U.mask");
  command->add_option("--classes", options->classes, "outputs that stay, from 0; without it all")
      ->type_name("A,B,...");
  command->add_flag("--two-of-four", options->prune.two_of_four,
                    "of every four input channels the two largest weights stay (docs/fine.md)");
  command->add_option("-o,--output", options->prune.output, "model to write")
      ->check(writes())
      ->type_name("SMALL.onnx")
      ->required();
  add_form(*command, options->form, "qdq or qoperator, as `quantise` has them");
  options->calibration.add(*command);
  command->add_flag("--json", options->json, "print what was made as JSON");
  command->callback([options, &chosen] { chosen = [options] { return prune(*options); }; });
}

}  // namespace espalier::cli
