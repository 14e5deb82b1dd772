// `espalier compile`: a model in, a program out.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/calibrate.hpp"
#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/compare_float.hpp"
#include "cli/models.hpp"
#include "compiler/compiler.hpp"
#include "images/input.hpp"
#include "import/model.hpp"
#include "isa/generated/configs.hpp"
#include "program/program.hpp"
#include "prune/choose.hpp"
#include "runtime/device.hpp"
#include "timing/timing.hpp"

namespace espalier::cli {
namespace {

constexpr std::uint64_t kCompared = 16;  // images that --compare-float runs

struct CompileOptions {
  std::string model, output, mask, config = "edge";
  CalibrationOptions calibration;
  bool compare_float = false, prune_zeroed = false, maskable = false, dense_tiles = false,
       json = false;
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
    "  espalier compile resnet20.onnx -o resnet20.espl --calibrate data_batch_1.bin --count 500 "
    "\\\n"
    "                   --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --compare-float";

class Compile {
 public:
  explicit Compile(const CompileOptions& options) : options_(options) {}

  Result<int> go() {
    const isa::Config* config = isa::find_config(options_.config);
    if (config == nullptr) {
      std::string names;
      for (const isa::Config& known : isa::kConfigs)
        names += (names.empty() ? "" : ", ") + std::string(known.name);
      return fail(ErrorCode::kUsage,
                  fmt::format("`{}` is unknown; there are {}", options_.config, names), "--config");
    }
    if (const Status status = load_model(); !status) return status.error();
    if (const Status status = prune_graph(); !status) return status.error();
    compiler::Options options;
    options.maskable = options_.maskable;
    options.dense_tiles = options_.dense_tiles;
    auto program = compiler::compile(graph_, *config, options);
    if (!program) return placed(program.error(), options_.model);
    std::optional<std::int64_t> cycles;
    std::uint64_t tiles = 0, skipped = 0;
    if (!config->compact) {  // which has no timing model
      const auto estimate = timing::estimate(*program);
      if (!estimate) return estimate.error();
      cycles = estimate->cycles;
      for (const timing::LayerEstimate& layer : estimate->layers) {
        tiles += layer.tiles;
        skipped += layer.tiles_skipped();
      }
    }
    skipped_share_ = tiles == 0 ? 0 : static_cast<double>(skipped) / static_cast<double>(tiles);
    if (const Status status = program::save(*program, options_.output); !status)
      return status.error();
    tell(*program, cycles);
    return kOk;
  }

  [[nodiscard]] const import_::Refusals& refusals() const { return refusals_; }

 private:
  Status load_model() {
    if (is_program(options_.model)) {
      auto program = program::load(options_.model);
      if (!program) return program.error();
      return take_quantised(prune::without_copies(program->graph));
    }
    auto model = import_::load(options_.model, &refusals_);
    if (!model) return model.error();
    if (auto* quantised = std::get_if<ir::QuantGraph>(&*model)) {
      return take_quantised(std::move(*quantised));
    }
    float_graph_ = std::move(std::get<ir::FloatGraph>(*model));
    return quantise_float();
  }

  Status prune_graph() {
    if (options_.mask.empty() && !options_.prune_zeroed) return {};
    const prune::Channels channels = prune::find_channels(graph_);
    prune::Mask mask;
    if (options_.prune_zeroed) {
      mask = prune::zeroed_mask(graph_, channels);
    } else {
      auto loaded = prune::load_mask_for(graph_, channels, options_.mask);
      if (!loaded) return loaded.error();
      mask = std::move(*loaded);
    }
    auto light =
        pruned(graph_, channels, mask, options_.prune_zeroed ? options_.model : options_.mask);
    if (!light) return light.error();
    for (const ir::QuantNode& node : graph_.nodes) dense_macs_ += ir::macs(graph_, node);
    graph_ = std::move(light->graph);
    return {};
  }

  Status take_quantised(ir::QuantGraph graph) {
    if (!options_.calibration.images.empty()) {
      return fail(ErrorCode::kUsage, options_.model + " is quantised already; leave it out",
                  "--calibrate");
    }
    if (options_.compare_float) {
      return fail(ErrorCode::kUsage,
                  options_.model + " is quantised already; there is no float model to compare with",
                  "--compare-float");
    }
    auto preprocess = read_preprocess(options_.calibration,
                                      graph.tensors[static_cast<std::size_t>(graph.input)].shape.c);
    if (!preprocess) return preprocess.error();
    if (!preprocess->mean.empty()) graph.preprocess = std::move(*preprocess);
    graph_ = std::move(graph);
    return {};
  }

