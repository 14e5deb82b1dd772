#include "personal/correct.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "golden/golden.hpp"
#include "golden/layers.hpp"
#include "personal/gather.hpp"
#include "personal/spread.hpp"
#include "base/parallel.hpp"
#include "base/integers.hpp"

namespace espalier::personal {
namespace {

constexpr double kFoldRidge = 1e-3;   ///< of the mean of the live channels' moments
constexpr double kLastRidge = 0.1;    ///< of the mean squared length of the centred features
constexpr double kMostGain = 2.0;     ///< of a variance's correction, and its inverse the least
constexpr double kLayerRidge = 1e-2;  ///< of the mean of the features' variances
constexpr std::size_t kBatch = 8;
constexpr std::size_t kMostDepth = 1200;     ///< of a layer that is reconstructed
constexpr std::size_t kLeastSamples = 3000;  ///< pixels that it is reconstructed from

/// The multiplier of weights with this scale, in fp32 as other runtimes derive it: any other number
/// could not be written as a model for them.
float multiplier(double weight_scale, double x_scale, double y_scale) {
  return static_cast<float>(x_scale) * static_cast<float>(weight_scale) /
         static_cast<float>(y_scale);
}

/// Whether of every four consecutive input channels of a tap two weights are 0: then zeros stay
/// zeros, which fine CONVs leave out (docs/fine.md).
bool two_of_four(const ir::QuantConv& conv, std::size_t inputs) {
  constexpr std::size_t kFour = 4;
  constexpr std::ptrdiff_t kTwo = 2;
  if (inputs < kFour) return false;
  for (std::size_t row = 0; row < conv.weights.size(); row += inputs) {
    for (std::size_t c = 0; c < inputs; c += kFour) {
      const auto four = std::span(conv.weights).subspan(row + c, std::min(kFour, inputs - c));
      if (std::ranges::count(four, std::int8_t{0}) + kTwo < std::ssize(four)) return false;
    }
  }
  return true;
}

/// Solves for the entries of `support` alone, the others being 0. Shapes: left [n][n], right [n].
Eigen::VectorXd solve_for(const Eigen::MatrixXd& left, const Eigen::VectorXd& right,
                          const std::vector<Eigen::Index>& support) {
  Eigen::VectorXd out = Eigen::VectorXd::Zero(left.rows());
  if (support.empty()) return out;
  const Eigen::MatrixXd part = left(support, support);
  const Eigen::VectorXd wanted = right(support);
  const Eigen::VectorXd solved = part.ldlt().solve(wanted);
  out(support) = solved;
  return out;
}

/// Sets a row of int8 weights, its scale and bias from real ones.
void quantise_row(ir::QuantConv& conv, std::size_t n, std::span<const double> weights, double bias,
                  double x_scale, double y_scale) {
  double most = 0;
  for (const double w : weights) most = std::max(most, std::abs(w));
  if (most == 0) most = double{conv.scale[n]} * y_scale / x_scale * 127;
  const double scale = most / 127;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    conv.weights[n * weights.size() + k] =
        static_cast<std::int8_t>(std::nearbyint(weights[k] / scale));
  }
  conv.scale[n] = multiplier(scale, x_scale, y_scale);
  conv.bias[n] = static_cast<std::int32_t>(
      std::clamp(std::nearbyint(bias / (scale * x_scale)), -double(1 << 30), double(1 << 30)));
}

class Corrector {
 public:
  Corrector(const ir::QuantGraph& graph, const masks::Pruned& pruned, const ir::ChannelMask& mask,
            const Reference& reference, std::span<const std::int8_t> inputs, int threads)
      : dense_(graph),
        graph_(pruned.graph),
        origin_(pruned.origin),
        mask_(mask),
        reference_(reference),
        threads_(threads),
        values_(graph_.tensors.size()) {
    const auto size = static_cast<std::size_t>(tensor(graph_.input).shape.count());
    images_ = inputs.size() / size;
    values_[index(graph_.input)].assign(inputs.begin(), inputs.end());
    last_use_.assign(graph_.tensors.size(), 0);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const int input : graph_.nodes[n].inputs) last_use_[index(input)] = n;
    }
  }

  Result<ir::QuantGraph> run(std::span<const int> classes, Correction level) {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      ir::QuantNode& node = graph_.nodes[n];
      auto* conv = std::get_if<ir::QuantConv>(&node.op);
      if (conv != nullptr) keep(node, *conv);
      if (conv != nullptr) fold(node, *conv);
      if (conv != nullptr) ir::settle_reads(*conv);
      if (level != Correction::kAll) continue;
      if (conv != nullptr && node.output == graph_.output && refits(node)) {
        refit(node, *conv, classes);
      } else if (conv != nullptr) {
        reconstruct(node, *conv);
        match(node, *conv);
      }
      if (conv != nullptr) ir::settle_reads(*conv);
      execute(node);
      for (const int input : node.inputs) {
        if (last_use_[index(input)] == n) golden::Tensor().swap(values_[index(input)]);
      }
    }
    if (Status status = ir::verify(graph_); !status) return status.error();
    return std::move(graph_);
  }

 private:
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const { return graph_.tensors[index(id)]; }
  /// The dense graph's node that makes the same tensor.
  [[nodiscard]] std::size_t dense_node(const ir::QuantNode& node) const {
    const int output = origin_[index(node.output)];
    const auto at = std::ranges::find(dense_.nodes, output, &ir::QuantNode::output);
    ESP_CHECK(at != dense_.nodes.end());
    return static_cast<std::size_t>(at - dense_.nodes.begin());
  }
  [[nodiscard]] std::vector<std::size_t> channels(int dense_tensor, bool live) const {
    std::vector<std::size_t> list;
    const std::vector<bool>& bits = mask_[index(dense_tensor)];
    for (std::size_t c = 0; c < bits.size(); ++c) {
      if (bits[c] == live) list.push_back(c);
    }
    return list;
  }

  /// Which weights may change: all, or of a layer of two of four those that are not 0.
  void keep(const ir::QuantNode& node, const ir::QuantConv& conv) {
    const ir::QuantNode& dense = dense_.nodes[dense_node(node)];
    kept_.clear();
    if (!two_of_four(std::get<ir::QuantConv>(dense.op),
                     index(dense_.tensors[index(dense.inputs[0])].shape.c)))
      return;
    for (const std::int8_t w : conv.weights) kept_.push_back(w != 0);
  }
  /// Those of `count` weights from one on that may change, as indices from there.
  [[nodiscard]] std::vector<Eigen::Index> support(std::size_t first, std::size_t count) const {
    std::vector<Eigen::Index> list;
    for (std::size_t k = 0; k < count; ++k)
      if (kept_.empty() || kept_[first + k]) list.push_back(static_cast<Eigen::Index>(k));
    return list;
  }

  /// Removed input channels as sums of those that stay and a constant.
  /// Shapes: result [live + 1][dead].
  struct Regression {
    Eigen::MatrixXd left, right;
  };
  [[nodiscard]] Regression regression(int dense_tensor, const std::vector<std::size_t>& live,
                                      const std::vector<std::size_t>& dead) const {
    const std::size_t size = mask_[index(dense_tensor)].size() + 1;
    const std::vector<double>& moments = reference_.moments[index(dense_tensor)];
    std::vector<std::size_t> known = live;
    known.push_back(size - 1);
    const auto rows = static_cast<Eigen::Index>(known.size());
    Eigen::MatrixXd left(rows, rows);
    Eigen::MatrixXd right(rows, static_cast<Eigen::Index>(dead.size()));
    for (Eigen::Index r = 0; r < rows; ++r) {
      const double* const row = moments.data() + known[static_cast<std::size_t>(r)] * size;
      for (Eigen::Index c = 0; c < rows; ++c) left(r, c) = row[known[static_cast<std::size_t>(c)]];
      for (Eigen::Index c = 0; c < right.cols(); ++c)
        right(r, c) = row[dead[static_cast<std::size_t>(c)]];
    }
    const double mean = left.diagonal().head(rows - 1).mean();
    left.diagonal().head(rows - 1).array() += std::max(kFoldRidge * mean, 1e-6);
    left(rows - 1, rows - 1) += 1e-6;
    return {std::move(left), std::move(right)};
  }

  void fold(const ir::QuantNode& node, ir::QuantConv& conv) {
    const ir::QuantNode& dense = dense_.nodes[dense_node(node)];
    const auto& full = std::get<ir::QuantConv>(dense.op);
    const std::vector<std::size_t> live = channels(dense.inputs[0], true);
    const std::vector<std::size_t> dead = channels(dense.inputs[0], false);
    const std::vector<std::size_t> outputs = channels(dense.output, true);
    if (dead.empty()) return;
    const Regression moments = regression(dense.inputs[0], live, dead);
    Eigen::MatrixXd weights;
    if (kept_.empty()) weights = moments.left.ldlt().solve(moments.right);
    const std::size_t all = live.size() + dead.size();
    const std::size_t taps = index(conv.window.kh) * index(conv.window.kw);
    const double x_scale = tensor(node.inputs[0]).quant.scale;
    const double y_scale = tensor(node.output).quant.scale;
    for (std::size_t n = 0; n < outputs.size(); ++n) {
      const double unit = full.scale[outputs[n]] * y_scale / x_scale;  // of a weight
      std::vector<double> row(taps * live.size());
      double bias = full.bias[outputs[n]] * unit * x_scale;
      for (std::size_t t = 0; t < taps; ++t) {
        const std::int8_t* const from = full.weights.data() + (outputs[n] * taps + t) * all;
        for (std::size_t k = 0; k < live.size(); ++k) row[t * live.size() + k] = from[live[k]];
        if (!kept_.empty()) {  // what goes, on those that stay of this row and tap
          Eigen::VectorXd gone(static_cast<Eigen::Index>(dead.size()));
          for (std::size_t d = 0; d < dead.size(); ++d)
            gone(static_cast<Eigen::Index>(d)) = from[dead[d]];
          if (gone.isZero()) continue;
          auto known = support((n * taps + t) * live.size(), live.size());
          known.push_back(static_cast<Eigen::Index>(live.size()));
          const Eigen::VectorXd on = solve_for(moments.left, moments.right * gone, known);
          for (std::size_t k = 0; k < live.size(); ++k)
            row[t * live.size() + k] += on(static_cast<Eigen::Index>(k));
          bias += unit * x_scale * on(on.size() - 1);
          continue;
        }
        for (std::size_t d = 0; d < dead.size(); ++d) {
          const double w = from[dead[d]];
          if (w == 0) continue;
          const auto column = static_cast<Eigen::Index>(d);
          for (std::size_t k = 0; k < live.size(); ++k)
            row[t * live.size() + k] += w * weights(static_cast<Eigen::Index>(k), column);
          bias += w * unit * x_scale * weights(weights.rows() - 1, column);
        }
      }
      for (double& w : row) w *= unit;
      quantise_row(conv, n, row, bias, x_scale, y_scale);
    }
  }

  /// Gives the sums of every channel the generic model's mean and variance.
  void match(const ir::QuantNode& node, ir::QuantConv& conv) {
    const std::size_t at = dense_node(node);
    const std::vector<std::size_t> outputs = channels(dense_.nodes[at].output, true);
    SpreadMeter meter(graph_, node, images_);
    const auto size = static_cast<std::size_t>(tensor(node.inputs[0]).shape.count());
    for_each((images_ + kBatch - 1) / kBatch, threads_, [&](std::size_t b) {
      meter.add(b * kBatch, values_[index(node.inputs[0])].data() + b * kBatch * size,
                std::min(kBatch, images_ - b * kBatch));
    });
    const Spread now = meter.spread();
    const Spread& wanted = reference_.spread[at];
    const double x_scale = tensor(node.inputs[0]).quant.scale;
    const double y_scale = tensor(node.output).quant.scale;
    for (std::size_t n = 0; n < outputs.size(); ++n) {
      const double ratio =
          now.variance[n] > 0 ? std::sqrt(wanted.variance[outputs[n]] / now.variance[n]) : 1.0;
      const double gain = std::clamp(ratio, 1 / kMostGain, kMostGain);
      // gain (s + d) has the wanted mean where d = wanted / gain - now.
      const double shift = wanted.mean[outputs[n]] / gain - now.mean[n];
      const double bias = std::nearbyint(shift / (conv.scale[n] * y_scale)) + conv.bias[n];
      conv.bias[n] = static_cast<std::int32_t>(std::clamp(bias, -double(1 << 30), double(1 << 30)));
      conv.scale[n] = multiplier(conv.scale[n] * gain * y_scale / x_scale, x_scale, y_scale);
    }
  }

  /// Ridge regression of the generic model's sums at the same pixels from the pruned network's own
  /// activations, from the weights that are there.
  void reconstruct(const ir::QuantNode& node, ir::QuantConv& conv) {
    const ir::QuantTensor& x = tensor(node.inputs[0]);
    const ir::QuantTensor& y = tensor(node.output);
    const std::size_t depth = conv.weights.size() / conv.bias.size();
    if (depth > kMostDepth) return;
    const std::size_t at = dense_node(node);
    const std::vector<std::size_t> outputs = channels(dense_.nodes[at].output, true);
    const std::size_t pixels = index(y.shape.h) * index(y.shape.w);
    const std::size_t images = reference_.tensors.size();
    const std::size_t each_image =
        std::clamp<std::size_t>(std::max(kLeastSamples, 8 * depth) / images + 1, 1, pixels);
    const auto rows = static_cast<Eigen::Index>(images * each_image);
    Matrix features(rows, static_cast<Eigen::Index>(depth));
    Matrix wanted(rows, static_cast<Eigen::Index>(outputs.size()));
    const auto x_size = static_cast<std::size_t>(x.shape.count());
    const ir::QuantNode& full_node = dense_.nodes[at];
    const auto& full = std::get<ir::QuantConv>(full_node.op);
    const ir::QuantTensor& full_x = dense_.tensors[index(full_node.inputs[0])];
    const ir::QuantTensor& full_y = dense_.tensors[index(full_node.output)];
    const Sums sums(full, outputs);
    for_each(images, threads_, [&](std::size_t i) {
      // Spread over the image; another place for every image.
      std::vector<std::size_t> places;
      for (std::size_t s = 0; s < each_image; ++s)
        places.push_back((s * pixels / each_image + i * 7919) % pixels);
      const auto first = static_cast<Eigen::Index>(i * each_image);
      const auto count = static_cast<Eigen::Index>(each_image);
      features.middleRows(first, count) =
          gather(x, conv, y.shape.w, values_[index(node.inputs[0])].data() + i * x_size, places);
      const Matrix full_features =
          gather(full_x, full, full_y.shape.w,
                 reference_.tensors[i][index(full_node.inputs[0])].data(), places);
      const Eigen::MatrixXd acc = sums.of(full_features);
      for (std::size_t n = 0; n < outputs.size(); ++n) {
        const double unit = double{full.scale[outputs[n]]} * full_y.quant.scale;
        const auto column = static_cast<Eigen::Index>(n);
        for (Eigen::Index s = 0; s < count; ++s)
          wanted(first + s, column) = static_cast<float>(unit * acc(s, column));
      }
    });
    const auto columns = static_cast<Eigen::Index>(depth);
    Matrix weights(columns, static_cast<Eigen::Index>(outputs.size()));  // real sum of 1
    for (std::size_t n = 0; n < outputs.size(); ++n) {
      const double unit = double{conv.scale[n]} * y.quant.scale;
      for (std::size_t k = 0; k < depth; ++k) {
        weights(static_cast<Eigen::Index>(k), static_cast<Eigen::Index>(n)) =
            static_cast<float>(unit * conv.weights[n * depth + k]);
      }
    }
    const Eigen::RowVectorXf mean = features.colwise().mean();
    features.rowwise() -= mean;
    const Eigen::RowVectorXf wanted_mean = wanted.colwise().mean();
    wanted.rowwise() -= wanted_mean;
    wanted.noalias() -= features * weights;
    Eigen::MatrixXd gram = (features.transpose() * features).eval().cast<double>();
    gram.diagonal().array() += std::max(kLayerRidge * gram.diagonal().mean(), 1e-6);
    const Eigen::MatrixXd right = (features.transpose() * wanted).eval().cast<double>();
    Eigen::MatrixXd change;
    if (kept_.empty()) {
      change = gram.ldlt().solve(right);
    } else {
      change.resizeLike(right);
      for_each(outputs.size(), threads_, [&](std::size_t n) {
        const auto column = static_cast<Eigen::Index>(n);
        change.col(column) = solve_for(gram, right.col(column), support(n * depth, depth));
      });
    }
    for (std::size_t n = 0; n < outputs.size(); ++n) {
      const auto column = static_cast<Eigen::Index>(n);
      std::vector<double> row(depth);
      double bias = wanted_mean(column);
      for (std::size_t k = 0; k < depth; ++k) {
        const auto r = static_cast<Eigen::Index>(k);
        row[k] = weights(r, column) + change(r, column);
        bias -= row[k] * mean(r);
        row[k] /= x.quant.scale;
      }
      quantise_row(conv, n, row, bias, x.quant.scale, y.quant.scale);
    }
  }

  /// The last layer sees its whole input at once: its outputs are sums of features.
  [[nodiscard]] bool refits(const ir::QuantNode& node) const {
    const ir::Window& w = std::get<ir::QuantConv>(node.op).window;
    const ir::Shape& x = tensor(node.inputs[0]).shape;
    const ir::Shape& y = tensor(node.output).shape;
    return y.h == 1 && y.w == 1 && w.kh == x.h && w.kw == x.w && w.pad_top == 0 && w.pad_left == 0;
  }

  /// Ridge regression of the generic model's logits of the user's classes, from the weights that
  /// are there.
  void refit(const ir::QuantNode& node, ir::QuantConv& conv, std::span<const int> classes) {
    const ir::QuantTensor& x = tensor(node.inputs[0]);
    const auto count = static_cast<std::size_t>(x.shape.count());
    const std::size_t taps = index(x.shape.h) * index(x.shape.w), lanes = index(x.shape.c);
    const double y_scale = tensor(node.output).quant.scale;
    const auto rows = static_cast<Eigen::Index>(images_);
    Eigen::MatrixXd features(rows, static_cast<Eigen::Index>(count));
    for (std::size_t i = 0; i < images_; ++i) {
      const std::int8_t* const from = values_[index(node.inputs[0])].data() + i * count;
      for (std::size_t t = 0; t < taps; ++t) {
        for (std::size_t c = 0; c < lanes; ++c) {
          features(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(t * lanes + c)) =
              double{x.quant.scale} * (from[c * taps + t] - x.quant.zero);
        }
      }
    }
    const Eigen::RowVectorXd mean = features.colwise().mean();
    const Eigen::MatrixXd centred = features.rowwise() - mean;
    const auto solver_of = [](const Eigen::MatrixXd& some) {
      Eigen::MatrixXd gram = some * some.transpose();
      gram.diagonal().array() += std::max(kLastRidge * gram.diagonal().mean(), 1e-9);
      return Eigen::LDLT<Eigen::MatrixXd>(gram);
    };
    Eigen::LDLT<Eigen::MatrixXd> solver;
    if (kept_.empty()) solver = solver_of(centred);
    for (const int c : classes) {
      const std::size_t n = index(c);
      Eigen::VectorXd weights(static_cast<Eigen::Index>(count));
      const double unit = conv.scale[n] * y_scale / x.quant.scale;
      for (std::size_t k = 0; k < count; ++k)
        weights(static_cast<Eigen::Index>(k)) = conv.weights[n * count + k] * unit;
      Eigen::VectorXd rest(rows);
      for (Eigen::Index i = 0; i < rows; ++i)
        rest(i) = reference_.logits[static_cast<std::size_t>(i)][n];
      rest -= features * weights;
      const double bias = rest.mean();
      const Eigen::VectorXd centred_rest = rest.array() - bias;
      Eigen::VectorXd change = Eigen::VectorXd::Zero(weights.size());
      if (kept_.empty()) {
        change = centred.transpose() * solver.solve(centred_rest);
      } else {
        const auto own = support(n * count, count);
        const Eigen::MatrixXd part = centred(Eigen::all, own);
        const Eigen::VectorXd dual = solver_of(part).solve(centred_rest);
        const Eigen::VectorXd solved = part.transpose() * dual;
        change(own) = solved;
      }
      weights += change;
      const std::vector<double> row(weights.data(), weights.data() + weights.size());
      quantise_row(conv, n, row, bias - (mean * change).value(), x.quant.scale, y_scale);
    }
  }

  /// The node's output for all images.
  void execute(const ir::QuantNode& node) {
    const auto side = [this](int id) { return golden::Side{tensor(id).shape, tensor(id).quant}; };
    const auto y_size = static_cast<std::size_t>(tensor(node.output).shape.count());
    golden::Tensor& out = values_[index(node.output)];
    out.resize(images_ * y_size);
    if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      const golden::PreparedConv prepared(*conv, side(node.inputs[0]), side(node.output));
      const auto x_size = static_cast<std::size_t>(tensor(node.inputs[0]).shape.count());
      for_each((images_ + kBatch - 1) / kBatch, threads_, [&](std::size_t b) {
        prepared.run(values_[index(node.inputs[0])].data() + b * kBatch * x_size,
                     static_cast<int>(std::min(kBatch, images_ - b * kBatch)),
                     out.data() + b * kBatch * y_size);
      });
      return;
    }
    for_each(images_, threads_, [&](std::size_t i) {
      std::vector<golden::Tensor> parts;
      for (const int input : node.inputs) {
        const auto size = static_cast<std::size_t>(tensor(input).shape.count());
        const std::int8_t* const from = values_[index(input)].data() + i * size;
        parts.emplace_back(from, from + size);
      }
      const golden::Tensor y = golden::run_node(graph_, node, parts);
      std::ranges::copy(y, out.begin() + static_cast<std::ptrdiff_t>(i * y_size));
    });
  }

  const ir::QuantGraph& dense_;
  ir::QuantGraph graph_;
  const std::vector<int>& origin_;
  const ir::ChannelMask& mask_;
  const Reference& reference_;
  int threads_;
  std::size_t images_ = 0;
  std::vector<bool> kept_;              // of the convolution at hand; empty: all
  std::vector<golden::Tensor> values_;  // by tensor: of all images, where still to be read
  std::vector<std::size_t> last_use_;
};

}  // namespace

