// `espalier quantise`: a model in, the quantised model out as ONNX.

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

#include "cli/calibrate.hpp"
#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/models.hpp"
#include "export/onnx_writer.hpp"
#include "import/model.hpp"
#include "base/whole_file.hpp"

namespace espalier::cli {
namespace {

struct QuantiseOptions {
  std::string model, output, form = "qdq";
  CalibrationOptions calibration;
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

Result<int> quantise(const QuantiseOptions& options, import_::Refusals& refusals) {
  auto model = import_::load(options.model, &refusals);
  if (!model) return model.error();
  ir::QuantGraph graph;
  std::uint64_t images = 0;
  if (auto* quantised = std::get_if<ir::QuantGraph>(&*model)) {
    if (!options.calibration.images.empty()) {
      return fail(ErrorCode::kUsage, options.model + " is quantised already; leave it out",
                  "--calibrate");
    }
    graph = std::move(*quantised);
  } else {
    auto made = calibrate(std::get<ir::FloatGraph>(*model), options.calibration, options.model);
    if (!made) return made.error();
    graph = std::move(made->graph);
    images = made->count;
  }
  const auto form = options.form == "qdq" ? export_::Form::kQdq : export_::Form::kQoperator;
  const auto bytes = export_::write_onnx(graph, {form, false});
  if (!bytes) return placed(bytes.error(), options.model);
  if (const Status status = write_file(options.output, *bytes); !status) return status.error();
  fmt::print("{}: {} operators, {}\n", printable(graph.name), graph.nodes.size(),
             bytes_text(bytes->size()));
  if (images > 0)
    fmt::print("  quantised on {} images of {}\n", images, options.calibration.images);
  fmt::print("  written to {}, form {}\n", options.output, options.form);
  return kOk;
}

}  // namespace

void add_quantise(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<QuantiseOptions>();
  CLI::App* command = app.add_subcommand("quantise", "quantise a model and write it as ONNX");
  command->footer(kFooter);
  command->add_option("MODEL", options->model, "ONNX or TensorFlow Lite file")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("-o,--output", options->output, "model to write")
      ->check(writes())
      ->type_name("Q.onnx")
      ->required();
  command->add_option("--form", options->form, "qdq or qoperator")
      ->type_name("FORM")
      ->check(CLI::IsMember({"qdq", "qoperator"}))
      ->capture_default_str();
  add_calibration(*command, options->calibration);
  command->callback([options, command, &chosen] {
    options->calibration.has_count = command->count("--count") > 0;
    chosen = [options] {
      import_::Refusals refusals;
      const auto code = quantise(*options, refusals);
      return code ? *code : complain(code.error(), refusals.lines());
    };
  });
}

}  // namespace espalier::cli
