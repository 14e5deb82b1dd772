#pragma once
// Overlays: which weights of a model stay, one bit a weight over weights that are frozen. Their
// file form (.overlay) is in docs/masks.md.
// Source: AutoMask (Lin et al., ICCD 2019) trains such bits for each task and user.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/weight_mask.hpp"
#include "masks/channels.hpp"
#include "base/result.hpp"

namespace espalier::masks {

/// An overlay as its file holds it, without the graph.
struct Overlay {
  struct Layer {
    std::string name;                         ///< of a convolution
    std::uint32_t channels = 0, weights = 0;  ///< output channels, weights of each
    std::vector<std::uint8_t> bits;           ///< as ir::WeightMask has them
    [[nodiscard]] std::uint64_t count() const { return std::uint64_t{channels} * weights; }
    [[nodiscard]] std::uint64_t live() const;
  };
  std::string model;              ///< the graph's name
  std::uint64_t fingerprint = 0;  ///< of the graph (masks::fingerprint)
  std::vector<Layer> layers;      ///< weights of layers that are not here stay
  /// Weights of these layers, and those of them that stay.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t live() const;
};

/// Which weights stay.
enum class WeightRank {
  kMagnitude,  ///< the largest real ones of each layer; of equal ones the first
  kRandom,     ///< by chance
};
struct OverlayChoice {
  double keep = 0.5;  ///< share of each layer's weights. Range: 0 <= keep <= 1
  WeightRank rank = WeightRank::kMagnitude;
  std::uint64_t seed = 1;    ///< of kRandom
  std::string layers = "*";  ///< shell pattern of the names of the layers that lose weights
};

/// An overlay of all convolutions that the pattern names, copies aside.
/// Errors: kUsage, where it names none; kUnsupported, where two have one name.
Result<Overlay> choose_weights(const ir::QuantGraph& graph, const OverlayChoice& choice);

/// Errors: kMismatch (another model; other numbers of channels or weights), kMalformed (a layer
/// that the graph does not have or has twice, or the overlay has twice), with the layer. `place`
/// names the file; `known` is the graph's fingerprint.
Result<ir::WeightMask> from_overlay(const Overlay& overlay, const ir::QuantGraph& graph,
                                    const std::string& place, Known known = {});

std::vector<std::uint8_t> serialise(const Overlay& overlay);
/// Errors: kMalformed (no overlay, truncated, corrupt, with the offset; bits past the last weight),
/// kMismatch (another version), kRange (a layer larger than any that a graph may have).
Result<Overlay> parse_overlay(std::span<const std::uint8_t> bytes, const std::string& place);
/// Whether bytes begin as an overlay's file does.
bool is_overlay(std::span<const std::uint8_t> bytes);

/// Errors: kIo, and those of parse_overlay.
Result<Overlay> load_overlay(const std::string& path);
Status save_overlay(const Overlay& overlay, const std::string& path);

}  // namespace espalier::masks