ir::QuantGraph keep_outputs(ir::QuantGraph graph, std::span<const int> classes) {
  for (ir::QuantNode& node : graph.nodes) {
    auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr || node.output != graph.output) continue;
    ir::QuantConv kept = *conv;
    const auto depth = static_cast<std::ptrdiff_t>(conv->weights.size() / conv->bias.size());
    kept.weights.clear();
    kept.bias.clear();
    kept.scale.clear();
    kept.reads.clear();
    for (const int c : classes) {
      const auto row = conv->weights.begin() + c * depth;
      kept.weights.insert(kept.weights.end(), row, row + depth);
      kept.bias.push_back(conv->bias[index(c)]);
      kept.scale.push_back(conv->scale[index(c)]);
      if (!conv->reads.empty()) kept.reads.push_back(conv->reads[index(c)]);
    }
    kept.out_channels = static_cast<int>(classes.size());
    *conv = std::move(kept);
    graph.tensors[index(graph.output)].shape.c = static_cast<int>(classes.size());
  }
  return graph;
}

Result<ir::QuantGraph> correct(const ir::QuantGraph& graph, const masks::Pruned& pruned,
                               const ir::ChannelMask& mask, const Reference& reference,
                               std::span<const std::int8_t> inputs, std::span<const int> classes,
                               Correction level, int threads) {
  if (level == Correction::kNone) return pruned.graph;
  return Corrector(graph, pruned, mask, reference, inputs, threads).run(classes, level);
}

}  // namespace espalier::personal
