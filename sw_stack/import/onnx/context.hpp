#pragma once
// What the handlers of ONNX operators share: values, views, attributes and complaints.

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "import/onnx/constant.hpp"
#include "import/quant_lower.hpp"
#include "import/work_graph.hpp"

namespace espalier::import_ {

/// An axis of the activation that a tensor of the model holds.
enum class Axis : std::uint8_t { kBatch, kChannel, kRow, kColumn };

/// How the dimensions of a value of the model run over the axes of its activation: each dimension
/// is an ordered product of axes, and axes of extent 1 are left out. NCHW is {{B},{C},{H},{W}},
/// the same flattened {{B},{C,H,W}}.
using View = std::vector<std::vector<Axis>>;

/// A value that the accelerator computes.
struct Activation {
  int tensor = -1;
  View view;
};

using Value = std::variant<std::shared_ptr<const Constant>, Activation>;

/// One node of the model, with its name and typed access to its attributes.
class OnnxNode {
 public:
  OnnxNode(const onnx::NodeProto& node, std::string name) : proto(node), name_(std::move(name)) {}
  [[nodiscard]] const std::string& type() const { return proto.op_type(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool has(const char* attribute) const { return find(attribute) != nullptr; }
  [[nodiscard]] std::int64_t integer(const char* attribute, std::int64_t otherwise) const;
  [[nodiscard]] float real(const char* attribute, float otherwise) const;
  [[nodiscard]] std::string text(const char* attribute, const std::string& otherwise) const;
  [[nodiscard]] std::vector<std::int64_t> integers(const char* attribute) const;
  [[nodiscard]] const onnx::AttributeProto* find(const char* attribute) const;
  [[nodiscard]] bool has_input(int i) const {
    return i < proto.input_size() && !proto.input(i).empty();
  }
  /// A diagnostic placed at this node.
  [[nodiscard]] Diagnostic fail(ErrorCode code, std::string message) const;
  [[nodiscard]] Diagnostic unsupported(std::string message) const {
    return fail(ErrorCode::kUnsupported, std::move(message));
  }
  /// The same complaint, placed at this node where it names no place.
  [[nodiscard]] Diagnostic placed(Diagnostic diagnostic) const;

  const onnx::NodeProto& proto;

 private:
  std::string name_;
};

/// The state of one import.
class Context {
 public:
  WorkGraph work;
  std::string folder;  ///< of the model, for external data
  int opset = 1;
  int batch = 1;                     ///< of the model; one image is imported
  std::int64_t folded_elements = 0;  ///< of all constants folded so far
  int log_softmax = -1;              ///< input of a LogSoftmax, which must end the model
  std::map<std::string, Value> values;
  bool quantised = false;  ///< the model: quantised nodes ask for constants once more
  StoredConstants dense;   ///< of a quantised model

  [[nodiscard]] Result<const Value*> value(const OnnxNode& node, int i) const;
  [[nodiscard]] Result<Activation> activation(const OnnxNode& node, int i) const;
  [[nodiscard]] Result<std::shared_ptr<const Constant>> constant(const OnnxNode& node, int i) const;
  /// A constant of integers. Errors: as constant(), and floats.
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(const OnnxNode& node, int i) const;
  /// Integers from input i, or from the attribute where that is left out; empty where neither is
  /// there: what old opsets hold in attributes, new ones have as inputs.
  [[nodiscard]] Result<std::vector<std::int64_t>> listed(const OnnxNode& node,
                                                         const char* attribute, int i) const;
  void define(const OnnxNode& node, Value result, int output = 0);
  /// Appends a node whose name and output are those of `node`, and defines its first output.
  void emit(const OnnxNode& node, WorkOp op, std::vector<int> inputs, const ir::Shape& shape,
            const View& view);
  /// As emit, for a step before the last: returns the tensor and defines nothing.
  int emit_step(const OnnxNode& node, const char* step, WorkOp op, std::vector<int> inputs,
                const ir::Shape& shape);

  [[nodiscard]] std::int64_t axis_extent(int tensor, Axis axis) const;
  /// Dimensions of an activation as the model sees them.
  [[nodiscard]] std::vector<std::int64_t> dims(const Activation& x) const;
  /// The view without axes of extent 1.
  [[nodiscard]] View normalised(int tensor, const View& view) const;
  /// Whether dimension `dim` is exactly this axis.
  [[nodiscard]] bool is_axis(const Activation& x, std::size_t dim, Axis axis) const;
  /// The view NCHW of a tensor.
  [[nodiscard]] View nchw(int tensor) const;
  /// Which single axis each dimension is. A dimension of extent 1 is known by its place in the
  /// layouts NCHW and NHWC only; nullopt where it is not one axis.
  [[nodiscard]] std::vector<std::optional<Axis>> dimension_axes(const Activation& x) const;
  /// The view with axes of extent 1 put where their dimensions are, for a result in which they
  /// grow.
  [[nodiscard]] View explicit_view(const Activation& x) const;
  /// Refuses anything but NCHW. Errors: kUnsupported at the node.
  [[nodiscard]] Status require_nchw(const OnnxNode& node, const Activation& x) const;
};

/// A shape from 64-bit extents. Errors: kRange.
Result<ir::Shape> checked_shape(std::int64_t c, std::int64_t h, std::int64_t w);
/// Dimensions for messages: `1x3x32x32`.
std::string dims_text(const std::vector<std::int64_t>& dims);
/// Indices of axes that may count from the end. Errors: kRange, at the node.
Result<std::size_t> resolve_axis(const OnnxNode& node, std::int64_t axis, std::size_t rank);
/// That of the attribute `axis`.
Result<std::size_t> axis_of(const OnnxNode& node, std::int64_t otherwise, std::size_t rank);
Result<std::vector<std::size_t>> resolve_axes(const OnnxNode& node,
                                              const std::vector<std::int64_t>& axes,
                                              std::size_t rank);

}  // namespace espalier::import_
