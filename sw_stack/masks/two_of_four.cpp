#include "masks/two_of_four.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace espalier::masks {
namespace {

constexpr std::ptrdiff_t kFour = 4, kTwo = 2;

/// Zeroes the smallest of up to four weights until two are left; true where one was not zero.
bool thin(std::int8_t* first, std::ptrdiff_t count) {
  std::array<std::int8_t*, kFour> order{};
  for (std::ptrdiff_t i = 0; i < count; ++i) order.at(static_cast<std::size_t>(i)) = first + i;
  const auto end = order.begin() + count;
  std::stable_sort(order.begin(), end, [](const std::int8_t* a, const std::int8_t* b) {
    return std::abs(int{*a}) > std::abs(int{*b});
  });
  bool lost = false;
  for (auto it = order.begin() + kTwo; it < end; ++it) {
    lost = lost || **it != 0;
    **it = 0;
  }
  return lost;
}

}  // namespace

int keep_two_of_four(ir::QuantGraph& graph) {
  int thinned = 0;
  for (ir::QuantNode& node : graph.nodes) {
    auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr || node.inputs[0] == graph.input) continue;
    const ir::Shape& made = graph.tensors[static_cast<std::size_t>(node.output)].shape;
    if (made.h == 1 && made.w == 1) continue;
    const std::ptrdiff_t depth = graph.tensors[static_cast<std::size_t>(node.inputs[0])].shape.c;
    bool lost = false;
    std::int8_t* const end = conv->weights.data() + conv->weights.size();
    for (std::int8_t* row = conv->weights.data(); row != end; row += depth) {
      for (std::ptrdiff_t c = 0; c < depth; c += kFour)
        lost = thin(row + c, std::min(kFour, depth - c)) || lost;
    }
    thinned += lost ? 1 : 0;
  }
  return thinned;
}

}  // namespace espalier::masks
