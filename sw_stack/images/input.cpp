#include "images/input.hpp"

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"

namespace espalier::images {

std::vector<float> preprocess_input(const ir::Preprocess& preprocess, const ir::Shape& shape,
                                    std::span<const float> pixels, bool raw_float) {
  ESP_CHECK(std::int64_t(pixels.size()) == shape.count());
  std::vector<float> values(pixels.begin(), pixels.end());
  if (raw_float || preprocess.mean.empty()) return values;
  ESP_CHECK(preprocess.mean.size() == std::size_t(shape.c));
  ESP_CHECK(preprocess.std.size() == std::size_t(shape.c));
  const std::size_t plane = std::size_t(shape.h) * shape.w;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i / plane;
    values[i] = (values[i] / 255.0F - preprocess.mean[c]) / preprocess.std[c];
  }
  return values;
}

std::vector<std::int8_t> quantise_values(std::span<const float> values, const ir::Quant& quant) {
  std::vector<std::int8_t> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float value = std::isnan(values[i]) ? 0.0F : values[i];
    result[i] = static_cast<std::int8_t>(ir::stored(value, quant, ir::Ties::kEven));
  }
  return result;
}

std::vector<std::int8_t> quantise_input(const ir::QuantGraph& graph, std::span<const float> pixels,
                                        bool raw_float) {
  const ir::QuantTensor& input = graph.tensors[std::size_t(graph.input)];
  return quantise_values(preprocess_input(graph.preprocess, input.shape, pixels, raw_float),
                         input.quant);
}

}  // namespace espalier::images
