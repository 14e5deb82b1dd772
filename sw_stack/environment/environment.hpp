#pragma once
// Environments: what adapts a model's frozen int8 weights to one kind of pictures. A bit a weight,
// and a bias and a multiplier a channel. Their file form (.env) is in docs/automask.md.
// Source: AutoMask (Lin et al., ICCD 2019).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "masks/channels.hpp"
#include "base/result.hpp"

namespace espalier::environment {

/// Which weights of a layer may go.
enum class Kind : std::uint8_t {
  kDense,      ///< none
  kTwoOfFour,  ///< of every four consecutive input channels of a tap two stay
  kWeights,    ///< any
};

inline constexpr std::uint32_t kGroup = 4, kKept = 2;  ///< of kTwoOfFour

/// How many weights of a group of so many input channels stay: the last may be short.
constexpr std::uint32_t kept(std::uint32_t channels) { return channels < kKept ? channels : kKept; }

struct Layer {
  std::string name;  ///< of a convolution
  Kind kind = Kind::kDense;
  std::uint32_t channels = 0, taps = 0, inputs = 0;  ///< N, KH x KW, C
  /// A bit a weight in the order of ir::QuantConv::weights, as ir::WeightMask has them; empty for
  /// kDense.
  std::vector<std::uint8_t> bits;
  std::vector<std::int32_t> bias;  ///< by output channel
  std::vector<float> scale;        ///< likewise: ir::QuantConv::scale
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{channels} * taps * inputs; }
  [[nodiscard]] std::uint64_t live() const;
};

/// Mean and deviation of what tells one kind of pictures from another (recognise.hpp).
struct Looks {
  std::vector<float> mean, deviation;  ///< of each feature
  bool operator==(const Looks&) const = default;
};

/// The pictures that an environment was trained on.
struct Pictures {
  std::uint64_t count = 0;
  std::vector<float> mean, deviation;  ///< of each channel's pixels
  Looks looks;                         ///< empty: of a file of version 1
};

struct Environment {
  std::string model;              ///< the graph's name
  std::uint64_t fingerprint = 0;  ///< of the graph (masks::fingerprint)
  Pictures pictures;
  std::vector<Layer> layers;  ///< convolutions that are not here stay as they are
  /// Weights of the masked layers, and those of them that stay.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t live() const;
};

/// The graph with weights of 0 where a bit is, and with the environment's biases and multipliers:
/// what a machine computes that masks the shared weights.
/// Errors: kMismatch (another model; other numbers of channels, taps or inputs), kMalformed (a
/// layer that the graph does not have or has twice, or the environment has twice), with the layer;
/// those of ir::verify. `place` names the file.
Result<ir::QuantGraph> apply(const Environment& environment, ir::QuantGraph graph,
                             const std::string& place, masks::Known known = {});

std::vector<std::uint8_t> serialise(const Environment& environment);
/// Errors: kMalformed (no environment, truncated, corrupt, with the offset; bits past the last
/// weight; a group of which not two stay), kMismatch (another version), kRange (a layer larger than
/// any that a graph may have; a multiplier that is none), with the layer.
Result<Environment> parse(std::span<const std::uint8_t> bytes, const std::string& place);

/// Errors: kIo, and those of parse.
Result<Environment> load(const std::string& path);
/// Whole or not at all. Errors: kIo.
Status save(const Environment& environment, const std::string& path);

}  // namespace espalier::environment
