#include "golden/backward.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "golden/backward_layers.hpp"
#include "golden/numerics.hpp"
#include "quantise/add_multipliers.hpp"
#include "support/result.hpp"

namespace espalier::golden {
namespace {

constexpr int kMost = 127;  // gradients are symmetric

std::size_t index(int id) { return static_cast<std::size_t>(id); }

/// A multiplier that the requantiser takes: normal and finite.
float multiplier(double value) {
  return static_cast<float>(std::clamp(value, double{std::numeric_limits<float>::min()}, 1e30));
}

/// What one reader of a tensor adds to its gradient.
struct Part {
  std::vector<std::int32_t> acc;  ///< sums of products; empty for an int8 gradient passed on
  Tensor values;                  ///< of the latter
  int slot = -1;                  ///< of the latter
  double unit = 1;                ///< real value of 1
};

/// What is known of a tensor before any image.
struct TensorPlan {
  bool needed = false;
  std::vector<int> part_slots;  ///< of each part, in order; -1: passed on as it is
  std::vector<int> sum_slots;   ///< of the running sum from the second part on
  int fold_slot = -1;           ///< of the folded copy of a sum
  bool folded = false;          ///< the gradient itself is folded: it has one part
  int slot = -1;                ///< of the gradient whose products are summed
  std::vector<float> fold;      ///< where the producer is a convolution that goes on
};

}  // namespace

struct Backward::Impl {
  const ir::QuantGraph* graph;
  std::vector<bool> scored;
  std::vector<TensorPlan> plan;  ///< by tensor
  std::vector<const ir::QuantNode*> producer;
  std::vector<TransposedConv> convs;  ///< by node; empty ones for others
  bool output_folded = false;
  int slots = 1;  ///< slot 0 is the output's gradient

  Impl(const ir::QuantGraph& g, std::vector<bool> s) : graph(&g), scored(std::move(s)) {
    ESP_CHECK(scored.size() == g.tensors.size());
    plan.resize(g.tensors.size());
    producer.resize(g.tensors.size(), nullptr);
    for (std::size_t t = 0; t < plan.size(); ++t) plan[t].needed = scored[t];
    for (const ir::QuantNode& node : g.nodes) {
      producer[index(node.output)] = &node;
      if (reaches(node)) plan[index(node.output)].needed = true;
      const auto* conv = std::get_if<ir::QuantConv>(&node.op);
      if (conv == nullptr || !reaches(node)) {
        convs.emplace_back();
        continue;
      }
      convs.emplace_back(*conv, shape(node.inputs[0]), shape(node.output));
      const float most = *std::ranges::max_element(conv->scale);
      for (const float scale : conv->scale) plan[index(node.output)].fold.push_back(scale / most);
    }
    number_slots();
  }

  [[nodiscard]] const ir::Shape& shape(int id) const { return graph->tensors[index(id)].shape; }
  /// A gradient of one of the node's inputs is needed.
  [[nodiscard]] bool reaches(const ir::QuantNode& node) const {
    return std::ranges::any_of(node.inputs, [this](int t) { return plan[index(t)].needed; });
  }
  /// Passes its output's gradient on as it is.
  static bool passes(const ir::QuantNode& node) {
    return std::holds_alternative<ir::QuantAdd>(node.op) ||
           std::holds_alternative<ir::QuantConcat>(node.op);
  }

