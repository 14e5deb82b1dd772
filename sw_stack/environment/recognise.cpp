#include "environment/recognise.hpp"

#include <algorithm>
#include <cmath>

#include "base/integers.hpp"

namespace espalier::environment {
namespace {

constexpr double kLeast = 1e-3;           // of a variance or a difference, in squared or real units
constexpr double kLeastDeviation = 0.02;  // of a feature
// Features of one picture hang together: they say as much as so many that do not.
constexpr double kIndependent = 6;
constexpr double kFades = 0.88;  // of what was said before, with each picture
constexpr double kMost = 4;      // that one picture says against an environment
constexpr double kMargin = 1.5;  // of evidence, before another one is chosen

}  // namespace

Result<ir::QuantGraph> probe(const ir::QuantGraph& graph) {
  for (const ir::QuantNode& node : graph.nodes) {
    if (!std::holds_alternative<ir::QuantConv>(node.op) || node.inputs[0] != graph.input) continue;
    ir::QuantGraph out;
    out.name = graph.name + " probe";
    out.preprocess = graph.preprocess;
    out.tensors = {at(graph.tensors, graph.input), at(graph.tensors, node.output)};
    out.input = 0;
    out.output = 1;
    ir::QuantNode first = node;
    first.inputs = {0};
    first.output = 1;
    out.nodes.push_back(std::move(first));
    if (const Status s = ir::verify(out); !s) return s.error();
    return out;
  }
  return fail(ErrorCode::kUnsupported, "no convolution reads its input", graph.name);
}

std::vector<float> features(const ir::QuantTensor& tensor, std::span<const std::int8_t> output) {
  const std::size_t h = index(tensor.shape.h), w = index(tensor.shape.w), size = h * w;
  const double scale = tensor.quant.scale;
  std::vector<float> out;
  for (std::size_t c = 0; c < index(tensor.shape.c); ++c) {
    const auto x = output.subspan(c * size, size);
    std::int64_t sum = 0, squares = 0, difference = 0;
    for (std::size_t i = 0; i < size; ++i) {
      sum += x[i];
      squares += std::int64_t{x[i]} * x[i];
      if (i % w != 0) difference += std::abs(x[i] - x[i - 1]);
      if (i >= w) difference += std::abs(x[i] - x[i - w]);
    }
    const double n = static_cast<double>(size), mean = static_cast<double>(sum) / n;
    const double variance = static_cast<double>(squares) / n - mean * mean;
    const double pairs = static_cast<double>(h * (w - 1) + (h - 1) * w);
    const double neighbours = pairs > 0 ? static_cast<double>(difference) / pairs : 0;
    out.push_back(static_cast<float>(scale * (mean - tensor.quant.zero)));
    out.push_back(static_cast<float>(std::log(scale * scale * variance + kLeast)));
    out.push_back(static_cast<float>(std::log(scale * neighbours + kLeast)));
  }
  return out;
}

void LooksMeter::add(std::span<const float> features) {
  sum_.resize(features.size());
  squares_.resize(features.size());
  for (std::size_t f = 0; f < features.size(); ++f) {
    sum_[f] += features[f];
    squares_[f] += double{features[f]} * features[f];
  }
  ++count_;
}

Looks LooksMeter::looks() const {
  Looks out;
  const auto n = static_cast<double>(count_);
  for (std::size_t f = 0; f < sum_.size(); ++f) {
    const double mean = sum_[f] / n;
    out.mean.push_back(static_cast<float>(mean));
    out.deviation.push_back(
        static_cast<float>(std::sqrt(std::max(squares_[f] / n - mean * mean, 0.0))));
  }
  return out;
}

Recogniser::Recogniser(std::vector<Looks> environments)
    : environments_(std::move(environments)), evidence_(environments_.size()) {}

Recogniser::Pick Recogniser::next(std::span<const float> features) {
  std::vector<double> said;
  for (const Looks& looks : environments_) {
    ESP_CHECK(looks.mean.size() == features.size());
    double sum = 0;
    for (std::size_t f = 0; f < features.size(); ++f) {
      const double deviation = std::max(double{looks.deviation[f]}, kLeastDeviation);
      const double off = (features[f] - looks.mean[f]) / deviation;
      sum -= off * off / 2 + std::log(deviation);
    }
    said.push_back(sum * kIndependent / static_cast<double>(features.size()));
  }
  const double most = *std::ranges::max_element(said);
  for (std::size_t e = 0; e < environments_.size(); ++e)
    evidence_[e] = kFades * evidence_[e] + std::max(said[e] - most, -kMost);
  const auto best =
      static_cast<std::size_t>(std::ranges::max_element(evidence_) - evidence_.begin());
  if (seen_ == 0) {
    current_ = best;
  } else if (evidence_[best] > evidence_[current_] + kMargin) {
    current_ = best;
    ++switches_;
  }
  ++seen_;
  double all = 0;
  for (const double evidence : evidence_) all += std::exp(evidence - evidence_[best]);
  return {current_, std::exp(evidence_[current_] - evidence_[best]) / all};
}

}  // namespace espalier::environment
