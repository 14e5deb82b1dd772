#pragma once
// Which channels of a graph's tensors may go, and which of them only together.

#include <optional>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::masks {

/// Tensors whose channels come from convolutions of their own (or from the input), tied by the
/// residual adds in which they meet. Most have one tensor; then its channels are the classes.
struct Group {
  std::vector<int> tensors;  ///< outputs of convolutions, in the graph's order
  std::vector<int> classes;  ///< the prunable ones, in the order of tensors and channels
  bool residual = false;     ///< a residual add reads or makes one of its channels
  bool joined = false;       ///< a concatenation does
};

/// The channels of all tensors as classes: channels of one class are one channel, seen at several
/// places, or meet in a residual add, and so are there or absent together.
///
/// A convolution makes new channels. Pools, rescalings and copies (1 x 1 convolutions with weights
/// of 1, as the compiler puts in) pass theirs on; a concatenation puts them one behind the other; a
/// residual add ties those of its operands. Channels of the graph's input and of its output are not
/// prunable.
struct Channels {
  std::vector<std::vector<int>> of_tensor;  ///< by tensor: the class of each channel
  std::vector<bool> prunable;               ///< by class
  std::vector<Group> groups;                ///< those with a prunable class
  [[nodiscard]] std::size_t classes() const { return prunable.size(); }
};

/// `graph` is verified.
Channels find_channels(const ir::QuantGraph& graph);

/// A 1 x 1 convolution that changes no value.
bool is_copy(const ir::QuantGraph& graph, const ir::QuantNode& node);

/// The graph without copies: the same for a model's graph and for that of a program compiled from
/// it.
ir::QuantGraph without_copies(const ir::QuantGraph& graph);

/// What a mask is made for: a hash of the graph without copies, and without what does not change
/// its tensors (its name, the images' preprocessing, what the host does). Units: none, 64 bits.
std::uint64_t fingerprint(const ir::QuantGraph& graph);
/// The same where it has been found already: to find it takes the whole graph as bytes.
using Known = std::optional<std::uint64_t>;
std::uint64_t fingerprint(const ir::QuantGraph& graph, Known known);

}  // namespace espalier::masks
