#pragma once
// Convolutions of quantised models, in integers.

#include <vector>

#include "import/quant_lower.hpp"

namespace espalier::import_ {

/// A convolution or matrix product with the stored steps of its weights and bias; `constants` is
/// null where they are not quantised. Clamps are left open.
/// Errors: kUnsupported (weights in float, scales on another axis, zero points), kRange.
Result<ir::QuantConv> quantised_dense(const WorkNode& node, const ir::FloatConv& conv,
                                      const StoredDense* constants, const ir::Quant& x,
                                      const ir::Quant& y);

/// scale[c] * x + shift[c] as a convolution with a diagonal of weights. Errors: kUnsupported,
/// kRange.
Result<ir::QuantConv> quantised_affine(const WorkNode& node, const Affine& affine,
                                       const ir::Quant& x, const ir::Quant& y);

/// Channel source[n] of `channels`, or 0 where it is -1, as output n, amid a border of zeros:
/// weights and scales of 1. Errors: kUnsupported where it is too large.
Result<ir::QuantConv> quantised_copy(const WorkNode& node, const std::vector<int>& source,
                                     int channels, const Border& border);

}  // namespace espalier::import_
