#pragma once
// What the first passes find out of a graph: layers, and where the channels of tensors lie.

#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"
#include "base/integers.hpp"

namespace espalier::compiler {

/// Nodes that run as one: a convolution with what post does after it, or a pool.
struct LayerNodes {
  /// Nodes, -1 where absent. `add` may be a gate, `gap` a score.
  int conv = -1, add = -1, gap = -1, pool = -1;
  int input = -1;  ///< tensor that is convolved or pooled
  /// Tensor that the add, gate or score takes from memory; -1: it changes the scale only.
  int operand = -1;
  bool operand_first = false;  ///< the operand is the add's first input
  int output = -1;             ///< tensor that is stored
  std::vector<int> nodes;      ///< in order, with concatenations that end here
  [[nodiscard]] bool is_pool() const { return pool >= 0; }
  /// Whether it ends with a gate or a score.
  [[nodiscard]] bool product(const ir::QuantGraph& graph) const;
};

/// Inserts copies until every node is one that the machine has: adds have a convolution to join,
/// a tensor lies in one concatenation only, the input in none, and the output alone. Verified.
Result<ir::QuantGraph> rewrite(const ir::QuantGraph& graph, int lanes);

/// Groups the nodes of a rewritten graph, in an order in which they can run.
std::vector<LayerNodes> fuse(const ir::QuantGraph& graph);

/// For every tensor the nodes that read it, once for each time that they do.
std::vector<std::vector<int>> consumers(const ir::QuantGraph& graph);

/// The convolution whose output an add or a global pool may take before it is stored, or -1.
int fusable_conv(const ir::QuantGraph& graph, const std::vector<std::vector<int>>& readers,
                 const std::vector<int>& producers, int tensor);
/// Whether a tensor must be stored: it is the output, or one to keep.
bool stays(const ir::QuantGraph& graph, int tensor);
/// The node that writes each tensor, -1 for the input.
std::vector<int> producers(const ir::QuantGraph& graph);
/// A gate or a score: joins the convolution that makes its first input.
bool takes_product(const ir::QuantNode& node);
/// True for an average over the whole map that post can sum.
bool is_global_average(const ir::QuantGraph& graph, const ir::QuantNode& node);

/// A half-open interval.
struct Span {
  int low = 0, high = 0;
  [[nodiscard]] int size() const { return high - low; }
};

/// Where channel c of a tensor lies: lane `lane[c] % L` of block `lane[c] / L`.
struct Channels {
  int blocks = 0;
  std::vector<int> lane;
  std::vector<int> starts;               ///< the first block of each segment
  [[nodiscard]] bool canonical() const;  ///< channel c lies at c
};

/// A piece of memory that holds a tensor, or a concatenation with its inputs inside.
struct Root {
  int tensor = -1;  ///< the outermost
  int blocks = 0, h = 0, w = 0;
  bool is_input = false, is_output = false;
  bool keep = false;         ///< a tensor in it is to stay whole
  std::uint32_t offset = 0;  ///< bytes in its region, set by the memory pass
};

/// Where a stored tensor lies: `block` blocks into its root. A phase of an interleaving lies at
/// every pitch_y-th row and pitch_x-th column of it, from (row, col) on.
struct Spot {
  int root = -1;  ///< -1: never stored
  int block = 0;
  int row = 0, col = 0, pitch_y = 1, pitch_x = 1;
  Channels channels;
  [[nodiscard]] bool strided() const { return pitch_y > 1 || pitch_x > 1; }
  /// Rows or columns of the root, from the first to after the last.
  [[nodiscard]] Span rows(Span own) const;
  [[nodiscard]] Span cols(Span own) const;
};

struct Layout {
  std::vector<Root> roots;
  std::vector<Spot> spots;  ///< by tensor
  bool maskable = false;    ///< for a program that takes masks: blocks may be fewer than these
};

/// Lays out the tensors that the layers store, and the input.
Layout lay_out(const ir::QuantGraph& graph, const std::vector<LayerNodes>& layers, int lanes);

}  // namespace espalier::compiler
