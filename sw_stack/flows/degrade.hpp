#pragma once
// Pictures made worse, written as a set like the one that was read.

#include <cstdint>
#include <string>
#include <vector>

#include "flows/listener.hpp"
#include "images/degrade.hpp"

namespace espalier::flows {

struct DegradeOptions {
  std::string images, output;              ///< files or folders, as images::Album has them
  std::vector<images::Degradation> kinds;  ///< one after the other
  std::uint64_t seed = 1;
  int jobs = 0;  ///< threads; 0: every core
};

struct Degraded {
  std::size_t images = 0;
  double mean_change = 0;             ///< of a value, 0 to 255
  double mean_square = 0;             ///< of that
  [[nodiscard]] double psnr() const;  ///< dB; infinite where nothing changed
};

/// Errors: those of images::Album and images::degrade; kUsage without kinds.
Result<Degraded> degrade(const DegradeOptions& options, const Listener& listener = {});

}  // namespace espalier::flows
