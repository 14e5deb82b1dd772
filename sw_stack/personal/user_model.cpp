#include "personal/user_model.hpp"

#include <numeric>

#include "golden/golden.hpp"
#include "personal/importance.hpp"

namespace espalier::personal {

Result<ir::QuantGraph> personalise(const ir::QuantGraph& graph, const masks::Channels& channels,
                                   const masks::Mask& mask, const Reference& reference,
                                   std::span<const std::int8_t> inputs,
                                   std::span<const int> classes, Correction level, int threads) {
  const auto pruned = masks::prune(graph, channels, mask);
  if (!pruned) return pruned.error();
  auto corrected = correct(graph, *pruned, masks::by_tensor(channels, mask), reference, inputs,
                           classes, level, threads);
  if (!corrected) return corrected;
  return keep_outputs(std::move(*corrected), classes);
}

double accuracy(const ir::QuantGraph& graph, const Samples& samples, std::span<const int> classes,
                int threads) {
  const auto outputs = golden::run_batch(graph, samples.inputs, threads);
  const std::size_t width = outputs.size() / samples.size();
  std::vector<int> places(classes.begin(), classes.end());
  const bool kept = graph.tensors[static_cast<std::size_t>(graph.output)].shape.c ==
                        static_cast<int>(classes.size()) &&
                    width == classes.size();
  if (kept) std::iota(places.begin(), places.end(), 0);
  std::size_t right = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const int best = best_of(std::span(outputs).subspan(i * width, width), places);
    const int found = kept ? classes[static_cast<std::size_t>(best)] : best;
    right += found == samples.labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(samples.size());
}

}  // namespace espalier::personal
