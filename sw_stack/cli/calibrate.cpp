#include "cli/calibrate.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.hpp"
#include "cli/file_options.hpp"
#include "cli/images.hpp"
#include "images/dataset.hpp"
#include "images/input.hpp"
#include "quantise/quantise.hpp"

namespace espalier::cli {

Result<ir::Preprocess> read_preprocess(const CalibrationOptions& options, int channels) {
  ir::Preprocess preprocess;
  if (options.mean.empty() && options.std.empty()) return preprocess;
  if (options.mean.empty() || options.std.empty()) {
    return fail(ErrorCode::kUsage, "is missing; --mean and --std go together",
                options.mean.empty() ? "--mean" : "--std");
  }
  for (const auto& [name, text, into] : {std::tuple("--mean", &options.mean, &preprocess.mean),
                                         std::tuple("--std", &options.std, &preprocess.std)}) {
    auto values = parse_list(name, *text);
    if (!values) return values.error();
    if (values->size() != static_cast<std::size_t>(channels)) {
      return fail(ErrorCode::kUsage,
                  fmt::format("has {} values; the input has {} channels", values->size(), channels),
                  name);
    }
    *into = std::move(*values);
  }
  for (const float value : preprocess.std) {
    if (!(value > 1e-6F))
      return fail(ErrorCode::kUsage, fmt::format("is {}; it must be above 0", value), "--std");
  }
  return preprocess;
}

Result<Calibrated> calibrate(const ir::FloatGraph& graph, const CalibrationOptions& options,
                             const std::string& model) {
  if (options.images.empty()) {
    return fail(ErrorCode::kUsage,
                "is a float model: give images to calibrate it with, as in --calibrate IMAGES "
                "--count 200 "
                "[--mean m,m,m --std s,s,s]",
                model);
  }
  const ir::Shape shape = graph.tensors[static_cast<std::size_t>(graph.input)].shape;
  const auto preprocess = read_preprocess(options, shape.c);
  if (!preprocess) return preprocess.error();
  const auto dataset = open_images(options.images, shape);
  if (!dataset) return dataset.error();
  const std::uint64_t size = dataset->size();
  if (options.has_count && options.count > size) {
    return fail(ErrorCode::kUsage,
                fmt::format("is {}; {} has {} images", options.count, options.images, size),
                "--count");
  }
  Calibrated result;
  result.count = std::min(options.count, size);
  result.image = [dataset = *dataset, preprocess = *preprocess,
                  shape](std::size_t i) -> Result<std::vector<float>> {
    auto pixels = dataset.load(i);
    if (!pixels) return pixels.error();
    return images::preprocess_input(preprocess, shape, *pixels, dataset.raw_float());
  };
  if (dataset->has_labels()) {
    result.label = [dataset = *dataset](std::size_t i) { return dataset.label(i); };
  }
  ProgressBar bar("calibrate", result.count, options.quiet);
  quantise::Options how;
  how.preprocess = *preprocess;
  how.progress = [&bar](std::size_t done, std::size_t) { bar.show(done); };
  auto quantised = quantise::quantise(graph, {result.count, result.image}, how);
  if (!quantised) {
    Diagnostic error = quantised.error();
    if (error.code == ErrorCode::kRange) {
      error.place = model + (error.place.empty() ? "" : ": " + error.place);
    }
    return error;
  }
  result.graph = std::move(*quantised);
  return result;
}

void add_calibration(CLI::App& command, CalibrationOptions& calibration) {
  command.add_option("--calibrate", calibration.images, "images to quantise a float model with")
      ->check(reads())
      ->type_name("IMAGES");
  command
      .add_option("--count", calibration.count, "how many of them (200, or as many as there are)")
      ->type_name("N")
      ->transform(whole(1, 1'000'000));
  command.add_option("--mean", calibration.mean, "of each channel, as in 0.485,0.456,0.406")
      ->type_name("m,m,m");
  command.add_option("--std", calibration.std, "of each channel, as in 0.229,0.224,0.225")
      ->type_name("s,s,s");
}

}  // namespace espalier::cli
