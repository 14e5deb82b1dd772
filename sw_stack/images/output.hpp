#pragma once
// From a network's output to scores.

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::images {

/// The graph's output as the model gives it: dequantised, and with what the host does to it.
/// Shapes: values [C][H][W]; the result likewise, or [H][W][C] where the host turns it.
std::vector<float> output_scores(const ir::QuantGraph& graph, std::span<const std::int8_t> values);

/// The best `count` of the scores, first the best; ties in the order of classes. Range: count is at
/// most the number of scores.
std::vector<std::pair<int, float>> best_scores(std::span<const float> scores, std::size_t count);

/// Index of the first largest value.
template <typename T>
int arg_max(std::span<const T> values) {
  return static_cast<int>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace espalier::images
