#pragma once
// Channel masks: which channels of a graph stay. Their file form (.mask) is in docs/masks.md.

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "masks/channels.hpp"
#include "base/result.hpp"

namespace espalier::masks {

/// By class of Channels: whether it stays. Classes that are not prunable always do.
struct Mask {
  std::vector<bool> live;
};

/// A mask as its file holds it, without the graph.
struct MaskFile {
  struct Entry {
    std::string tensor, layer;  ///< the tensor, and the node that makes it
    std::vector<bool> live;     ///< by channel
  };
  std::string model;              ///< the graph's name
  std::uint64_t fingerprint = 0;  ///< of the graph
  std::vector<Entry> entries;
};

/// Everything stays.
Mask all_live(const Channels& channels);

/// A mask as the channels of each tensor, for golden.
ir::ChannelMask by_tensor(const Channels& channels, const Mask& mask);

/// An entry for each tensor that says something new about a prunable class. `known`: the graph's
/// fingerprint, here and below.
MaskFile to_file(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                 Known known = {});

/// Errors: kMismatch (another model; another number of channels), kMalformed (a tensor that the
/// graph does not have or has twice), kRange (a channel of the input or of the output is masked;
/// two tensors that a residual add ties disagree), with the tensor. `place` names the file.
Result<Mask> from_file(const MaskFile& file, const ir::QuantGraph& graph, const Channels& channels,
                       const std::string& place, Known known = {});

/// The file's text, JSON.
std::string to_text(const MaskFile& file);
/// Errors: kMalformed (no JSON, a key that is missing or of the wrong kind, lengths that disagree),
/// kMismatch (another version).
Result<MaskFile> parse_mask(const std::string& text, const std::string& place);

/// Errors: kIo, and those of parse_mask.
Result<MaskFile> load_mask(const std::string& path);
/// A mask's file for this graph. Errors: those of load_mask and from_file.
Result<Mask> load_mask_for(const ir::QuantGraph& graph, const Channels& channels,
                           const std::string& path, Known known = {});
Status save_mask(const MaskFile& file, const std::string& path);

}  // namespace espalier::masks
