#pragma once
// Quantised parameters of single layers, the scales of their tensors being known.

#include <span>

#include "ir/graph.hpp"
#include "quantise/plan.hpp"

namespace espalier::quantise {

/// Products that a convolution sums for one output.
std::int64_t conv_depth(const ir::FloatConv& conv);

/// The most that |bias| may be beside `depth` products, or a negative number where they alone
/// could leave int32.
std::int64_t bias_limit(std::int64_t depth);

/// Bounds of a clamp in steps of y.
struct Clamp {
  int lo = -128, hi = 127;
};
Clamp quantised_clamp(const Step& step, const ir::Quant& y);

/// Shapes: input_means has one value an input channel, or none for no bias correction.
/// Range: bias_limit(conv_depth(conv)) > 0.
ir::QuantConv quantise_conv(const ir::FloatConv& conv, const ir::Quant& x, const ir::Quant& y,
                            std::span<const double> input_means);

/// A 1 x 1 convolution that changes the scale (and clamps) of `channels` channels.
ir::QuantConv rescale_conv(int channels, const ir::Quant& x, const ir::Quant& y);

}  // namespace espalier::quantise
