#pragma once
// What a mask makes of a program that takes masks: what the machine gets for it, and where the live
// channels then lie. Source: docs/pack.md.

#include "program/apply_overlay.hpp"
#include "program/program.hpp"

namespace espalier::program {

/// A mask's part of region 4, [layer table][packed weights][bit maps], and the program that fills
/// the middle.
struct Masked {
  std::vector<std::uint8_t> table;  ///< rows of all layers, at byte 0
  std::vector<std::uint8_t> maps;   ///< bit maps of all layers, behind the constants' size
  std::uint32_t maps_offset = 0;
  std::vector<std::uint8_t> packs;  ///< the program that packs, encoded (program/pack.hpp)
  std::vector<Bytes> patch;         ///< of region 0 while it packs: the user's own weights
  ir::ChannelMask live;             ///< by tensor
  std::vector<bool> stored;         ///< by tensor: live, and read on the way to the output
  std::vector<std::int64_t> moved;  ///< by tensor: bytes from its dense place to its packed one

  [[nodiscard]] std::size_t region_bytes() const { return maps_offset + maps.size(); }
  [[nodiscard]] std::size_t pack_count() const;  ///< layers that are packed; of an environment 0
};

/// Shapes: `live` has every channel of every tensor; tensors that a sum, a pool or a concatenation
/// joins agree, the input and the output have all channels (masks::by_tensor gives it).
/// `weights`, where there is one, is the program's graph with weights, biases and multipliers of
/// the user's own: layers in which they differ are packed with them. Errors: kUsage where the
/// program takes no masks; kRange where a convolution that the output needs has no live input
/// channel; kUnsupported where the mask shortens a tensor that a layer reads whole.
Result<Masked> apply_mask(const Program& program, const ir::ChannelMask& live,
                          const ir::QuantGraph* weights = nullptr);

/// The mask that leaves all channels: an environment's (docs/automask.md).
ir::ChannelMask all_channels(const ir::QuantGraph& graph);

/// An environment as a mask of all channels, whose part of region 4 is whole: nothing packs.
/// `graph` is the program's with weights that are 0 instead, and with other biases and multipliers.
/// Errors: kMismatch (other weights; some are 0 of a layer that the program loads whole),
/// kMalformed (of four weights more than two stay where the program selects two), with the layer.
Result<Masked> apply_environment(const Program& program, const ir::QuantGraph& graph);

/// Sets those fields of a convolution's row that follow from how many blocks are live.
void set_counts(const Maskable::Weights& weights, int k_live, int n_live, int lanes,
                isa::LayerRow& row);

/// Region 4 before its PACK program ran: the packed weights hold `fill`.
std::vector<std::uint8_t> mask_region(const Masked& masked, std::uint8_t fill);

/// The channel in every lane of a tensor's packed blocks, -1 where a segment's last block has none.
std::vector<int> packed_channels(const Program& program, const Masked& masked, int tensor);

/// A tensor of a masked run, [C][H][W], from its placement's region. Absent channels hold its zero
/// point, as golden's do.
std::vector<std::int8_t> unpack(const Program& program, const Masked& masked,
                                const Placement& placement, std::span<const std::uint8_t> region);

/// Bytes of region 4 that any mask of this program takes.
std::size_t mask_region_bytes(const Program& program);

}  // namespace espalier::program
