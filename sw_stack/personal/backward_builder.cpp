#include "personal/backward_builder.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>

#include "base/integers.hpp"

namespace espalier::personal {
namespace {

/// Values at which an activation stands at a bound of its clamp.
struct Bounds {
  bool lower = false, upper = false;
  int low = 0, high = 0;
};

Bounds bounds_of(const ir::QuantNode& node, const ir::Quant& quant) {
  const auto take = [&](int lo, int hi) { return Bounds{lo == quant.zero, hi < 127, lo, hi}; };
  if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) return take(conv->lo, conv->hi);
  if (const auto* add = std::get_if<ir::QuantAdd>(&node.op)) return take(add->lo, add->hi);
  if (const auto* pool = std::get_if<ir::QuantPool>(&node.op)) return take(pool->lo, pool->hi);
  return {};
}

/// By input channel the output channels that read it, from the first to the last.
ir::Reads transposed(const ir::Reads& reads, int channels) {
  ir::Reads back(reads.empty() ? 0 : index(channels));
  for (std::size_t n = 0; n < reads.size(); ++n) {
    const auto output = static_cast<int>(n);
    for (int c = reads[n].first; c < reads[n].last; ++c) {
      ir::ChannelRange& range = back[index(c)];
      if (range.empty()) range.first = output;
      range.last = output + 1;
    }
  }
  return back;
}

}  // namespace

BackwardBuilder::BackwardBuilder(const ir::QuantGraph& forward, const std::vector<bool>& scored)
    : forward_(forward),
      scored_(scored),
      needed_(scored),
      parts_(forward.tensors.size()),
      slot_of_(forward.tensors.size(), -1),
      kept_(forward.tensors.size(), -1) {
  ESP_CHECK(scored.size() == forward.tensors.size());
  for (const ir::QuantNode& node : forward.nodes) {
    if (reaches(node)) needed_[index(node.output)] = true;
  }
}

Backward BackwardBuilder::run() {
  out_.graph_.name = forward_.name + ", backward";
  const ir::QuantTensor& end = forward_.tensors[index(forward_.output)];
  out_.graph_.input = gradient_tensor("d." + end.name, end.shape, {new_slot(), 1.0});
  out_.observed_[0] = out_.graph_.input;
  parts_[index(forward_.output)] = {{out_.graph_.input}};
  for (std::size_t n = forward_.nodes.size(); n-- > 0;) {
    const ir::QuantNode& node = forward_.nodes[n];
    const std::vector<Part>& parts = parts_[index(node.output)];
    if (needed_[index(node.output)] && !parts.empty()) finish(node, combine(node.output, parts));
  }
  if (!out_.scores_.empty()) out_.graph_.output = out_.scores_.back().sums;
  // The host reads these when all is done.
  for (const Backward::Score& score : out_.scores_) {
    if (score.sums != out_.graph_.output) out_.graph_.keep.push_back(score.sums);
  }
  for (std::size_t slot = 1; slot < out_.observed_.size(); ++slot)
    out_.graph_.keep.push_back(out_.observed_[slot]);
  return std::move(out_);
}

// ------------------------------------------------------------------------------------ parts

bool BackwardBuilder::reaches(const ir::QuantNode& node) const {
  return std::ranges::any_of(node.inputs, [this](int t) { return needed_[index(t)]; });
}
const ir::Shape& BackwardBuilder::shape(int t) const { return out_.graph_.tensors[index(t)].shape; }
const Backward::Value& BackwardBuilder::value(int t) const { return out_.values_[index(t)]; }

int BackwardBuilder::tensor(const std::string& name, const ir::Shape& shape,
                            const ir::Quant& quant) {
  out_.graph_.tensors.push_back({name, shape, quant});
  out_.values_.emplace_back();
  return static_cast<int>(out_.graph_.tensors.size()) - 1;
}

int BackwardBuilder::gradient_tensor(const std::string& name, const ir::Shape& shape,
                                     Backward::Value value) {
  const int id = tensor(name, shape, ir::Quant{});
  out_.values_.back() = value;
  return id;
}

std::size_t BackwardBuilder::node(std::vector<int> inputs, int output, ir::QuantOp op) {
  const std::string& name = out_.graph_.tensors[index(output)].name;
  out_.graph_.nodes.push_back({name, std::move(inputs), output, std::move(op)});
  return out_.graph_.nodes.size() - 1;
}