  void number_slots() {
    std::vector<std::vector<bool>> parts(plan.size());  // by tensor: each part is passed on
    std::vector<int> passed_slot(plan.size(), -1);      // by tensor: of its last part
    parts[index(graph->output)].push_back(true);
    for (std::size_t n = graph->nodes.size(); n-- > 0;) {
      const ir::QuantNode& node = graph->nodes[n];
      TensorPlan& p = plan[index(node.output)];
      const std::vector<bool>& list = parts[index(node.output)];
      if (!p.needed || list.empty()) continue;
      const bool alone = list.size() == 1;
      output_folded = output_folded || (node.output == graph->output && alone && !p.fold.empty());
      p.folded = alone && !p.fold.empty();
      for (std::size_t i = 0; i < list.size(); ++i) {
        const bool kept = list[i] && (!p.folded || node.output == graph->output);
        p.part_slots.push_back(kept ? -1 : slots++);
        if (i > 0) p.sum_slots.push_back(slots++);
      }
      if (!alone && !p.fold.empty()) p.fold_slot = slots++;
      if (!p.sum_slots.empty()) {
        p.slot = p.sum_slots.back();
      } else if (p.part_slots[0] >= 0) {
        p.slot = p.part_slots[0];
      } else {
        p.slot = node.output == graph->output ? 0 : passed_slot[index(node.output)];
      }
      const int handed = p.fold_slot >= 0 ? p.fold_slot : p.slot;
      for (const int input : node.inputs) {
        if (!plan[index(input)].needed) continue;
        parts[index(input)].push_back(passes(node));
        passed_slot[index(input)] = handed;
      }
    }
  }
};

namespace {

/// One pass over one image.
class Pass {
 public:
  Pass(const ir::QuantGraph& graph, const std::vector<TensorPlan>& plan,
       const std::vector<TransposedConv>& convs, std::span<const Tensor> tensors,
       std::span<const float> scales, bool keep, std::size_t slots)
      : graph_(graph),
        plan_(plan),
        convs_(convs),
        tensors_(tensors),
        given_(scales),
        keep_(keep),
        parts_(graph.tensors.size()) {
    out_.scales.assign(slots, 1.0F);
    std::ranges::copy(scales, out_.scales.begin());
    out_.scales[0] = 1.0F;
    out_.maxima.assign(slots, 0);
    out_.sums.resize(graph.tensors.size());
    if (keep) out_.gradients.resize(slots);
  }

  BackwardPass run(const Tensor& output_gradient, const std::vector<bool>& scored) {
    for (const std::int8_t v : output_gradient)
      out_.maxima[0] = std::max<std::int32_t>(out_.maxima[0], std::abs(int{v}));
    if (keep_) out_.gradients[0] = output_gradient;
    parts_[index(graph_.output)].push_back({{}, output_gradient, 0, 1.0});
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const ir::QuantNode& node = graph_.nodes[n];
      const TensorPlan& p = plan_[index(node.output)];
      std::vector<Part>& parts = parts_[index(node.output)];
      if (!p.needed || parts.empty()) continue;
      int slot = -1;
      Tensor gradient = combine(node.output, p, parts, slot);
      std::vector<Part>().swap(parts);
      if (scored[index(node.output)]) score(node.output, gradient);
      if (node.output != graph_.output) mask(node, gradient);
      if (p.fold_slot >= 0) {
        const Part whole{{}, std::move(gradient), slot, out_.scales[index(slot)]};
        slot = p.fold_slot;
        gradient = quantise(whole, node.output, p.fold, slot);
      }
      hand_down(node, n, gradient, slot);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] const ir::QuantTensor& tensor(int id) const { return graph_.tensors[index(id)]; }
  [[nodiscard]] std::size_t pixels(int id) const {
    return index(tensor(id).shape.h) * index(tensor(id).shape.w);
  }

  /// A scale for a slot whose largest real value is `most`, where none was given.
  double scale_for(int slot, double most) {
    if (given_.empty()) out_.scales[index(slot)] = multiplier(most > 0 ? most / kMost : 1.0);
    return out_.scales[index(slot)];
  }
  void note(int slot, std::int64_t value) {
    const std::int64_t magnitude =
        std::min<std::int64_t>(std::abs(value), std::numeric_limits<std::int32_t>::max());
    out_.maxima[index(slot)] =
        std::max(out_.maxima[index(slot)], static_cast<std::int32_t>(magnitude));
  }
  void keep(int slot, const Tensor& values) {
    if (keep_) out_.gradients[index(slot)] = values;
  }

