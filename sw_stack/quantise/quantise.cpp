#include "quantise/quantise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "golden/float_reference.hpp"
#include "ir/numerics.hpp"
#include "quantise/histogram.hpp"
#include "quantise/layers.hpp"
#include "quantise/plan.hpp"

namespace espalier::quantise {
namespace {

/// The most channels of a clamp that becomes a convolution of its own.
constexpr int kMaxRescaled = 4096;

std::string place_of(const ir::FloatNode& node) { return "node '" + node.name + "'"; }

/// What calibration learns of every tensor.
struct Statistics {
  std::vector<Histogram> values;           ///< of each tensor
  std::vector<std::vector<double>> means;  ///< of each channel of each tensor
};

class Quantiser {
 public:
  Quantiser(const ir::FloatGraph& graph, const Options& options)
      : graph_(graph), options_(options), plan_(make_plan(graph)) {}

  Result<ir::QuantGraph> run(const Calibration& calibration);

 private:
  [[nodiscard]] Status check(const Calibration& calibration) const;
  [[nodiscard]] Status check_layers() const;
  Status calibrate(const Calibration& calibration);
  Status calibrate_borders();
  void choose_scales();
  void widen_sums();
  void shorten_sums();
  Result<ir::QuantGraph> build() const;
  [[nodiscard]] ir::QuantOp quantised(const Step& step) const;
  [[nodiscard]] ir::QuantOp bounded(const Step& step) const;
  [[nodiscard]] Range range_of(const Histogram& values, bool whole) const;
  [[nodiscard]] const ir::Quant& quant(int tensor) const { return scales_[plan_.group[tensor]]; }