int BackwardBuilder::new_slot() {
  out_.observed_.push_back(-1);
  return static_cast<int>(out_.observed_.size()) - 1;
}

int BackwardBuilder::kept(int activation) {
  int& id = kept_[index(activation)];
  if (id >= 0) return id;
  const ir::QuantTensor& t = forward_.tensors[index(activation)];
  id = tensor(t.name, t.shape, t.quant);
  out_.graph_.more_inputs.push_back(id);
  out_.kept_.push_back(activation);
  return id;
}

int BackwardBuilder::slot_for(int activation) {
  int& slot = slot_of_[index(activation)];
  if (slot < 0) slot = new_slot();
  return slot;
}

int BackwardBuilder::add(int activation, int part, int whole) {
  const std::string name = "d." + forward_.tensors[index(activation)].name + ".sum";
  const int sum = gradient_tensor(name, shape(whole), {slot_for(activation), 1.0});
  ir::QuantAdd op;
  op.lo = -127;
  out_.scaled_.push_back({node({part, whole}, sum, op), {}});
  return sum;
}

/// Sums what the readers of a tensor brought.
int BackwardBuilder::combine(int activation, const std::vector<Part>& parts) {
  if (const int phased = combine_phases(activation, parts); phased >= 0) return phased;
  int whole = -1;
  for (const Part& part : parts) {
    const int next = part.conv == nullptr ? part.whole : through_conv(part);
    whole = whole < 0 ? next : add(activation, next, whole);
  }
  return whole;
}

int BackwardBuilder::combine_phases(int activation, const std::vector<Part>& parts) {
  const auto is_point = [](const Part& part) {
    const ir::Window& w = std::get<ir::QuantConv>(part.conv->op).window;
    return w == ir::Window{};
  };
  const auto empty = [](const Phase& y, const Phase& x) {
    return y.taps.empty() || x.taps.empty();
  };
  std::optional<WindowPhases> grid;
  bool saves = false, points = false;
  for (const Part& part : parts) {
    if (part.conv == nullptr) return -1;
    if (is_point(part)) {
      points = true;
      continue;
    }
    WindowPhases own = phases(part);
    if (grid && (own.y.size() != grid->y.size() || own.x.size() != grid->x.size())) return -1;
    for (const Phase& y : own.y) {
      for (const Phase& x : own.x) saves = saves || empty(y, x);
    }
    grid = std::move(own);
  }
  if (!saves || !points) return -1;
  return interleaved(activation, *grid, {slot_for(activation), 1.0},
                     [&](const Phase& at_y, const Phase& at_x) {
                       int whole = -1;
                       for (const Part& part : parts) {
                         int next = -1;
                         if (is_point(part)) {
                           next = point_phase(part, at_y, at_x);
                         } else {
                           const WindowPhases own = phases(part);
                           const Phase &y = own.y[index(at_y.first)], &x = own.x[index(at_x.first)];
                           if (!empty(y, x)) next = conv_phase(part, y, x);
                         }
                         if (next >= 0) whole = whole < 0 ? next : add(activation, next, whole);
                       }
                       return whole;
                     });
}

/// Scores and masks the gradient of a node's output, and hands it down.
void BackwardBuilder::finish(const ir::QuantNode& made, int gradient) {
  const ir::QuantTensor& activation = forward_.tensors[index(made.output)];
  const Bounds bounds =
      made.output == forward_.output ? Bounds{} : bounds_of(made, activation.quant);
  const auto score = [&] {
    if (!scored_[index(made.output)]) return;
    const int sums = tensor("s." + activation.name, {activation.shape.c, 1, 4}, ir::Quant{});
    node({gradient, kept(made.output)}, sums, ir::QuantScore{});
    out_.scores_.push_back({made.output, gradient, sums, activation.quant.scale});
  };
  // Where the activation is 0 its product is too; at an upper bound it is not.
  if (bounds.upper) score();
  if (reaches(made) && (bounds.lower || bounds.upper)) {
    ir::QuantGate gate{bounds.lower ? bounds.low + 1 : -128, bounds.upper ? bounds.high - 1 : 127};
    if (gate.low > gate.high) gate = {127, -128};
    const int gated = gradient_tensor("d." + activation.name, activation.shape, value(gradient));
    node({gradient, kept(made.output)}, gated, gate);
    gradient = gated;
  }
  if (!bounds.upper) score();
  if (const int slot = slot_of_[index(made.output)]; slot >= 0)
    out_.observed_[index(slot)] = gradient;
  if (reaches(made)) hand_down(made, gradient);
}

