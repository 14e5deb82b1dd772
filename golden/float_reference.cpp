#include "golden/float_reference.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "golden/columns.hpp"
#include "base/result.hpp"

namespace espalier::golden {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Values = std::vector<float>;

constexpr std::size_t kColumnFloats = 256 * 1024;

/// One node's operator on the values of its inputs.
class FloatRun {
 public:
  FloatRun(const ir::FloatGraph& graph, const ir::FloatNode& node, const std::vector<Values>& all)
      : graph_(graph), node_(node), all_(all), out_(std::size_t(shape(node.output).count())) {}

  Values operator()(const ir::FloatConv& conv) {
    const ir::Shape& x = shape(node_.inputs[0]);
    const ir::Shape& y = shape(node_.output);
    PaddedImages padded(x, conv.window, 1);
    padded.set(0, in(0).data(), conv.border.empty() ? Values(std::size_t(x.c)) : conv.border);
    const int depth = conv.window.kh * conv.window.kw * x.c;
    const Eigen::Map<const RowMajor> weights(conv.weights.data(), y.c, depth);
    const Eigen::Map<const Eigen::VectorXf> bias(conv.bias.data(), y.c);
    Eigen::Map<RowMajor> result(out_.data(), y.c, y.h * y.w);
    const auto fit = static_cast<int>(kColumnFloats / (std::size_t(depth) * y.w));
    const int step = std::clamp(fit, 1, y.h);
    RowMajor columns(depth, step * y.w);
    for (int row = 0; row < y.h; row += step) {
      const int rows = std::min(step, y.h - row);
      columns.resize(depth, rows * y.w);
      fill_columns(padded, y, {row, rows}, 0, depth, columns.data());
      result.middleCols(row * y.w, rows * y.w).noalias() = weights * columns;
    }
    result.colwise() += bias;
    return std::move(out_);
  }
  Values operator()(const ir::FloatAdd&) {
    std::ranges::transform(in(0), in(1), out_.begin(), std::plus<>());
    return std::move(out_);
  }
  Values operator()(const ir::FloatClamp& clamp) {
    std::ranges::transform(in(0), out_.begin(),
                           [&clamp](float v) { return std::min(std::max(v, clamp.lo), clamp.hi); });
    return std::move(out_);
  }
  Values operator()(const ir::FloatPool& pool) {
    const ir::Shape& x = shape(node_.inputs[0]);
    const ir::Shape& y = shape(node_.output);
    float* out = out_.data();
    for (int c = 0; c < y.c; ++c) {
      const float* const plane = in(0).data() + std::size_t(c) * x.h * x.w;
      for (int oy = 0; oy < y.h; ++oy) {
        for (int ox = 0; ox < y.w; ++ox) *out++ = pool_pixel(pool, x, plane, oy, ox);
      }
    }
    return std::move(out_);
  }
  Values operator()(const ir::FloatConcat&) {
    auto to = out_.begin();
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) to = std::ranges::copy(in(i), to).out;
    return std::move(out_);
  }
  Values operator()(const ir::FloatSoftmax&) {
    const ir::Shape& y = shape(node_.output);
    const auto plane = std::size_t(y.h) * y.w;
    for (std::size_t p = 0; p < plane; ++p) {
      float most = -std::numeric_limits<float>::infinity();
      for (std::size_t i = p; i < out_.size(); i += plane) most = std::max(most, in(0)[i]);
      float sum = 0;
      for (std::size_t i = p; i < out_.size(); i += plane) {
        out_[i] = std::exp(in(0)[i] - most);
        sum += out_[i];
      }
      for (std::size_t i = p; i < out_.size(); i += plane) out_[i] /= sum;
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] const ir::Shape& shape(int id) const {
    return graph_.tensors[std::size_t(id)].shape;
  }
  [[nodiscard]] const Values& in(std::size_t i) const { return all_[std::size_t(node_.inputs[i])]; }

  static float pool_pixel(const ir::FloatPool& pool, const ir::Shape& x, const float* plane, int oy,
                          int ox) {
    const ir::Window& w = pool.window;
    float most = -std::numeric_limits<float>::infinity();
    float sum = 0;
    for (int ky = 0; ky < w.kh; ++ky) {
      const int iy = oy * w.stride_h - w.pad_top + ky * w.dilation_h;
      if (iy < 0 || iy >= x.h) continue;
      for (int kx = 0; kx < w.kw; ++kx) {
        const int ix = ox * w.stride_w - w.pad_left + kx * w.dilation_w;
        if (ix < 0 || ix >= x.w) continue;
        const float value = plane[std::size_t(iy) * x.w + ix];
        most = std::max(most, value);
        sum += value;
      }
    }
    if (pool.kind == ir::PoolKind::kMax) return most;
    return sum / static_cast<float>(ir::pool_count(w, pool.count_include_pad, x, oy, ox));
  }

  const ir::FloatGraph& graph_;
  const ir::FloatNode& node_;
  const std::vector<Values>& all_;
  Values out_;
};

}  // namespace

std::vector<std::vector<float>> run_float(const ir::FloatGraph& graph,
                                          std::span<const float> input) {
  const ir::Shape& shape = graph.tensors[std::size_t(graph.input)].shape;
  ESP_CHECK(std::int64_t(input.size()) == shape.count());
  std::vector<Values> tensors(graph.tensors.size());
  tensors[std::size_t(graph.input)].assign(input.begin(), input.end());
  for (const ir::FloatNode& node : graph.nodes) {
    Values out = std::visit(FloatRun(graph, node, tensors), node.op);
    tensors[std::size_t(node.output)] = std::move(out);
  }
  return tensors;
}

double sqnr_db(std::span<const float> reference, std::span<const std::int8_t> quantised,
               const ir::Quant& quant) {
  SqnrMeter meter;
  meter.add(reference, quantised, quant);
  return meter.db();
}

void SqnrMeter::add(std::span<const float> reference, std::span<const std::int8_t> quantised,
                    const ir::Quant& quant) {
  ESP_CHECK(reference.size() == quantised.size());
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double value = reference[i];
    const double error = value - double{quant.scale} * (quantised[i] - quant.zero);
    signal_ += value * value;
    noise_ += error * error;
  }
}

double SqnrMeter::db() const {
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
  if (signal_ == 0) return -std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal_ / noise_);
}

}  // namespace espalier::golden
