#pragma once
// Quantising a float model with images.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "flows/listener.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::flows {

struct CalibrationOptions {
  static constexpr std::uint64_t kCount = 200;  ///< images, or as many as there are

  std::string images;                  ///< where they are, as images::Dataset has it; empty: none
  std::vector<float> mean, std;        ///< of each channel; empty: pixels as they are
  std::optional<std::uint64_t> count;  ///< images; none: kCount
};

/// The options' mean and std for an input of so many channels. Errors: kUsage.
Result<ir::Preprocess> preprocess_of(const CalibrationOptions& options, int channels);

/// Refuses images to calibrate with. Errors: kUsage; `model`, which is quantised, is in it.
Status check_no_calibration(const CalibrationOptions& options, const std::string& model);

/// What calibration made, and the images that it used.
struct Calibrated {
  ir::QuantGraph graph;
  std::uint64_t count = 0;  ///< images
  std::function<Result<std::vector<float>>(std::size_t)> image;
  std::function<int(std::size_t)> label;  ///< empty where there are no labels
};

/// Errors: kUsage (no images, too few), those of the images and of the quantiser; `model` names
/// the file in them.
Result<Calibrated> calibrate(const ir::FloatGraph& graph, const CalibrationOptions& options,
                             const std::string& model, const Listener& listener);

}  // namespace espalier::flows
