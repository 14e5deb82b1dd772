#include "flows/compile.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "flows/models.hpp"
#include "images/input.hpp"
#include "isa/generated/configs.hpp"
#include "masks/choose.hpp"
#include "timing/timing.hpp"

namespace espalier::flows {
namespace {

constexpr std::uint64_t kCompared = 16;  // images that compare_float runs
constexpr std::string_view kAllPasses = "all";

Result<const isa::Config*> configuration(const std::string& name) {
  if (const isa::Config* config = isa::find_config(name)) return config;
  std::string names;
  for (const isa::Config& known : isa::kConfigs)
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  return fail(ErrorCode::kUsage, fmt::format("`{}` is unknown; there are {}", name, names),
              "--config");
}

Status check_pass(const std::string& name) {
  const std::vector<std::string_view> names = compiler::pass_names();
  if (name.empty() || name == kAllPasses || std::ranges::find(names, name) != names.end())
    return {};
  return fail(ErrorCode::kUsage,
              fmt::format("`{}` is no pass; there are {}, and {} for all of them", name,
                          fmt::join(names, ", "), kAllPasses),
              "--dump-after");
}

Status check_switchable(const CompileOptions& options, const isa::Config& config) {
  const auto usage = [](const std::string& message) {
    return fail(ErrorCode::kUsage, message, "--switchable");
  };
  if (!options.switchable) return {};
  if (options.environment.empty())
    return usage("needs --environment U.env, which says what environments of this program mask");
  if (options.maskable) return usage("cannot go with --maskable");
  if (config.fine == 0) {
    return usage(
        fmt::format("configuration {} selects no weights as they are loaded", config.name.view()));
  }
  return {};
}

/// A model on its way to a graph that the compiler takes.
class Loading {
 public:
  Loading(const CompileOptions& options, const Listener& listener, Compiled& into)
      : options_(options), listener_(listener), into_(into) {}

  Result<ir::QuantGraph> load() {
    auto model = load_model_or_program(options_.model);
    if (!model) return model.error();
    if (auto* graph = std::get_if<ir::QuantGraph>(&*model)) return quantised(std::move(*graph));
    return quantise(std::move(std::get<ir::FloatGraph>(*model)));
  }

  /// With `switchable` the graph stays as it is, and `switched` says what may go.
  Result<ir::QuantGraph> adapt(ir::QuantGraph graph, std::optional<compiler::Switched>& switched) {
    if (options_.environment.empty()) return graph;
    const auto environment = environment::load(options_.environment);
    if (!environment) return environment.error();
    if (!options_.switchable)
      return environment::apply(*environment, std::move(graph), options_.environment);
    const auto fits = environment::apply(*environment, graph, options_.environment);
    if (!fits) return fits.error();
    switched = switched_by(*environment);
    return graph;
  }

  Result<ir::QuantGraph> prune(ir::QuantGraph graph) {
    if (options_.mask.empty() && !options_.prune_zeroed) return graph;
    const masks::Channels channels = masks::find_channels(graph);
    masks::Mask mask;
    if (options_.prune_zeroed) {
      mask = masks::zeroed_mask(graph, channels);
    } else {
      auto loaded = masks::load_mask_for(graph, channels, options_.mask);
      if (!loaded) return loaded.error();
      mask = std::move(*loaded);
    }
    auto light =
        pruned(graph, channels, mask, options_.prune_zeroed ? options_.model : options_.mask);
    if (!light) return light.error();
    into_.unpruned_macs = static_cast<std::uint64_t>(macs(graph));
    return std::move(light->graph);
  }

 private:
  Result<ir::QuantGraph> quantised(ir::QuantGraph graph) {
    if (const Status s = check_no_calibration(options_.calibration, options_.model); !s)
      return s.error();
    if (options_.compare_float) {
      return fail(ErrorCode::kUsage,
                  options_.model + " is quantised already; there is no float model to compare with",
                  "--compare-float");
    }
    auto preprocess = preprocess_of(options_.calibration,
                                    graph.tensors[static_cast<std::size_t>(graph.input)].shape.c);
    if (!preprocess) return preprocess.error();
    if (!preprocess->mean.empty()) graph.preprocess = std::move(*preprocess);
    return graph;
  }

