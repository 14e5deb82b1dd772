#pragma once
// The graph that importers build before everything that folds is folded: a FloatGraph with three
// operators more, which fold into neighbours or become 1 x 1 convolutions.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::import_ {

/// The largest extent of a tensor that an importer accepts. Units: elements.
inline constexpr std::int64_t kMaxExtent = ir::kMaxExtent;
/// The largest activation that an importer accepts. Units: elements.
inline constexpr std::int64_t kMaxActivation = 1 << 27;
/// The most weights that an importer makes up itself, for groups, diagonals and selections.
inline constexpr std::int64_t kMaxExpandedWeights = 1 << 24;

/// y = scale[c] * x + shift[c].
struct Affine {
  std::vector<float> scale, shift;
};

/// A border of one value around every channel.
struct Border {
  int top = 0, left = 0, bottom = 0, right = 0;
  float value = 0;
};

/// Positions first + i * step, i < count, of one spatial axis.
struct Stride {
  int first = 0, step = 1, count = 0;
};

/// y[c][i][j] = x[source[c]][rows(i)][columns(j)], or 0 where source[c] is -1.
struct Select {
  std::vector<int> source;
  Stride rows, columns;
};

/// Types in which a quantised model stores activations.
enum class Stored : std::uint8_t { kUnknown, kInt8, kUint8 };
/// The least number that it holds.
constexpr int least_of(Stored type) { return type == Stored::kUint8 ? 0 : -128; }

/// From real numbers to stored ones, and back: q = clamp(rne(x / scale) + zero).
struct Quantise {
  float scale = 1;
  int zero = 0;  ///< as stored
  Stored type = Stored::kInt8;
};
struct Dequantise {
  float scale = 1;
  int zero = 0;
  Stored type = Stored::kUnknown;
};

/// A graph with Quantise or Dequantise in it becomes a QuantGraph by lower_quantised(); finish() is
/// for all others.
using WorkOp =
    std::variant<ir::FloatConv, ir::FloatAdd, ir::FloatClamp, ir::FloatPool, ir::FloatConcat,
                 ir::FloatSoftmax, Affine, Border, Select, Quantise, Dequantise>;

struct WorkNode {
  std::string name, type;  ///< and the operator of the model that it is made for
  std::vector<int> inputs;
  int output = -1;
  WorkOp op;
  bool dead = false;
};

/// Nodes in topological order; every tensor but the input has one producer.
class WorkGraph {
 public:
  int input = -1, output = -1;
  std::string type;  ///< of the operator that nodes are added for, for messages
  std::vector<std::string> host_ops;

  int add_tensor(std::string name, const ir::Shape& shape);
  /// Appends a node with a new output tensor and returns the tensor.
  int add_node(std::string name, std::string output_name, WorkOp op, std::vector<int> inputs,
               const ir::Shape& shape);
  [[nodiscard]] const ir::Shape& shape(int tensor) const { return tensors_[tensor].shape; }
  [[nodiscard]] const std::string& name(int tensor) const { return tensors_[tensor].name; }
  [[nodiscard]] int tensors() const { return static_cast<int>(tensors_.size()); }
  [[nodiscard]] const std::vector<WorkNode>& nodes() const { return nodes_; }

  /// Folds what folds, turns the rest into convolutions, drops dead nodes, makes names unique and
  /// verifies. Errors: kUnsupported, naming the node, where a convolution would be too large.
  Result<ir::FloatGraph> finish(std::string name) &&;
  /// Drops what the output does not need, and folds borders into the windows that read them, where
  /// all do: the only folds of a quantised model.
  void fold_borders();

 private:
  void index();
  void drop_dead();
  [[nodiscard]] bool sole_consumer(int tensor) const;
  void merge_channel_affines();
  void merge_selects();
  void merge_borders();
  [[nodiscard]] std::vector<bool> find_not_negative() const;
  [[nodiscard]] int border_reader(const WorkNode& border) const;
  [[nodiscard]] bool border_fits(const Border& border, int tensor, bool not_negative) const;
  Status lower_selects();
  Status lower_borders();
  /// Puts a convolution in the node's place. Errors: as it, at the node.
  static Status become(WorkNode& node, Result<ir::FloatConv> conv);
  void fold_affines_back();
  void fold_affines_forward();
  Status lower_affines();
  [[nodiscard]] Status check_softmax() const;
  [[nodiscard]] Status check_finite() const;

  std::vector<ir::FloatTensor> tensors_;
  std::vector<WorkNode> nodes_;
  std::vector<int> producer_;                ///< node of each tensor, or -1
  std::vector<std::vector<int>> consumers_;  ///< nodes of each tensor, once for each use
};

/// A diagnostic placed at the node.
Diagnostic work_error(const WorkNode& node, ErrorCode code, std::string message);

/// One pixel's window over an image that the border surrounds.
ir::Window around(const Border& border);
inline bool padded(const ir::Window& w) {
  return w.pad_top != 0 || w.pad_left != 0 || w.pad_bottom != 0 || w.pad_right != 0;
}

/// Channels 0 .. count - 1.
std::vector<int> every_channel(int count);
/// A Select of everything.
Select whole(const ir::Shape& shape);

/// A convolution with one tap on: weights [N][kh][kw][C] that are gain[n] at channel source[n]
/// (none where it is -1) of the tap (row, column). Errors: kUnsupported where it is too large.
Result<ir::FloatConv> selection_conv(const std::vector<int>& source, int channels,
                                     const std::vector<float>& gain, std::vector<float> bias,
                                     const ir::Window& window, int row, int column);

/// Extent of a window over `size` pixels, or a diagnostic that names the limit; with `ceil_mode`
/// a last partial window counts where it starts over a pixel or a leading pad.
Result<int> extent(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                   std::int64_t dilation, std::int64_t pad_before, std::int64_t pad_after,
                   bool ceil_mode);

/// Whether every window of an axis holds at least one of its `size` pixels.
bool windows_hold_pixels(int outputs, int kernel, int stride, int dilation, int pad_before,
                         int size);

/// Pads of one axis for "same" padding: outputs are ceil(size / stride). `lower` puts the odd
/// pixel first.
std::pair<int, int> same_pads(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                              std::int64_t dilation, bool lower);

}  // namespace espalier::import_