  /// clamp(rne(fp32(acc) * multiplier of the channel), -127, 127).
  Tensor quantise(const Part& part, int id, const std::vector<float>& fold, int slot) {
    const std::size_t plane = pixels(id);
    const std::size_t count = index(static_cast<int>(tensor(id).shape.count()));
    const auto at = [&part](std::size_t i) -> std::int32_t {
      return part.acc.empty() ? part.values[i] : part.acc[i];
    };
    const auto folded = [&fold](std::size_t c) { return fold.empty() ? 1.0 : double{fold[c]}; };
    double most = 0;
    if (given_.empty()) {
      for (std::size_t i = 0; i < count; ++i)
        most = std::max(most, std::abs(double(at(i))) * part.unit * folded(i / plane));
    }
    const double scale = scale_for(slot, most);
    Tensor out(count);
    for (std::size_t c = 0; c * plane < count; ++c) {
      const float m = multiplier(part.unit * folded(c) / scale);
      for (std::size_t i = c * plane; i < (c + 1) * plane; ++i) {
        const std::int32_t value = requantise(at(i), m);
        note(slot, value);
        out[i] = offset_clamp(value, 0, -kMost, kMost);
      }
    }
    keep(slot, out);
    return out;
  }

  /// The residual adder on two gradients.
  Tensor sum(const Tensor& a, double unit_a, const Tensor& b, double unit_b, int slot) {
    double most = 0;
    if (given_.empty()) {
      for (std::size_t i = 0; i < a.size(); ++i)
        most = std::max(most, std::abs(a[i] * unit_a + b[i] * unit_b));
    }
    const double scale = scale_for(slot, most);
    constexpr double kLimit = 500;  // the adder's multipliers: below 2^9
    const auto m = quantise::add_multipliers(std::min(unit_a / scale, kLimit),
                                             std::min(unit_b / scale, kLimit));
    ESP_CHECK(m.has_value());
    Tensor out(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::int64_t value =
          rne_shift(std::int64_t{a[i]} * m->ma + std::int64_t{b[i]} * m->mb, m->shift);
      note(slot, value);
      out[i] = offset_clamp(value, 0, -kMost, kMost);
    }
    keep(slot, out);
    return out;
  }

  /// A tensor's gradient from what its readers add; `slot` becomes the one it is in.
  Tensor combine(int id, const TensorPlan& p, std::vector<Part>& parts, int& slot) {
    static const std::vector<float> kNone;
    Tensor whole;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const int own = p.part_slots[i];
      const int part_slot = own >= 0 ? own : parts[i].slot;
      Tensor part = own >= 0 ? quantise(parts[i], id, p.folded ? p.fold : kNone, own)
                             : std::move(parts[i].values);
      if (i == 0) {
        whole = std::move(part);
        slot = part_slot;
        continue;
      }
      const int sum_slot = p.sum_slots[i - 1];
      whole = sum(part, out_.scales[index(part_slot)], whole, out_.scales[index(slot)], sum_slot);
      slot = sum_slot;
    }
    return whole;
  }

  void score(int id, const Tensor& gradient) {
    const std::size_t plane = pixels(id);
    const int zero = tensor(id).quant.zero;
    const Tensor& kept = tensors_[index(id)];
    std::vector<std::int64_t>& sums = out_.sums[index(id)];
    sums.assign(index(tensor(id).shape.c), 0);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      sums[i / plane] += std::int64_t{kept[i] - zero} * gradient[i];
  }

  /// Nothing passes where the activation stands at a bound of its clamp.
  void mask(const ir::QuantNode& node, Tensor& gradient) {
    const ClampBounds bounds = clamp_bounds(node, tensor(node.output).quant);
    if (!bounds.any()) return;
    const Tensor& kept = tensors_[index(node.output)];
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      if (kept[i] <= bounds.below || kept[i] >= bounds.above) gradient[i] = 0;
    }
  }

