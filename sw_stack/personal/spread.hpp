#pragma once
// Means and variances of a convolution's sums.

#include <cstdint>
#include <vector>

#include "golden/layers.hpp"
#include "personal/correct.hpp"

namespace espalier::personal {

/// Gathers them over images, side by side; the result does not depend on the order.
class SpreadMeter {
 public:
  /// `node` is a convolution of the graph, which must outlive this.
  SpreadMeter(const ir::QuantGraph& graph, const ir::QuantNode& node, std::size_t images);
  /// Adds images first .. first + count, which lie one after the other from `x` on.
  void add(std::size_t first, const std::int8_t* x, std::size_t count);
  [[nodiscard]] Spread spread() const;

 private:
  const ir::QuantConv* conv_;
  ir::Shape y_;
  double y_scale_;
  golden::PreparedConv prepared_;
  std::vector<std::vector<double>> sums_, squares_;  // by image, by channel
};

}  // namespace espalier::personal
