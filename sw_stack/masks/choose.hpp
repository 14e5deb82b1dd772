#pragma once
// Ways to a mask.

#include <cstdint>
#include <string_view>
#include <vector>

#include "masks/mask.hpp"

namespace espalier::masks {

/// Which groups lose channels.
enum class Scope {
  kInternal,  ///< those inside a block: in no residual add and in no concatenation
  kAll,
};
/// internal or all.
constexpr std::string_view name(Scope scope) { return scope == Scope::kAll ? "all" : "internal"; }

struct Choice {
  double keep = 0.5;  ///< share of the channels that stays. Range: 0 < keep <= 1
  Scope scope = Scope::kInternal;
  int align =
      1;  ///< live channels of a group come in blocks of this many, as long as there are so many
};

/// Whether a group may lose channels.
bool in_scope(const Group& group, Scope scope);

/// The magnitude weight of every class: see magnitude_mask.
std::vector<double> magnitudes(const ir::QuantGraph& graph, const Channels& channels);

/// Of every group in scope keep x N channels stay, rounded to the nearest number, then up to whole
/// blocks, one block at least; which ones, the seed says: the same seed, the same mask.
Mask random_mask(const Channels& channels, const Choice& choice, std::uint64_t seed);

/// The channels of least weight go, over all groups in scope. A channel's weight is the sum over
/// the convolutions that make it of |w_n|^2 / mean_m |w_m|^2, w_n being the real weights of output
/// channel n: relative to its layer, since layers differ by orders of magnitude, and empty layers
/// are no use. A group's channels are sorted and cut into blocks, heaviest first; the first block
/// always stays, then the heaviest blocks (by the mean of their channels) of all groups until keep
/// x N channels do.
Mask magnitude_mask(const ir::QuantGraph& graph, const Channels& channels, const Choice& choice);

/// Masks the channels that the model itself has zeroed: no convolution that makes one has a weight
/// other than 0 in it, and its output is the zero point whatever the input. Where that would leave
/// a group without a channel, its first one stays.
Mask zeroed_mask(const ir::QuantGraph& graph, const Channels& channels);

}  // namespace espalier::masks
