#include "runtime/check.hpp"

#include <algorithm>

namespace espalier::runtime {
namespace {

/// The layer that computes a tensor.
std::string layer_of(const program::Program& program, int tensor) {
  for (const auto& layer : program.layers) {
    for (const int node : layer.nodes) {
      if (program.graph.nodes[static_cast<std::size_t>(node)].output == tensor) return layer.name;
    }
  }
  return "none";
}

}  // namespace

std::string Difference::text(std::string_view device_name) const {
  return "image " + std::to_string(image) + ", layer " + layer + " (tensor " + tensor +
         "): channel " + std::to_string(channel) + ", pixel (y " + std::to_string(y) + ", x " +
         std::to_string(x) + "): " + std::string(device_name) + " has " + std::to_string(device) +
         ", golden " + std::to_string(golden);
}

void Comparison::merge(const Comparison& later) {
  values += later.values;
  mismatches += later.mismatches;
  if (!first) first = later.first;
}

Comparison compare(const program::Program& program, const Execution& execution,
                   std::span<const golden::Tensor> expected, std::size_t image) {
  Comparison result;
  for (const StoredTensor& stored : execution.stored) {
    const auto& tensor = program.graph.tensors[static_cast<std::size_t>(stored.tensor)];
    const golden::Tensor& wanted = expected[static_cast<std::size_t>(stored.tensor)];
    ESP_CHECK(stored.values.size() == wanted.size());
    result.values += wanted.size();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (stored.values[i] == wanted[i]) continue;
      ++result.mismatches;
      if (result.first) continue;
      const auto pixels = static_cast<std::size_t>(tensor.shape.h) * tensor.shape.w;
      const auto width = static_cast<std::size_t>(tensor.shape.w);
      result.first = Difference{image,
                                layer_of(program, stored.tensor),
                                tensor.name,
                                static_cast<int>(i / pixels),
                                static_cast<int>(i % pixels / width),
                                static_cast<int>(i % width),
                                stored.values[i],
                                wanted[i]};
    }
  }
  return result;
}

}  // namespace espalier::runtime
