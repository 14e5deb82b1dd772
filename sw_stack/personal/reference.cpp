// What the generic model does on a user's images.

#include <cmath>
#include <mutex>
#include <optional>

#include "golden/golden.hpp"
#include "golden/layers.hpp"
#include "personal/correct.hpp"
#include "personal/spread.hpp"
#include "base/parallel.hpp"
#include "base/integers.hpp"

namespace espalier::personal {
namespace {

constexpr std::size_t kMostBytes = 256U << 20U;  ///< of the activations that are kept

/// Of how many images.
std::size_t kept(const ir::QuantGraph& graph, std::size_t images) {
  std::size_t bytes = 0;
  for (const ir::QuantTensor& t : graph.tensors) bytes += static_cast<std::size_t>(t.shape.count());
  return std::min(images, std::max<std::size_t>(kMostBytes / bytes, 1));
}

/// One image's sums of v v^T, which are whole numbers: their order does not matter.
std::vector<double> moments_of(const ir::QuantTensor& tensor, const golden::Tensor& values) {
  const std::size_t plane = index(tensor.shape.h) * index(tensor.shape.w);
  const std::size_t size = index(tensor.shape.c) + 1;
  std::vector<float> v(size * plane, 1.0F);
  for (std::size_t i = 0; i < values.size(); ++i)
    v[i] = static_cast<float>(values[i] - tensor.quant.zero);
  std::vector<double> out(size * size, 0.0);
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      // Exact: 256 products of at most 2^16 are below 2^24.
      double sum = 0;
      for (std::size_t i = 0; i < plane;) {
        const std::size_t end = std::min(plane, i + 256);
        float part = 0;
        for (; i < end; ++i) part += v[a * plane + i] * v[b * plane + i];
        sum += part;
      }
      out[a * size + b] = out[b * size + a] = sum;
    }
  }
  return out;
}

}  // namespace

Reference measure_reference(const ir::QuantGraph& graph, std::span<const std::int8_t> inputs,
                            int threads) {
  const auto size = static_cast<std::size_t>(graph.tensors[index(graph.input)].shape.count());
  const std::size_t images = inputs.size() / size;
  const golden::Runner runner(graph);
  std::vector<bool> read(graph.tensors.size(), false);
  std::vector<std::optional<SpreadMeter>> meters;
  for (const ir::QuantNode& node : graph.nodes) {
    const auto* conv = std::get_if<ir::QuantConv>(&node.op);
    meters.emplace_back();
    if (conv == nullptr) continue;
    read[index(node.inputs[0])] = true;
    meters.back().emplace(graph, node, images);
  }
  Reference out;
  out.moments.resize(graph.tensors.size());
  out.logits.resize(images);
  out.tensors.resize(kept(graph, images));
  std::mutex mutex;
  for_each(images, threads, [&](std::size_t i) {
    auto tensors = runner.run(inputs.subspan(i * size, size));
    const ir::Quant quant = graph.tensors[index(graph.output)].quant;
    for (const int q : tensors[index(graph.output)])
      out.logits[i].push_back(double{quant.scale} * (q - quant.zero));
    for (std::size_t n = 0; n < meters.size(); ++n) {
      if (meters[n]) meters[n]->add(i, tensors[index(graph.nodes[n].inputs[0])].data(), 1);
    }
    for (std::size_t t = 0; t < read.size(); ++t) {
      if (!read[t]) continue;
      const std::vector<double> part = moments_of(graph.tensors[t], tensors[t]);
      const std::lock_guard lock(mutex);
      out.moments[t].resize(part.size(), 0.0);
      for (std::size_t k = 0; k < part.size(); ++k) out.moments[t][k] += part[k];
    }
    if (i < out.tensors.size()) out.tensors[i] = std::move(tensors);
  });
  for (const auto& meter : meters) out.spread.push_back(meter ? meter->spread() : Spread{});
  return out;
}

}  // namespace espalier::personal
