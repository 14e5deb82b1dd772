#pragma once
// Makes masks of channels and overlays of weights, and says what one leaves of a network.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "masks/choose.hpp"
#include "masks/overlay.hpp"
#include "base/result.hpp"

namespace espalier::flows {

/// How the channels that stay are chosen.
enum class MaskBy {
  kRandom,
  kMagnitude,
  kZeroed,  ///< those that the model itself has not zeroed
};

struct MaskOptions {
  std::string program, output;  ///< files
  MaskBy by = MaskBy::kRandom;
  double keep = 0.5;  ///< share of the channels
  masks::Scope scope = masks::Scope::kInternal;
  int align = 0;           ///< live channels come in blocks of so many; 0: the machine's lanes
  std::uint64_t seed = 1;  ///< of kRandom
};
struct MaskMade {
  std::string network;
  std::size_t live = 0, channels = 0, groups = 0;  ///< of those that could go
};
/// Errors: those of program::load and save_mask; kUnsupported where nothing could go.
Result<MaskMade> make_mask(const MaskOptions& options);

struct OverlayOptions {
  std::string program, output;  ///< files
  masks::OverlayChoice choice;
};
struct OverlayMade {
  std::string network;
  std::uint64_t weights = 0, live = 0;
  std::size_t layers = 0, bytes = 0;
};
/// Errors: those of program::load, masks::choose_weights and save_overlay.
Result<OverlayMade> make_overlay(const OverlayOptions& options);

/// What a mask leaves of a network, and what that is worth.
struct MaskValue {
  /// A program's size and cycles.
  struct Cost {
    std::uint64_t macs = 0, constants = 0;
    std::int64_t cycles = 0;  ///< by the timing model
  };
  struct Layer {
    std::string name;
    std::int64_t inputs = 0, live_inputs = 0, outputs = 0, live_outputs = 0;
    std::int64_t macs = 0, live_macs = 0;
    std::int64_t weights = 0;  ///< of the dense layer
  };
  std::string network, config;
  std::vector<Layer> layers;
  Cost dense, pruned;                         ///< the program, and one without what the mask drops
  std::optional<std::int64_t> masked_cycles;  ///< of a program that takes masks
  std::int64_t live_macs = 0;
  std::uint64_t mask_bytes = 0;  ///< at a bit a channel

  [[nodiscard]] double speedup() const;
  /// How much of the saving in MACs is saved in cycles.
  [[nodiscard]] double realised() const;
};
/// What an overlay leaves of a network.
struct OverlayValue {
  masks::Overlay overlay;
  std::vector<std::uint64_t>
      nonzero;  ///< by layer: weights that stay and are not 0; with a program
};
/// A mask's file alone, the same with a program, or an overlay.
using MaskShown = std::variant<masks::MaskFile, MaskValue, OverlayValue>;

/// `program` may be empty. Errors: those of the files, of the compiler and of timing::estimate.
Result<MaskShown> show_mask(const std::string& mask, const std::string& program);

}  // namespace espalier::flows
