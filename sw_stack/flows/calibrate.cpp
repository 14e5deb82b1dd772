#include "flows/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "flows/images.hpp"
#include "images/input.hpp"
#include "quantise/quantise.hpp"

namespace espalier::flows {

Result<ir::Preprocess> preprocess_of(const CalibrationOptions& options, int channels) {
  ir::Preprocess preprocess;
  if (options.mean.empty() && options.std.empty()) return preprocess;
  if (options.mean.empty() || options.std.empty()) {
    return fail(ErrorCode::kUsage, "is missing; --mean and --std go together",
                options.mean.empty() ? "--mean" : "--std");
  }
  for (const auto& [name, values, into] : {std::tuple("--mean", &options.mean, &preprocess.mean),
                                           std::tuple("--std", &options.std, &preprocess.std)}) {
    if (values->size() != static_cast<std::size_t>(channels)) {
      return fail(ErrorCode::kUsage,
                  fmt::format("has {} values; the input has {} channels", values->size(), channels),
                  name);
    }
    *into = *values;
  }
  for (const float value : preprocess.std) {
    if (!(value > 1e-6F))
      return fail(ErrorCode::kUsage, fmt::format("is {}; it must be above 0", value), "--std");
  }
  return preprocess;
}

Status check_no_calibration(const CalibrationOptions& options, const std::string& model) {
  if (options.images.empty()) return {};
  return fail(ErrorCode::kUsage, model + " is quantised already; leave it out", "--calibrate");
}

Result<Calibrated> calibrate(const ir::FloatGraph& graph, const CalibrationOptions& options,
                             const std::string& model, const Listener& listener) {
  if (options.images.empty()) {
    return fail(ErrorCode::kUsage,
                "is a float model: give images to calibrate it with, as in --calibrate IMAGES "
                "--count 200 "
                "[--mean m,m,m --std s,s,s]",
                model);
  }
  const ir::Shape shape = graph.tensors[static_cast<std::size_t>(graph.input)].shape;
  const auto preprocess = preprocess_of(options, shape.c);
  if (!preprocess) return preprocess.error();
  const auto dataset = open_images(options.images, shape, listener);
  if (!dataset) return dataset.error();
  const std::uint64_t size = dataset->size();
  if (options.count.value_or(0) > size) {
    return fail(ErrorCode::kUsage,
                fmt::format("is {}; {} has {} images", *options.count, options.images, size),
                "--count");
  }
  Calibrated result;
  result.count = std::min(options.count.value_or(CalibrationOptions::kCount), size);
  result.image = [dataset = *dataset, preprocess = *preprocess,
                  shape](std::size_t i) -> Result<std::vector<float>> {
    auto pixels = dataset.load(i);
    if (!pixels) return pixels.error();
    return images::preprocess_input(preprocess, shape, *pixels, dataset.raw_float());
  };
  if (dataset->has_labels()) {
    result.label = [dataset = *dataset](std::size_t i) { return dataset.label(i); };
  }
  listener.show("calibrate", 0, result.count);
  quantise::Options how;
  how.preprocess = *preprocess;
  how.progress = [&](std::size_t done, std::size_t) {
    listener.show("calibrate", done, result.count);
  };
  auto quantised = quantise::quantise(graph, {result.count, result.image}, how);
  if (!quantised) {
    Diagnostic error = quantised.error();
    return error.code == ErrorCode::kRange ? placed(std::move(error), model) : error;
  }
  result.graph = std::move(*quantised);
  return result;
}

}  // namespace espalier::flows
