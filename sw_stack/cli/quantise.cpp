// `espalier quantise`: a model in, the quantised model out as ONNX.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/calibration_option.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/file_options.hpp"
#include "cli/form_option.hpp"
#include "cli/terminal.hpp"
#include "report/written.hpp"

namespace espalier::cli {
namespace {

struct Options {
  flows::QuantiseOptions quantise;
  CalibrationOption calibration;
  std::string form{export_::name(quantise.form)};
};

constexpr const char* kFooter =
    "What the accelerator computes, for other runtimes: the written model has the same int8 "
    "tensors.\n"
    "Its input is the network's, preprocessed, in float.\n"
    "\n"
    "  qdq        float operators between QuantizeLinear and DequantizeLinear: standard ONNX\n"
    "  qoperator  operators on integers, those of com.microsoft where ONNX has none\n"
    "\n"
    "A MODEL that is quantised already (.tflite, or ONNX of either form) needs no images.\n"
    "\n"
    "examples:\n"
    "  espalier quantise resnet20.onnx --calibrate data_batch_1.bin --count 500 -o q.onnx \\\n"
    "                    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n"
    "  espalier quantise resnet8_int8.tflite -o resnet8.onnx --form qoperator";

int quantise(Options& options) {
  auto calibration = options.calibration.read();
  if (!calibration) return complain(calibration.error());
  options.quantise.calibration = std::move(*calibration);
  options.quantise.form = form_of(options.form);
  const auto made = watched(false, [&](const flows::Listener& listener) {
    return flows::quantise(options.quantise, listener);
  });
  if (!made) return complain(made.error());
  print(report::text(*made, options.quantise));
  return kOk;
}

}  // namespace

void add_quantise(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("quantise", "quantise a model and write it as ONNX");
  command->footer(kFooter);
  command->add_option("MODEL", options->quantise.model, "ONNX or TensorFlow Lite file")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("-o,--output", options->quantise.output, "model to write")
      ->check(writes())
      ->type_name("Q.onnx")
      ->required();
  add_form(*command, options->form, "qdq or qoperator");
  options->calibration.add(*command);
  command->callback([options, &chosen] { chosen = [options] { return quantise(*options); }; });
}

}  // namespace espalier::cli