  void hand_down(const ir::QuantNode& node, std::size_t n, const Tensor& gradient, int slot) {
    const double scale = out_.scales[index(slot)];
    const ir::QuantTensor& y = tensor(node.output);
    std::size_t first = 0;  // element of a concatenation
    for (const int input : node.inputs) {
      const ir::QuantTensor& x = tensor(input);
      const auto count = static_cast<std::size_t>(x.shape.count());
      const bool joined = std::holds_alternative<ir::QuantConcat>(node.op);
      const std::size_t begin = joined ? first : 0;
      first += count;
      if (!plan_[index(input)].needed) continue;
      Part part;
      if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
        part.acc = convs_[n].run(gradient);
        const double most = *std::ranges::max_element(conv->scale);
        part.unit = scale * most * y.quant.scale / x.quant.scale;
      } else if (const auto* pool = std::get_if<ir::QuantPool>(&node.op)) {
        double share = 1;
        part.acc = pool_backward(*pool, x.shape, y.shape, tensors_[index(input)], gradient, share);
        part.unit = scale * share;
      } else {
        const auto from = gradient.begin() + static_cast<std::ptrdiff_t>(begin);
        part.values.assign(from, from + static_cast<std::ptrdiff_t>(count));
        part.slot = slot;
        part.unit = scale;
      }
      parts_[index(input)].push_back(std::move(part));
    }
  }

  const ir::QuantGraph& graph_;
  const std::vector<TensorPlan>& plan_;
  const std::vector<TransposedConv>& convs_;
  std::span<const Tensor> tensors_;
  std::span<const float> given_;
  bool keep_;
  std::vector<std::vector<Part>> parts_;  // by tensor
  BackwardPass out_;
};

}  // namespace

Backward::Backward(const ir::QuantGraph& graph, std::vector<bool> scored)
    : impl_(std::make_unique<Impl>(graph, std::move(scored))) {}
Backward::~Backward() = default;
Backward::Backward(Backward&&) noexcept = default;
Backward& Backward::operator=(Backward&&) noexcept = default;

std::size_t Backward::slots() const { return index(impl_->slots); }

OutputGradient Backward::quantise_output(std::span<const double> gradient) const {
  const int id = impl_->graph->output;
  const ir::Shape& shape = impl_->shape(id);
  ESP_CHECK(std::int64_t(gradient.size()) == shape.count());
  const std::size_t plane = index(shape.h) * index(shape.w);
  const auto folded = [&](std::size_t i) {
    return gradient[i] * (impl_->output_folded ? impl_->plan[index(id)].fold[i / plane] : 1.0F);
  };
  double most = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) most = std::max(most, std::abs(folded(i)));
  OutputGradient out{Tensor(gradient.size(), 0), most / kMost};
  if (most == 0) return out;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    out.values[i] = static_cast<std::int8_t>(std::nearbyint(folded(i) / out.scale));
  return out;
}

BackwardPass Backward::run(std::span<const Tensor> tensors, const Tensor& output_gradient,
                           std::span<const float> scales, bool keep_gradients) const {
  ESP_CHECK(scales.empty() || scales.size() == slots());
  ESP_CHECK(std::int64_t(output_gradient.size()) == impl_->shape(impl_->graph->output).count());
  return Pass(*impl_->graph, impl_->plan, impl_->convs, tensors, scales, keep_gradients, slots())
      .run(output_gradient, impl_->scored);
}

double Backward::unit(const BackwardPass& pass, int tensor, std::size_t channel) const {
  return double{impl_->graph->tensors[index(tensor)].quant.scale} *
         pass.scales[index(slot_of(tensor))] / fold_of(tensor, channel);
}

int Backward::slot_of(int tensor) const { return impl_->plan[index(tensor)].slot; }

float Backward::fold_of(int tensor, std::size_t channel) const {
  const TensorPlan& p = impl_->plan[index(tensor)];
  return p.folded ? p.fold[channel] : 1.0F;
}

void DelayedScales::start(const BackwardPass& pass) { scales_ = pass.scales; }

void DelayedScales::note(const BackwardPass& pass) {
  std::vector<double> real;
  for (std::size_t s = 0; s < pass.maxima.size(); ++s)
    real.push_back(double{pass.scales[s]} * pass.maxima[s]);
  window_.push_back(std::move(real));
  if (window_.size() > kWindow) window_.erase(window_.begin());
}

void DelayedScales::update() {
  for (std::size_t s = 1; s < scales_.size(); ++s) {
    double most = 0;
    for (const std::vector<double>& image : window_) most = std::max(most, image[s]);
    if (most > 0) scales_[s] = multiplier(most / kFullScale);
  }
}

void DelayedScales::restore(std::vector<float> scales, std::vector<std::vector<double>> window) {
  scales_ = std::move(scales);
  window_ = std::move(window);
}

}  // namespace espalier::golden