void BackwardBuilder::hand_down(const ir::QuantNode& made, int gradient) {
  const bool joined = std::holds_alternative<ir::QuantConcat>(made.op);
  int first = 0;  // channel of a concatenation
  for (const int input : made.inputs) {
    const ir::QuantTensor& x = forward_.tensors[index(input)];
    const int begin = first;
    first += joined ? x.shape.c : 0;
    if (!needed_[index(input)]) continue;
    Part part{gradient};
    if (joined) {
      part.whole = gradient_tensor("d." + x.name + ".slice", x.shape, value(gradient));
      node({gradient}, part.whole, ir::QuantSlice{begin});
    } else if (std::holds_alternative<ir::QuantConv>(made.op)) {
      part = {-1, &made, gradient};
    } else if (const auto* pool = std::get_if<ir::QuantPool>(&made.op)) {
      part.whole = pool->kind == ir::PoolKind::kMax ? through_maximum(*pool, made, gradient)
                                                    : through_average(*pool, made, gradient);
    }
    parts_[index(input)].push_back(part);
  }
}

// ------------------------------------------------------------------------------------ windows

BackwardBuilder::Axis BackwardBuilder::make_axis(int in, int out, const std::vector<int>& offsets) {
  Axis axis;
  int low = 0, high = 0;
  if (!offsets.empty()) {
    low = *std::ranges::min_element(offsets);
    high = *std::ranges::max_element(offsets);
    int step = 0;
    for (const int offset : offsets) step = std::gcd(step, offset - low);
    axis.dilation = std::max(step, 1);
  }
  // No pad is negative: taps in front, of weight 0, and likewise at the end.
  axis.base = low <= 0 ? low : low - axis.dilation * ceil_div(low, axis.dilation);
  axis.kernel = (high - axis.base) / axis.dilation + 1;
  const auto after = [&] {
    return out - 1 + axis.base + (axis.kernel - 1) * axis.dilation - (in - 1);
  };
  if (after() < 0) axis.kernel += ceil_div(-after(), axis.dilation);
  axis.before = -axis.base;
  axis.after = after();
  return axis;
}

std::vector<BackwardBuilder::Phase> BackwardBuilder::phases(int in, int out, int kernel, int stride,
                                                            int dilation, int pad) {
  if (out == 1) stride = 1;  // from one output to the next there is no step
  std::vector<Phase> list;
  for (int first = 0; first < std::min(stride, in); ++first) {
    Phase phase{first, stride, ceil_div(in - first, stride), {}, {}};
    for (int tap = 0; tap < kernel; ++tap) {
      const int distance = first + pad - tap * dilation;
      if (distance % stride != 0) continue;
      phase.taps.push_back(tap);
      phase.offsets.push_back(distance / stride);
    }
    list.push_back(std::move(phase));
  }
  return list;
}

BackwardBuilder::WindowPhases BackwardBuilder::phases(const ir::Window& w, const ir::Shape& x,
                                                      const ir::Shape& y) {
  return {phases(x.h, y.h, w.kh, w.stride_h, w.dilation_h, w.pad_top),
          phases(x.w, y.w, w.kw, w.stride_w, w.dilation_w, w.pad_left)};
}

ir::QuantConv BackwardBuilder::conv(int in, int out, const Axis& y, const Axis& x) {
  ir::QuantConv op;
  op.window = {y.kernel, x.kernel, 1,       1,          y.before,
               x.before, y.after,  x.after, y.dilation, x.dilation};
  op.out_channels = out;
  op.weights.assign(static_cast<std::size_t>(out) * y.kernel * x.kernel * in, 0);
  op.bias.assign(index(out), 0);
  op.scale.assign(index(out), 1.0F);
  op.lo = -127;
  return op;
}

int BackwardBuilder::interleaved(int activation, const WindowPhases& all, Backward::Value value,
                                 const std::function<int(const Phase&, const Phase&)>& make) {
  std::vector<int> list;
  for (const Phase& y : all.y) {
    for (const Phase& x : all.x) list.push_back(make(y, x));
  }
  if (list.size() == 1) return list[0];
  const ir::QuantTensor& to = forward_.tensors[index(activation)];
  const int whole = gradient_tensor("d." + to.name + ".part", to.shape, value);
  node(std::move(list), whole,
       ir::QuantInterleave{static_cast<int>(all.y.size()), static_cast<int>(all.x.size())});
  return whole;
}

