#pragma once
// A TensorFlow Lite model as plain values, checked as far as the format goes.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "import/refusals.hpp"
#include "import/work_graph.hpp"
#include "tflite_generated.h"

namespace espalier::import_ {

struct LiteTensor {
  std::string name;
  std::vector<int> dims;
  lite::TensorType type = lite::TensorType_FLOAT32;
  std::span<const std::uint8_t> data;  ///< empty where the tensor is computed
  std::vector<float> scale;
  std::vector<std::int64_t> zero;
  int quantised_axis = 0;

  [[nodiscard]] std::int64_t count() const;
  [[nodiscard]] bool constant() const { return !data.empty(); }
  /// Element `at` of one that quantised() and constant() hold for, as stored.
  [[nodiscard]] std::int64_t stored(std::int64_t at) const {
    const std::uint8_t byte = data[static_cast<std::size_t>(at)];
    return type == lite::TensorType_UINT8 ? byte : static_cast<std::int8_t>(byte);
  }
  [[nodiscard]] bool quantised() const {
    return (type == lite::TensorType_INT8 || type == lite::TensorType_UINT8) && !scale.empty();
  }
};

struct LiteOp {
  lite::BuiltinOperator code = lite::BuiltinOperator_ADD;
  std::string name;  ///< of its first output
  std::vector<int> inputs, outputs;
  lite::Padding padding = lite::Padding_VALID;
  lite::Activation activation = lite::Activation_NONE;
  int stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, filter_h = 1, filter_w = 1;
  int axis = 0;
  float beta = 1;

  /// Its name in the format, as in CONV_2D.
  [[nodiscard]] std::string type() const;
  /// A diagnostic placed at this operator.
  [[nodiscard]] Diagnostic fail(ErrorCode error, std::string message) const;
  [[nodiscard]] Diagnostic unsupported(std::string message) const {
    return fail(ErrorCode::kUnsupported, std::move(message));
  }
  [[nodiscard]] Diagnostic placed(const Diagnostic& diagnostic) const;
};

struct LiteGraph {
  std::vector<LiteTensor> tensors;
  std::vector<LiteOp> ops;
  int input = -1, output = -1;

  /// Input i of an operator. Errors: kMalformed where it is absent.
  [[nodiscard]] Result<const LiteTensor*> input_of(const LiteOp& op, std::size_t i) const;
  /// A constant input. Errors: kUnsupported where it is computed.
  [[nodiscard]] Result<const LiteTensor*> constant_of(const LiteOp& op, std::size_t i) const;
  /// Values of a constant of int32 or int64.
  [[nodiscard]] Result<std::vector<std::int64_t>> integers_of(const LiteOp& op,
                                                              std::size_t i) const;
};

/// Reads and checks. Errors: kMalformed, kUnsupported, kRange.
Result<LiteGraph> read_lite(std::string_view bytes);

/// [1][H][W][C], [1][C] or [C] as a shape. Errors: kUnsupported (batches, other ranks), kRange.
Result<ir::Shape> lite_shape(const LiteTensor& tensor);

/// Whether the tensor's dimensions are the image `shape`, rather than the same image flattened.
bool is_image(const LiteTensor& tensor, const ir::Shape& shape);

/// The window of a convolution or pool over an image, and the extent of its output.
struct LiteWindow {
  ir::Window window;
  int h = 0, w = 0;
};
Result<LiteWindow> lite_window(const LiteOp& op, const ir::Shape& in, int kh, int kw);

/// What a PAD adds to an image.
struct LitePad {
  Border border;
  int channels_before = 0, channels_after = 0;
};
Result<LitePad> lite_pad(const LiteGraph& graph, const LiteOp& op);

/// Rows and columns that a MEAN reduces. Errors: kUnsupported for other axes.
struct LiteMean {
  bool rows = false, columns = false;
};
Result<LiteMean> lite_mean(const LiteGraph& graph, const LiteOp& op);

/// Where weight [n][kh][kw][c] of a dense convolution lies in the stored weights, or -1 where it
/// is 0 because c is in another group.
struct WeightLayout {
  int outputs = 0, kh = 1, kw = 1, channels = 0;
  int per_group = 0;       ///< input channels of one group
  int group_outputs = 0;   ///< output channels of one group
  bool depthwise = false;  ///< stored [1][kh][kw][n] rather than [n][kh][kw][per_group]
  [[nodiscard]] std::int64_t at(int n, int tap, int c) const;
  [[nodiscard]] ir::ChannelRange group(int n) const;  ///< input channels of output n
  /// The groups of all outputs; none where there is one group.
  [[nodiscard]] ir::Reads reads() const;
  [[nodiscard]] std::int64_t dense_count() const {
    return std::int64_t{outputs} * kh * kw * channels;
  }
};
Result<WeightLayout> weight_layout(const LiteOp& op, const LiteTensor& weights,
                                   const ir::Shape& in);

/// Multiply-accumulates of an operator with weights; 0 for others.
std::int64_t lite_macs(const LiteGraph& graph, const LiteOp& op);

}  // namespace espalier::import_
