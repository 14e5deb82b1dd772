// `espalier compile`: a model in, a program out.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/calibration_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/compile.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::CompileOptions compile;
  CalibrationOption calibration;
  bool json = false;
};

constexpr const char* kFooter =
    "MODEL is .onnx or .tflite, float or quantised; `espalier ops` lists their operators.\n"
    "\n"
    "A float model is quantised here: --calibrate gives images like those that the network will "
    "see\n"
    "(200 are plenty; no labels are needed). Images are a CIFAR-10 .bin file, an .npy array, or a\n"
    "folder of pictures (PNG, JPEG, BMP, GIF, PSD, TGA, PGM, PPM).\n"
    "\n"
    "Without --mean and --std the network gets pixels from 0 to 255; with them (pixel/255 - mean) "
    "/ std,\n"
    "one value a channel. The program keeps them, so that `run` does the same.\n"
    "\n"
    "--prune leaves the mask's channels out for good. MODEL may be the program that the mask was "
    "made\n"
    "for: a float model is then not quantised again.\n"
    "--maskable makes a program that takes any mask when it runs.\n"
    "\n"
    "examples:\n"
    "  espalier compile resnet8_int8.tflite -o resnet8.espl\n"
    "  espalier compile resnet8.espl --prune user.mask -o resnet8-user.espl\n"
    "  espalier compile resnet8_int8.tflite -o resnet8-any.espl --maskable\n"
    "  espalier compile resnet8_int8.tflite -o resnet8-nano.espl --config nano\n"
    "  espalier compile resnet8.espl --environment jpeg.env -o resnet8-jpeg.espl\n"
    "  espalier compile resnet8.espl --environment jpeg.env --switchable -o resnet8-any.espl\n"
    "  espalier compile resnet8_int8.tflite -o resnet8.espl --dump-after plan\n"
    "  espalier compile resnet20.onnx -o resnet20.espl --calibrate data_batch_1.bin --count 500 "
    "\\\n"
    "                   --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --compare-float";

int compile(Options& options) {
  auto calibration = options.calibration.read();
  if (!calibration) return complain(calibration.error());
  options.compile.calibration = std::move(*calibration);
  const auto made = watched(options.json, [&](const flows::Listener& listener) {
    return flows::compile(options.compile, listener, [](auto pass, const std::string& text) {
      print("after " + std::string(pass) + ":\n" + text + "\n");
    });
  });
  if (!made) return complain(made.error());
  print(options.json ? report::json_text(report::to_json(*made, options.compile))
                     : report::text(*made, options.compile));
  return kOk;
}

}  // namespace

void add_compile(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("compile", "compile a model to a program for one configuration");
  command->footer(kFooter);
  command->add_option("MODEL", options->compile.model, "ONNX or TensorFlow Lite file, or a program")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("-o,--output", options->compile.output, "program file to write")
      ->check(writes())
      ->type_name("P.espl")
      ->required();
  command
      ->add_option("--config", options->compile.config,
                   "configuration of the machine; see `espalier configs`")
      ->type_name("NAME")
      ->capture_default_str();
  options->calibration.add(*command);
  command
      ->add_option("--environment", options->compile.environment,
                   "compile in what `espalier-automask` trained for one kind of pictures")
      ->check(reads())
      ->type_name("U.env");
  command->add_flag("--switchable", options->compile.switchable,
                    "leave the environment outside: `run --environment` loads any that masks the\n"
                    "same layers, from the weights that all share");
  CLI::Option* prune = command
                           ->add_option("--prune", options->compile.mask,
                                        "leave the channels out that this mask leaves out")
                           ->check(reads())
                           ->type_name("U.mask");
  command
      ->add_flag("--prune-zeroed", options->compile.prune_zeroed,
                 "leave the channels out whose weights and outputs are all zero")
      ->excludes(prune);
  command->add_flag("--maskable", options->compile.maskable,
                    "make a program that takes any channel mask: `run --mask` packs its weights");
  command->add_flag("--dense-tiles", options->compile.dense_tiles,
                    "fetch and run weight tiles that are zero as well");
  command->add_flag("--no-fine", options->compile.no_fine,
                    "run layers whole of which every four channels have two weights at most");
  command->add_flag("--compare-float", options->compile.compare_float,
                    "run the float model beside on up to 16 of the images, and print the\n"
                    "signal-to-quantisation-noise ratio of every layer");
  CLI::Option* dump =
      command
          ->add_option("--dump-after", options->compile.dump_after,
                       "print what this pass of the compiler found, or `all` of them did")
          ->type_name("PASS");
  command->add_flag("--json", options->json, "print what was made as JSON")->excludes(dump);
  command->callback([options, &chosen] { chosen = [options] { return compile(*options); }; });
}

}  // namespace espalier::cli