  Status quantise_float() {
    auto made = calibrate(float_graph_, options_.calibration, options_.model);
    if (!made) return made.error();
    calibrated_ = made->count;
    graph_ = std::move(made->graph);
    if (!options_.compare_float) {
      float_graph_ = {};  // its weights are four times the program's
      return {};
    }
    auto comparison = FloatComparison::open(float_graph_, graph_, options_.model);
    if (!comparison) return comparison.error();
    comparison_ = std::move(comparison).value();
    const golden::Runner golden(graph_);
    const auto input = graph_.tensors[static_cast<std::size_t>(graph_.input)].quant;
    for (std::size_t i = 0; i < std::min(calibrated_, kCompared); ++i) {
      const auto values = made->image(i);
      if (!values) return values.error();
      const auto label = made->label ? std::optional(made->label(i)) : std::nullopt;
      comparison_->add(*values, golden.run(images::quantise_values(*values, input)), label);
    }
    return {};
  }

  void tell(const program::Program& program, std::optional<std::int64_t> cycles) const {
    if (options_.json) {
      Json json{{"network", program.graph.name},
                {"config", program.config},
                {"output", options_.output},
                {"fingerprint", fmt::format("{:016x}", program::fingerprint(program))},
                {"calibrated", calibrated_},
                {"layers", program.layers.size()},
                {"macs_per_image", runtime::macs(program)},
                {"constant_bytes", program.constants.size()},
                {"instruction_bytes", program.instructions.size()},
                {"activation_bytes", program.activation_bytes},
                {"estimated_cycles", cycles ? Json(*cycles) : Json()},
                {"tiles_skipped", skipped_share_},
                {"host_ops", program.graph.host_ops}};
      if (comparison_ != nullptr) json["float"] = comparison_->report();
      print_json(json);
      return;
    }
    fmt::print("{} for {}: {} layers, {} multiply-accumulates an image\n",
               printable(program.graph.name), program.config, program.layers.size(),
               grouped(runtime::macs(program)));
    if (dense_macs_ > 0) {
      fmt::print("  pruned from {} multiply-accumulates\n",
                 grouped(static_cast<std::uint64_t>(dense_macs_)));
    }
    if (calibrated_ > 0)
      fmt::print("  quantised on {} images of {}\n", calibrated_, options_.calibration.images);
    if (cycles) {
      fmt::print("  about {} cycles an image, {:.1f} % of the multipliers' cycles\n",
                 grouped(static_cast<std::uint64_t>(*cycles)),
                 100 * timing::utilisation(program, *cycles));
    }
    if (skipped_share_ > 0) {
      fmt::print("  {:.1f} % of the tiles of layers with zero weights are skipped\n",
                 100 * skipped_share_);
    }
    fmt::print("  {} of constants, {} of instructions, {} of activations\n",
               bytes_text(program.constants.size()), bytes_text(program.instructions.size()),
               bytes_text(program.activation_bytes));
    for (const std::string& op : program.graph.host_ops)
      fmt::print("  on the host: {}\n", printable(op));
    fmt::print("  written to {}\n", options_.output);
    if (comparison_ != nullptr) {
      fmt::print("\n");
      comparison_->print();
    }
  }

  const CompileOptions& options_;
  import_::Refusals refusals_;
  ir::FloatGraph float_graph_;
  ir::QuantGraph graph_;
  std::uint64_t calibrated_ = 0;
  std::int64_t dense_macs_ = 0;  // before pruning; 0 without
  double skipped_share_ = 0;     // of the tiles of sparse layers
  std::unique_ptr<FloatComparison> comparison_;
};

}  // namespace

void add_compile(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<CompileOptions>();
  CLI::App* command =
      app.add_subcommand("compile", "compile a model to a program for one configuration");
  command->footer(kFooter);
  command->add_option("MODEL", options->model, "ONNX or TensorFlow Lite file, or a program")
      ->check(reads())
      ->type_name("FILE")
      ->required();
  command->add_option("-o,--output", options->output, "program file to write")
      ->check(writes())
      ->type_name("P.espl")
      ->required();
  command
      ->add_option("--config", options->config,
                   "configuration of the machine; see `espalier configs`")
      ->type_name("NAME")
      ->capture_default_str();
  add_calibration(*command, options->calibration);
  CLI::Option* prune =
      command
          ->add_option("--prune", options->mask, "leave the channels out that this mask leaves out")
          ->check(reads())
          ->type_name("U.mask");
  command
      ->add_flag("--prune-zeroed", options->prune_zeroed,
                 "leave the channels out whose weights and outputs are all zero")
      ->excludes(prune);
  command->add_flag("--maskable", options->maskable,
                    "make a program that takes any channel mask: `run --mask` packs its weights");
  command->add_flag("--dense-tiles", options->dense_tiles,
                    "fetch and run weight tiles that are zero as well");
  command->add_flag("--compare-float", options->compare_float,
                    "run the float model beside on up to 16 of the images, and print the\n"
                    "signal-to-quantisation-noise ratio of every layer");
  command->add_flag("--json", options->json, "print what was made as JSON");
  command->callback([options, command, &chosen] {
    options->calibration.has_count = command->count("--count") > 0;
    options->calibration.quiet = options->json;
    chosen = [options] {
      Compile job(*options);
      const auto code = job.go();
      return code ? *code : complain(code.error(), job.refusals().lines());
    };
  });
}

}  // namespace espalier::cli
