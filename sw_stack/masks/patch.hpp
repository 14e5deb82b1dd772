#pragma once
// Patches: weights, biases and multipliers of one user's own in place of a model's, for the
// channels that this user's mask leaves. Their file form (.patch) is in docs/program-format.md.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "masks/mask.hpp"
#include "masks/prune.hpp"
#include "base/result.hpp"

namespace espalier::masks {

/// A patch as its file holds it, without the graph and the mask.
struct Patch {
  struct Layer {
    std::string name;                 ///< of a convolution
    std::uint32_t weights = 0;        ///< of each output channel: live input channels x taps
    std::vector<std::int8_t> values;  ///< [live output channel][row][column][live input channel]
    std::vector<std::int32_t> bias;   ///< of live output channels
    std::vector<float> scale;         ///< likewise
  };
  std::string model;              ///< the graph's name
  std::uint64_t fingerprint = 0;  ///< of the graph (masks::fingerprint)
  std::uint64_t mask = 0;         ///< of the mask (masks::digest)
  std::vector<Layer> layers;      ///< those that change
};

/// Tells masks of one model apart; the same for a model's graph and for that of its programs.
/// `known`: the graph's fingerprint, here and below.
std::uint64_t digest(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                     Known known = {});

/// What `changed` has otherwise than `pruned`, which `mask` made of `graph`: graphs of the same
/// nodes. Errors: kUnsupported, where two of the convolutions have one name.
Result<Patch> make_patch(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                         const Pruned& pruned, const ir::QuantGraph& changed, Known known = {});

/// The graph with the patch in it; weights that the mask leaves out are as they were.
/// Errors: kMismatch (another model, another mask; other numbers of channels or weights),
/// kMalformed (a layer that the graph does not have or has twice, or the patch has twice), with the
/// layer; those of ir::verify. `place` names the file.
Result<ir::QuantGraph> patched(const Patch& patch, const ir::QuantGraph& graph,
                               const Channels& channels, const Mask& mask, const std::string& place,
                               Known known = {});

std::vector<std::uint8_t> serialise(const Patch& patch);
/// Errors: kMalformed (no patch, truncated, corrupt, with the offset), kMismatch (another version).
Result<Patch> parse_patch(std::span<const std::uint8_t> bytes, const std::string& place);
/// Errors: kIo, and those of parse_patch.
Result<Patch> load_patch(const std::string& path);

}  // namespace espalier::masks
