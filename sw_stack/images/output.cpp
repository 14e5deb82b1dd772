#include "images/output.hpp"

#include <cmath>
#include <numeric>

namespace espalier::images {
namespace {

bool on_host(const ir::QuantGraph& graph, const char* op) {
  return std::ranges::find(graph.host_ops, op) != graph.host_ops.end();
}

/// Softmax, or its logarithm, over the channels of one pixel; values are channel by channel.
void softmax(std::vector<float>& values, std::size_t pixel, std::size_t pixels, bool logarithm) {
  float top = values[pixel];
  for (std::size_t i = pixel; i < values.size(); i += pixels) top = std::max(top, values[i]);
  float sum = 0;
  for (std::size_t i = pixel; i < values.size(); i += pixels) sum += std::exp(values[i] - top);
  for (std::size_t i = pixel; i < values.size(); i += pixels) {
    const float x = values[i] - top;
    values[i] = logarithm ? x - std::log(sum) : std::exp(x) / sum;
  }
}

}  // namespace

std::vector<float> output_scores(const ir::QuantGraph& graph, std::span<const std::int8_t> values) {
  const ir::QuantTensor& output = graph.tensors[static_cast<std::size_t>(graph.output)];
  std::vector<float> result;
  for (const int value : values)
    result.push_back(output.quant.scale * static_cast<float>(value - output.quant.zero));
  const auto pixels = static_cast<std::size_t>(output.shape.h * output.shape.w);
  const bool logarithm = on_host(graph, ir::kLogSoftmax);
  if (graph.softmax || logarithm) {
    for (std::size_t p = 0; p < pixels; ++p) softmax(result, p, pixels, logarithm);
  }
  if (!on_host(graph, ir::kTransposeOutput)) return result;
  std::vector<float> turned;  // from channel by channel to pixel by pixel
  for (std::size_t p = 0; p < pixels; ++p) {
    for (std::size_t i = p; i < result.size(); i += pixels) turned.push_back(result[i]);
  }
  return turned;
}

std::vector<std::pair<int, float>> best_scores(std::span<const float> scores, std::size_t count) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [scores](int a, int b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  std::vector<std::pair<int, float>> list;
  for (std::size_t k = 0; k < count; ++k)
    list.emplace_back(order[k], scores[static_cast<std::size_t>(order[k])]);
  return list;
}

}  // namespace espalier::images
