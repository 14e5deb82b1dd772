#pragma once
// What a run tells: as JSON for machines and as text for people.

#include <cstdint>
#include <optional>
#include <string>

#include "cli/common.hpp"
#include "cli/masks.hpp"
#include "runtime/batch.hpp"

namespace espalier::cli {

struct Report {
  const program::Program* program = nullptr;
  std::uint64_t fingerprint = 0;  ///< of the program
  runtime::BatchOptions options;
  std::size_t images = 0;
  std::optional<std::size_t> correct;  ///< where labels exist
  runtime::BatchResult result;
  std::vector<std::string> masks;     ///< files
  std::optional<OverlayUse> overlay;  ///< what it leaves of the weights
  /// Of one image with the masks, by layer; none without a mask.
  std::vector<std::uint64_t> live_macs;

  /// Multiply-accumulates of one image: of live channels where there is a mask.
  [[nodiscard]] std::uint64_t macs(std::size_t layer) const;
  [[nodiscard]] std::uint64_t macs() const;
};

/// MACs without padding / (L^2 x cycles).
double utilisation(std::uint64_t macs, int lanes, std::uint64_t cycles);

/// What an overlay leaves, where there is one.
void print_overlay(const Report& report);

/// What changing masks costs, where it was measured.
void print_switching(const Report& report);

/// What packing took, by mask, where something packed.
Json packings_json(const Report& report);
void print_packings(const Report& report);

/// All counts are sums over the images, save those named by the image. What a device does not
/// measure is null.
Json to_json(const Report& report);
void print(const Report& report, bool layers);

}  // namespace espalier::cli
