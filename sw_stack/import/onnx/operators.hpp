#pragma once
// The operators of ONNX that are imported: how, and under which conditions.

#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "import/onnx/context.hpp"

namespace espalier::import_ {

/// Imports a node that reads activations.
using Handler = Status (*)(Context&, const OnnxNode&);
/// Computes a node whose inputs are all constants; one that is left out is null, the first never.
using Inputs = std::vector<std::shared_ptr<const Constant>>;
using Fold = Result<Constant> (*)(const Context&, const OnnxNode&, const Inputs&);

/// An operator on stored integers: the float one that it is, and where its inputs are. A stored
/// tensor is three in a row (value, scale, zero point).
struct StoredForm {
  const char* type = nullptr;         ///< null: it is none
  std::array<int, 2> inputs{-1, -1};  ///< first of each stored input; none: all behind the result's
  int result = 0;                     ///< scale of the result, before its zero point
  int bias = -1;                      ///< int32, in steps of the products; -1: it has none
};

struct OnnxOperator {
  std::string_view name;
  std::string_view becomes;     ///< what the machine does for it
  std::string_view conditions;  ///< empty: none
  Handler handler = nullptr;    ///< null: of constants only
  Fold fold = nullptr;          ///< null: not of constants
  StoredForm stored = {};
  /// Whether it is one of quantised models; com.microsoft has those, too.
  [[nodiscard]] bool quantises() const;
};

/// In the order of their names.
std::span<const OnnxOperator> onnx_operators();
/// Null where it is not imported.
const OnnxOperator* find_onnx_operator(std::string_view type);

/// Imports a node by the table: folds it, where its inputs are constants.
Status import_operator(Context& context, const OnnxNode& node);

// Handlers, by subject.
Status import_conv(Context&, const OnnxNode&);
Status import_batch_norm(Context&, const OnnxNode&);
Status import_gemm(Context&, const OnnxNode&);
Status import_matmul(Context&, const OnnxNode&);

Status import_max_pool(Context&, const OnnxNode&);
Status import_average_pool(Context&, const OnnxNode&);
Status import_global_pool(Context&, const OnnxNode&);
Status import_reduce_mean(Context&, const OnnxNode&);

Status import_add(Context&, const OnnxNode&);
Status import_sum(Context&, const OnnxNode&);
Status import_sub(Context&, const OnnxNode&);
Status import_mul(Context&, const OnnxNode&);
Status import_div(Context&, const OnnxNode&);
Status import_neg(Context&, const OnnxNode&);
Status import_relu(Context&, const OnnxNode&);
Status import_clip(Context&, const OnnxNode&);
Status import_max(Context&, const OnnxNode&);
Status import_min(Context&, const OnnxNode&);
Status import_softmax(Context&, const OnnxNode&);

Status import_identity(Context&, const OnnxNode&);
Status import_constant(Context&, const OnnxNode&);
Status import_shape(Context&, const OnnxNode&);
Status import_flatten(Context&, const OnnxNode&);
Status import_reshape(Context&, const OnnxNode&);
Status import_squeeze(Context&, const OnnxNode&);
Status import_unsqueeze(Context&, const OnnxNode&);
Status import_transpose(Context&, const OnnxNode&);
Status import_concat(Context&, const OnnxNode&);
Status import_pad(Context&, const OnnxNode&);
Status import_slice(Context&, const OnnxNode&);
Status import_gather(Context&, const OnnxNode&);
Status import_split(Context&, const OnnxNode&);
Status import_quantise(Context&, const OnnxNode&);
Status import_dequantise(Context&, const OnnxNode&);
/// An operator on stored integers as DequantizeLinear of every input, the float operator, and
/// QuantizeLinear of the result. Scales of biases, which the model leaves out, become constants of
/// the context. Errors: kUnsupported, at the node.
Status import_stored(Context&, const OnnxNode&);

/// Defines the node's output by `fold`. Errors: kUnsupported, kMalformed, kRange (too large).
Status fold_constant(Context& context, const OnnxNode& node, Fold fold);

Result<Constant> fold_same(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_cast(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_sqrt(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_gather(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_concat(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_transpose(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_slice(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_reshape(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_squeeze(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_fill(const Context&, const OnnxNode&, const Inputs&);
Result<Constant> fold_arithmetic(const Context&, const OnnxNode&, const Inputs&);

}  // namespace espalier::import_
