#include "masks/by_name.hpp"

#include <fmt/format.h>

namespace espalier::masks {
namespace {

constexpr int kTwice = -1;

}  // namespace

Result<std::uint64_t> same_model(std::uint64_t named, const ir::QuantGraph& graph,
                                 const std::string& place, Known known) {
  const std::uint64_t wanted = fingerprint(graph, known);
  if (named == wanted) return wanted;
  return fail(ErrorCode::kMismatch,
              fmt::format("is for another model: its fingerprint is {:016x}, that of '{}' {:016x}",
                          named, graph.name, wanted),
              place);
}

Convolutions::Convolutions(const ir::QuantGraph& graph) {
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const ir::QuantNode& node = graph.nodes[n];
    if (!std::holds_alternative<ir::QuantConv>(node.op) || is_copy(graph, node)) continue;
    const auto [at, first] = nodes_.emplace(node.name, static_cast<int>(n));
    if (!first) at->second = kTwice;
  }
}

Result<int> Convolutions::find(const std::string& name, const std::string& place) const {
  const auto found = nodes_.find(name);
  if (found == nodes_.end())
    return fail(ErrorCode::kMalformed, "the model has no such convolution", place);
  if (found->second == kTwice)
    return fail(ErrorCode::kMalformed, "the model has two convolutions of this name", place);
  return found->second;
}

bool Convolutions::twice(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found != nodes_.end() && found->second == kTwice;
}

}  // namespace espalier::masks