  const ir::FloatGraph& graph_;
  const Options& options_;
  Plan plan_;
  Statistics statistics_;
  std::vector<ir::Quant> scales_;  ///< by group
};

Status Quantiser::check(const Calibration& calibration) const {
  if (calibration.count == 0 || !calibration.image) {
    return fail(ErrorCode::kUsage, "calibration needs one image at least");
  }
  if (!(options_.percentile > 50 && options_.percentile <= 100)) {
    return fail(ErrorCode::kUsage, fmt::format("percentile is {}; it must be above 50 and at most "
                                               "100",
                                               options_.percentile));
  }
  return ir::verify(graph_);
}

Status Quantiser::check_layers() const {
  for (const Step& step : plan_.steps) {
    if (const auto* conv = std::get_if<ir::FloatConv>(&step.node->op)) {
      const std::int64_t depth = conv_depth(*conv);
      if (bias_limit(depth) >= 2) continue;
      return fail(ErrorCode::kRange,
                  fmt::format("sums {} products, which could reach {}; the accumulator holds less "
                              "than {}",
                              depth, depth * 32640, std::int64_t{1} << 31),
                  place_of(*step.node));
    }
    const int channels = graph_.tensors[step.output].shape.c;
    if (std::holds_alternative<ir::FloatClamp>(step.node->op) && channels > kMaxRescaled) {
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("clamps {} channels on its own; the limit is {}", channels, kMaxRescaled),
          place_of(*step.node));
    }
  }
  return {};
}

Status Quantiser::calibrate(const Calibration& calibration) {
  const std::size_t tensors = graph_.tensors.size();
  statistics_.values.resize(tensors);
  statistics_.means.resize(tensors);
  const auto wanted = static_cast<std::size_t>(graph_.tensors[graph_.input].shape.count());
  for (std::size_t i = 0; i < calibration.count; ++i) {
    const auto image = calibration.image(i);
    if (!image) return image.error();
    const std::string place = fmt::format("calibration image {}", i);
    if (image->size() != wanted) {
      return fail(ErrorCode::kShape,
                  fmt::format("has {} values; the network takes {}", image->size(), wanted), place);
    }
    const auto all = golden::run_float(graph_, *image);
    for (std::size_t t = 0; t < tensors; ++t) {
      if (!plan_.used[t]) continue;
      if (!statistics_.values[t].add(all[t])) {
        return fail(
            ErrorCode::kRange,
            fmt::format("makes tensor '{}' leave the range of numbers", graph_.tensors[t].name),
            place);
      }
      const ir::Shape& shape = graph_.tensors[t].shape;
      const std::size_t plane = all[t].size() / static_cast<std::size_t>(shape.c);
      statistics_.means[t].resize(static_cast<std::size_t>(shape.c), 0.0);
      for (std::size_t c = 0; c < statistics_.means[t].size(); ++c) {
        float sum = 0;
        for (std::size_t p = 0; p < plane; ++p) sum += all[t][c * plane + p];
        statistics_.means[t][c] +=
            static_cast<double>(sum) / static_cast<double>(plane * calibration.count);
      }
    }
    if (options_.progress) options_.progress(i + 1, calibration.count);
  }
  return calibrate_borders();
}

/// What padding holds is in range as pixels are.
Status Quantiser::calibrate_borders() {
  for (const Step& step : plan_.steps) {
    const auto* conv = std::get_if<ir::FloatConv>(&step.node->op);
    if (conv == nullptr || conv->border.empty()) continue;
    if (!statistics_.values[step.node->inputs[0]].add(conv->border)) {
      return fail(ErrorCode::kRange, "padding leaves the range of numbers", place_of(*step.node));
    }
  }
  return {};
}

Range Quantiser::range_of(const Histogram& values, bool whole) const {
  if (whole || options_.method == RangeMethod::kMinMax) return values.extremes();
  if (options_.method == RangeMethod::kMse) return values.least_error();
  return values.percentile(options_.percentile);
}

void Quantiser::choose_scales() {
  const std::size_t tensors = graph_.tensors.size();
  std::vector<Histogram> merged(tensors);
  std::vector<bool> whole(tensors, false);
  for (std::size_t t = 0; t < tensors; ++t) {
    if (plan_.used[t]) merged[plan_.group[t]].merge(statistics_.values[t]);
  }
  whole[plan_.group[graph_.input]] = true;
  whole[plan_.group[plan_.output]] = true;
  scales_.resize(tensors);
  for (std::size_t t = 0; t < tensors; ++t) {
    if (merged[t].total() != 0) scales_[t] = quant_of(range_of(merged[t], whole[t]));
  }
  widen_sums();
  shorten_sums();
}

/// A sum may not be scaled up by 512 or more: its own scale grows where it would be.
void Quantiser::widen_sums() {
  constexpr float kMostRatio = 500.0F;
  bool changed = true;
  for (int round = 0; changed && round < 64; ++round) {
    changed = false;
    for (const Step& step : plan_.steps) {
      if (!std::holds_alternative<ir::FloatAdd>(step.node->op)) continue;
      const float greater =
          std::max(quant(step.node->inputs[0]).scale, quant(step.node->inputs[1]).scale);
      ir::Quant& y = scales_[plan_.group[step.output]];
      if (greater <= y.scale * kMostRatio) continue;
      y.scale = greater / kMostRatio;
      changed = true;
    }
  }
}

namespace {

/// A scale not below `wanted`, by two thousandths at most above it, whose fp32 ratio to `fixed` is
/// a multiple of 2^-14; `wanted` itself where there is none.
float short_ratio(float fixed, float wanted, bool over_fixed) {
  constexpr float kUnit = 1 << 14;
  const auto ratio = [&](float s) { return over_fixed ? s / fixed : fixed / s; };
  const float start =
      over_fixed ? std::ceil(ratio(wanted) * kUnit) : std::floor(ratio(wanted) * kUnit);
  if (!(start >= 1000 && start < 256 * kUnit)) return wanted;
  for (int i = 0; static_cast<float>(i) <= start / 1000; ++i) {
    const float q = (start + static_cast<float>(over_fixed ? i : -i)) / kUnit;
    float s = over_fixed ? fixed * q : fixed / q;
    for (int k = 0; k < 2; ++k) s = std::nextafter(s, 0.0F);
    for (int k = 0; k < 5; ++k) {
      if (ratio(s) == q) return s;
      s = std::nextafter(s, std::numeric_limits<float>::infinity());
    }
  }
  return wanted;
}

}  // namespace

/// Runtimes that add in fp32 then add exactly, as the accelerator does: the ratios of a sum's
/// scales become short. Each scale moves once, by two thousandths at most.
void Quantiser::shorten_sums() {
  std::vector<bool> fixed(scales_.size(), false);
  for (const Step& step : plan_.steps) {
    if (!std::holds_alternative<ir::FloatAdd>(step.node->op)) continue;
    const int y = plan_.group[step.output];
    const int sides[2] = {plan_.group[step.node->inputs[0]], plan_.group[step.node->inputs[1]]};
    for (const int x : sides) {
      if (!fixed[x] || fixed[y]) continue;
      scales_[y].scale = short_ratio(scales_[x].scale, scales_[y].scale, false);
      fixed[y] = true;
    }
    fixed[y] = true;
    for (const int x : sides) {
      if (!fixed[x]) scales_[x].scale = short_ratio(scales_[y].scale, scales_[x].scale, true);
      fixed[x] = true;
    }
  }
}

ir::QuantOp Quantiser::quantised(const Step& step) const {
  const int from = step.node->inputs[0];
  const ir::Quant& x = quant(from);
  const ir::Quant& y = quant(step.output);
  if (const auto* conv = std::get_if<ir::FloatConv>(&step.node->op)) {
    const std::vector<double> none;
    return quantise_conv(*conv, x, y, options_.bias_correction ? statistics_.means[from] : none);
  }
  if (const auto* pool = std::get_if<ir::FloatPool>(&step.node->op)) {
    ir::QuantPool result;
    result.kind = pool->kind;
    result.window = pool->window;
    result.count_include_pad = pool->count_include_pad;
    return result;
  }
  if (std::holds_alternative<ir::FloatAdd>(step.node->op)) {
    const double sy = y.scale;
    const auto m = ir::add_multipliers(static_cast<double>(x.scale) / sy,
                                       static_cast<double>(quant(step.node->inputs[1]).scale) / sy);
    ESP_CHECK(m.has_value());  // widen_sums saw to it
    return ir::QuantAdd{m->ma, m->mb, m->shift};
  }
  if (std::holds_alternative<ir::FloatConcat>(step.node->op)) return ir::QuantConcat{};
  ESP_CHECK(std::holds_alternative<ir::FloatClamp>(step.node->op));
  return rescale_conv(graph_.tensors[from].shape.c, x, y);
}

ir::QuantOp Quantiser::bounded(const Step& step) const {
  ir::QuantOp op = quantised(step);
  const Clamp clamp = quantised_clamp(step, quant(step.output));
  std::visit(
      [&](auto& o) {
        if constexpr (requires { o.lo; }) {
          o.lo = clamp.lo;
          o.hi = clamp.hi;
        }
      },
      op);
  return op;
}

Result<ir::QuantGraph> Quantiser::build() const {
  ir::QuantGraph result;
  result.name = graph_.name;
  result.preprocess = options_.preprocess;
  result.softmax = plan_.softmax;
  result.host_ops = graph_.host_ops;
  std::vector<int> id(graph_.tensors.size(), -1);
  for (std::size_t t = 0; t < graph_.tensors.size(); ++t) {
    if (!plan_.used[t]) continue;
    id[t] = static_cast<int>(result.tensors.size());
    const ir::FloatTensor& tensor = graph_.tensors[t];
    result.tensors.push_back({tensor.name, tensor.shape, quant(static_cast<int>(t))});
  }
  for (const Step& step : plan_.steps) {
    ir::QuantNode node{step.node->name, {}, id[step.output], bounded(step)};
    for (const int input : step.node->inputs) node.inputs.push_back(id[input]);
    result.nodes.push_back(std::move(node));
  }
  result.input = id[graph_.input];
  result.output = id[plan_.output];
  if (const Status status = ir::verify(result); !status) return status.error();
  return result;
}

Result<ir::QuantGraph> Quantiser::run(const Calibration& calibration) {
  if (const Status status = check(calibration); !status) return status.error();
  if (const Status status = check_layers(); !status) return status.error();
  if (const Status status = calibrate(calibration); !status) return status.error();
  choose_scales();
  return build();
}

}  // namespace

Result<ir::QuantGraph> quantise(const ir::FloatGraph& graph, const Calibration& calibration,
                                const Options& options) {
  if (const Status status = ir::verify(graph); !status) return status.error();
  return Quantiser(graph, options).run(calibration);
}

}  // namespace espalier::quantise