  /// The float graph's weights are four times the program's: they go with it.
  Result<ir::QuantGraph> quantise(ir::FloatGraph model) {  // NOLINT: it ends here
    auto made = calibrate(model, options_.calibration, options_.model, listener_);
    if (!made) return made.error();
    into_.calibrated = made->count;
    if (options_.compare_float) {
      if (const Status s = compare(model, *made); !s) return s.error();
    }
    return std::move(made->graph);
  }

  Status compare(const ir::FloatGraph& model, const Calibrated& made) {
    auto comparison = FloatComparison::open(model, made.graph, options_.model);
    if (!comparison) return comparison.error();
    const golden::Runner golden(made.graph);
    const auto input = made.graph.tensors[static_cast<std::size_t>(made.graph.input)].quant;
    for (std::size_t i = 0; i < std::min(made.count, kCompared); ++i) {
      const auto values = made.image(i);
      if (!values) return values.error();
      const auto label = made.label ? std::optional(made.label(i)) : std::nullopt;
      (*comparison)->add(*values, golden.run(images::quantise_values(*values, input)), label);
    }
    into_.noise = (*comparison)->noise();
    return {};
  }

  const CompileOptions& options_;
  const Listener& listener_;
  Compiled& into_;
};

Status estimate(Compiled& made) {
  const auto estimate = timing::estimate(made.program);
  if (!estimate) return estimate.error();
  made.cycles = estimate->cycles;
  std::uint64_t tiles = 0, skipped = 0;
  for (const timing::LayerEstimate& layer : estimate->layers) {
    tiles += layer.tiles;
    skipped += layer.tiles_skipped();
  }
  made.skipped = tiles == 0 ? 0 : static_cast<double>(skipped) / static_cast<double>(tiles);
  return {};
}

}  // namespace

compiler::Switched switched_by(const environment::Environment& environment) {
  compiler::Switched out;
  for (const environment::Layer& layer : environment.layers) {
    if (layer.kind == environment::Kind::kDense) continue;
    out.emplace(layer.name, layer.kind == environment::Kind::kTwoOfFour
                                ? compiler::Leaves::kTwoOfFour
                                : compiler::Leaves::kAny);
  }
  return out;
}

Result<Compiled> compile(const CompileOptions& options, const Listener& listener,
                         const Dump& dump) {
  const auto config = configuration(options.config);
  if (!config) return config.error();
  if (const Status s = check_pass(options.dump_after); !s) return s.error();
  if (const Status s = check_switchable(options, **config); !s) return s.error();
  Compiled made;
  Loading loading(options, listener, made);
  auto whole = loading.load();
  if (!whole) return whole.error();
  compiler::Options how;
  auto adapted = loading.adapt(std::move(*whole), how.switched);
  if (!adapted) return adapted.error();
  const auto graph = loading.prune(std::move(*adapted));
  if (!graph) return graph.error();
  how.maskable = options.maskable;
  how.dense_tiles = options.dense_tiles;
  how.fine = !options.no_fine;
  const auto after = [&](std::string_view pass, const std::function<std::string()>& text) {
    if (dump && (options.dump_after == kAllPasses || options.dump_after == pass))
      dump(pass, text());
  };
  auto program = compiler::compile(*graph, **config, how, after);
  if (!program) return placed(program.error(), options.model);
  made.program = std::move(*program);
  if (made.program.machine().timing_model) {
    if (const Status s = estimate(made); !s) return s.error();
  }
  if (!options.output.empty()) {
    if (const Status s = program::save(made.program, options.output); !s) return s.error();
  }
  return made;
}

}  // namespace espalier::flows
