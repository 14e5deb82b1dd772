#include "personal/spread.hpp"

#include <algorithm>

namespace espalier::personal {
namespace {

golden::Side side(const ir::QuantGraph& graph, int id) {
  const ir::QuantTensor& tensor = graph.tensors[static_cast<std::size_t>(id)];
  return {tensor.shape, tensor.quant};
}

}  // namespace

SpreadMeter::SpreadMeter(const ir::QuantGraph& graph, const ir::QuantNode& node, std::size_t images)
    : conv_(&std::get<ir::QuantConv>(node.op)),
      y_(side(graph, node.output).shape),
      y_scale_(side(graph, node.output).quant.scale),
      prepared_(*conv_, side(graph, node.inputs[0]), side(graph, node.output)),
      sums_(images),
      squares_(images) {}

void SpreadMeter::add(std::size_t first, const std::int8_t* x, std::size_t count) {
  std::vector<std::int32_t> acc(count * static_cast<std::size_t>(y_.count()));
  prepared_.accumulate(x, static_cast<int>(count), acc.data());
  const std::size_t plane = static_cast<std::size_t>(y_.h) * static_cast<std::size_t>(y_.w);
  const std::int32_t* from = acc.data();
  for (std::size_t i = first; i < first + count; ++i) {
    for (int c = 0; c < y_.c; ++c, from += plane) {
      double sum = 0, square = 0;
      for (std::size_t p = 0; p < plane; ++p) {
        sum += from[p];
        square += double(from[p]) * from[p];
      }
      sums_[i].push_back(sum);
      squares_[i].push_back(square);
    }
  }
}

Spread SpreadMeter::spread() const {
  const double count = static_cast<double>(sums_.size()) * y_.h * y_.w;
  Spread out;
  for (std::size_t c = 0; c < static_cast<std::size_t>(y_.c); ++c) {
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      sum += sums_[i][c];
      square += squares_[i][c];
    }
    const double unit = conv_->scale[c] * y_scale_;
    const double mean = sum / count;
    out.mean.push_back(mean * unit);
    out.variance.push_back(std::max(0.0, square / count - mean * mean) * unit * unit);
  }
  return out;
}

}  // namespace espalier::personal
