#pragma once
// Quantising a float model with images, as the command's options say.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::cli {

inline constexpr std::uint64_t kCalibrationCount = 200;  ///< images, unless the user says

struct CalibrationOptions {
  std::string images;     ///< --calibrate
  std::string mean, std;  ///< as written
  std::uint64_t count = kCalibrationCount;
  bool has_count = false;
  bool quiet = false;  ///< no progress bar
};

/// The options' mean and std. Errors: kUsage.
Result<ir::Preprocess> read_preprocess(const CalibrationOptions& options, int channels);

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
                             const std::string& model);

}  // namespace espalier::cli
