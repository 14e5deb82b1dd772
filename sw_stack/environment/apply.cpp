#include <fmt/format.h>

#include <bit>

#include "environment/environment.hpp"
#include "ir/weight_mask.hpp"
#include "masks/by_name.hpp"
#include "base/integers.hpp"

namespace espalier::environment {
namespace {

Status check_size(const Layer& layer, const ir::QuantConv& conv, int inputs,
                  const std::string& place) {
  const auto taps = static_cast<std::uint32_t>(conv.window.kh * conv.window.kw);
  if (layer.channels == conv.bias.size() && layer.taps == taps && layer.inputs == index(inputs))
    return {};
  return fail(ErrorCode::kMismatch,
              fmt::format("has {} channels of {} x {} weights; the model's has {} of {} x {}",
                          layer.channels, layer.taps, layer.inputs, conv.bias.size(), taps, inputs),
              place);
}

}  // namespace

std::uint64_t Layer::live() const {
  std::uint64_t sum = bits.empty() ? count() : 0;
  for (const std::uint8_t byte : bits) sum += static_cast<std::uint64_t>(std::popcount(byte));
  return sum;
}

std::uint64_t Environment::count() const {
  std::uint64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.kind == Kind::kDense ? 0 : layer.count();
  return sum;
}

std::uint64_t Environment::live() const {
  std::uint64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.kind == Kind::kDense ? 0 : layer.live();
  return sum;
}

Result<ir::QuantGraph> apply(const Environment& environment, ir::QuantGraph graph,
                             const std::string& place, masks::Known known) {
  const auto model = masks::same_model(environment.fingerprint, graph, place, known);
  if (!model) return model.error();
  const masks::Convolutions convolutions(graph);
  std::vector<bool> done(graph.nodes.size());
  ir::WeightMask mask(graph.nodes.size());
  for (const Layer& layer : environment.layers) {
    const std::string here = fmt::format("{}: layer '{}'", place, layer.name);
    const auto found = convolutions.find(layer.name, here);
    if (!found) return found.error();
    if (done[index(*found)]) return fail(ErrorCode::kMalformed, "is there twice", here);
    done[index(*found)] = true;
    ir::QuantNode& node = at(graph.nodes, *found);
    auto& conv = std::get<ir::QuantConv>(node.op);
    if (const Status s = check_size(layer, conv, at(graph.tensors, node.inputs[0]).shape.c, here);
        !s)
      return s.error();
    at(mask, *found) = layer.bits;
    conv.bias = layer.bias;
    conv.scale = layer.scale;
  }
  ir::zero_weights(graph, mask);
  if (const Status s = ir::verify(graph); !s) return placed(s.error(), place);
  return graph;
}

}  // namespace espalier::environment