BackwardBuilder::WindowPhases BackwardBuilder::phases(const Part& part) const {
  return phases(std::get<ir::QuantConv>(part.conv->op).window,
                forward_.tensors[index(part.conv->inputs[0])].shape,
                forward_.tensors[index(part.conv->output)].shape);
}

int BackwardBuilder::through_conv(const Part& part) {
  const int input = part.conv->inputs[0];
  return interleaved(input, phases(part), {slot_for(input), 1.0},
                     [&](const Phase& y, const Phase& x) { return conv_phase(part, y, x); });
}

int BackwardBuilder::conv_phase(const Part& part, const Phase& py, const Phase& px) {
  const ir::Shape y = shape(part.gradient);
  const Axis ay = make_axis(y.h, py.size, py.offsets), ax = make_axis(y.w, px.size, px.offsets);
  const int channels = forward_.tensors[index(part.conv->inputs[0])].shape.c;
  std::vector<TapPair> taps;
  for (std::size_t i = 0; i < py.taps.size(); ++i) {
    for (std::size_t j = 0; j < px.taps.size(); ++j) {
      taps.push_back({py.taps[i] * std::get<ir::QuantConv>(part.conv->op).window.kw + px.taps[j],
                      ay.tap(py.offsets[i]) * ax.kernel + ax.tap(px.offsets[j])});
    }
  }
  return put_transposed(part, conv(y.c, channels, ay, ax), taps, py, px);
}

int BackwardBuilder::point_phase(const Part& part, const Phase& py, const Phase& px) {
  const int channels = forward_.tensors[index(part.conv->inputs[0])].shape.c;
  Axis ay, ax;
  ay.kernel = py.first + 1;
  ax.kernel = px.first + 1;
  ir::QuantConv op = conv(shape(part.gradient).c, channels, ay, ax);
  op.window.stride_h = py.stride;
  op.window.stride_w = px.stride;
  return put_transposed(part, std::move(op), {{0, ay.kernel * ax.kernel - 1}}, py, px);
}

int BackwardBuilder::put_transposed(const Part& part, ir::QuantConv back,
                                    const std::vector<TapPair>& taps, const Phase& py,
                                    const Phase& px) {
  const auto& op = std::get<ir::QuantConv>(part.conv->op);
  const int input = part.conv->inputs[0];
  const ir::QuantTensor &x = forward_.tensors[index(input)],
                        &y = forward_.tensors[index(part.conv->output)];
  const auto channels = index(x.shape.c), outputs = index(y.shape.c);
  const std::size_t forward_taps = std::size_t(op.window.kh) * op.window.kw;
  const std::size_t back_taps = std::size_t(back.window.kh) * back.window.kw;
  const auto weight = [&](std::size_t n, int tap, std::size_t c) {
    const double scale = double{op.scale[n]} * y.quant.scale / x.quant.scale;
    return op.weights[(n * forward_taps + index(tap)) * channels + c] * scale;
  };
  std::vector<double> units;
  for (std::size_t c = 0; c < channels; ++c) {
    double most = 0;
    for (const TapPair& tap : taps) {
      for (std::size_t n = 0; n < outputs; ++n)
        most = std::max(most, std::abs(weight(n, tap.forward, c)));
    }
    const double unit = most > 0 ? most / 127 : 1.0;
    units.push_back(unit);
    for (const TapPair& tap : taps) {
      std::int8_t* to = back.weights.data() + (c * back_taps + index(tap.back)) * outputs;
      for (std::size_t n = 0; n < outputs; ++n)
        *to++ = static_cast<std::int8_t>(std::nearbyint(weight(n, tap.forward, c) / unit));
    }
  }
  back.reads = transposed(op.reads, x.shape.c);
  const int made = gradient_tensor("d." + x.name + ".part", {x.shape.c, py.size, px.size},
                                   {slot_for(input), 1.0});
  out_.scaled_.push_back({node({part.gradient}, made, std::move(back)), std::move(units)});
  return made;
}

}  // namespace espalier::personal
