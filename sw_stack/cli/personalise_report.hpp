#pragma once
// What `espalier personalise` tells at its end.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/personalise.hpp"

namespace espalier::cli {

struct PersonaliseReport {
  struct Layer {
    std::string name;
    std::size_t live = 0, channels = 0;
  };
  std::string network;
  std::vector<int> classes;
  bool predicted = false;        ///< labels are the network's own
  std::size_t scored = 0;        ///< images
  std::size_t resumed = 0;       ///< of them, those from the file of scores
  std::size_t until_switch = 0;  ///< images that the generic model answered before
  std::size_t held = 0;
  double generic = 0, personal = 0;  ///< accuracy on images held back
  double macs_share = 1;
  std::optional<std::size_t> patch;  ///< bytes of the file, where one is written
  /// Cycles of one image and of its backward pass by the timing model;
  /// nothing where the configuration has no timing model.
  std::optional<std::int64_t> forward, backward, pruned;
  std::size_t answered = 0;             ///< images that the device answered; twice counts twice
  std::optional<std::uint64_t> cycles;  ///< of these on the device, where it counts them
  std::size_t served = 0;               ///< images after the switch
  std::size_t judged = 0;               ///< of them, those with a label of the user's classes
  double served_right = 0;              ///< share of the judged
  std::optional<double> low_share;      ///< of confident answers, with --watch: at the end
  std::optional<std::size_t> returned;  ///< the image at which the generic model came back
  std::vector<Layer> layers;

  /// Share of the cycles until the switch that scores took.
  [[nodiscard]] std::optional<double> scoring_share() const;
};

void print_report(const PersonaliseReport& report, const PersonaliseOptions& options);

/// Live channels by layer as a picture.
std::string report_svg(const PersonaliseReport& report);

}  // namespace espalier::cli
