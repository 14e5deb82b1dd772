// Pools of the backward graph.

#include "personal/backward_builder.hpp"

#include "base/integers.hpp"

namespace espalier::personal {
namespace {

bool is_global(const ir::Window& w, const ir::Shape& x, const ir::Shape& y) {
  return y.h == 1 && y.w == 1 && w.kh == x.h && w.kw == x.w && w.pad_top == 0 && w.pad_left == 0;
}

}  // namespace

int BackwardBuilder::through_average(const ir::QuantPool& pool, const ir::QuantNode& made,
                                     int gradient) {
  const int input = made.inputs[0];
  const ir::QuantTensor &x = forward_.tensors[index(input)],
                        &y = forward_.tensors[index(made.output)];
  const ir::Window& w = pool.window;
  const std::string name = "d." + x.name + ".part";
  if (is_global(w, x.shape, y.shape)) {
    // The same value everywhere: the maximum over windows that hold the one pixel.
    Backward::Value all = value(gradient);
    for (const bool rows : {true, false}) {
      const int extent = rows ? x.shape.h : x.shape.w;
      if (extent == 1) continue;
      ir::QuantPool copies;
      (rows ? copies.window.kh : copies.window.kw) = extent;
      (rows ? copies.window.pad_top : copies.window.pad_left) = extent - 1;
      (rows ? copies.window.pad_bottom : copies.window.pad_right) = extent - 1;
      const int spread = gradient_tensor(name, {x.shape.c, x.shape.h, rows ? 1 : x.shape.w}, all);
      node({gradient}, spread, copies);
      gradient = spread;
    }
    const int share = gradient;
    out_.values_[index(share)].factor = all.factor / (double{1.0} * x.shape.h * x.shape.w);
    return share;
  }
  const int slot = slot_for(input);
  const auto make = [&](const Phase& py, const Phase& px) {
    const Axis ay = make_axis(y.shape.h, py.size, py.offsets);
    const Axis ax = make_axis(y.shape.w, px.size, px.offsets);
    ir::QuantConv back = conv(y.shape.c, x.shape.c, ay, ax);
    for (int c = 0; c < x.shape.c; ++c) {
      back.reads.push_back({c, c + 1});
      for (const int oy : py.offsets) {
        for (const int ox : px.offsets) {
          back.weights[((std::size_t(c) * ay.kernel + ay.tap(oy)) * ax.kernel + ax.tap(ox)) *
                           y.shape.c +
                       index(c)] = 1;
        }
      }
    }
    const int part = gradient_tensor(name, {x.shape.c, py.size, px.size}, {slot, 1.0});
    std::vector<double> units(index(x.shape.c), 1.0 / (double{1.0} * w.kh * w.kw));
    out_.scaled_.push_back({node({gradient}, part, std::move(back)), std::move(units)});
    return part;
  };
  return interleaved(input, phases(w, x.shape, y.shape), {slot, 1.0}, make);
}

int BackwardBuilder::shifted(int from, int h, int w, int offset_y, int offset_x,
                             const std::string& name) {
  const ir::Shape whole = shape(from);
  if (offset_y == 0 && offset_x == 0 && whole.h == h && whole.w == w) return from;
  const Axis ay = make_axis(whole.h, h, {offset_y}), ax = make_axis(whole.w, w, {offset_x});
  ir::QuantConv copy = conv(whole.c, whole.c, ay, ax);
  copy.lo = -128;
  copy.reads.resize(index(whole.c));  // nothing is multiplied
  for (int c = 0; c < whole.c; ++c) {
    const std::size_t row = (std::size_t(c) * ay.kernel + ay.tap(offset_y)) * ax.kernel;
    copy.weights[(row + ax.tap(offset_x)) * whole.c + index(c)] = 1;
  }
  const int to = tensor(name, {whole.c, h, w}, out_.graph_.tensors[index(from)].quant);
  out_.values_[index(to)] = value(from);
  node({from}, to, std::move(copy));
  return to;
}

int BackwardBuilder::through_maximum(const ir::QuantPool& pool, const ir::QuantNode& made,
                                     int gradient) {
  const int input = made.inputs[0];
  const ir::QuantTensor &x = forward_.tensors[index(input)],
                        &y = forward_.tensors[index(made.output)];
  const WindowPhases all = phases(pool.window, x.shape, y.shape);
  bool sums = false;
  for (const Phase& py : all.y) {
    for (const Phase& px : all.x) sums = sums || py.taps.size() * px.taps.size() != 1;
  }
  Backward::Value result = value(gradient);
  if (sums) {
    result = {slot_for(input), 1.0};
  }
  return interleaved(input, all, result, [&](const Phase& py, const Phase& px) {
    std::vector<int> parts = maximum_phase(made, gradient, py, px);
    if (!sums) return parts[0];
    const std::string name = "d." + x.name + ".part";
    const int channels = x.shape.c;
    int joined = parts.empty() ? -1 : parts[0];
    if (parts.size() > 1) {
      const auto count = static_cast<int>(parts.size());
      joined =
          gradient_tensor(name + ".taps", {channels * count, py.size, px.size}, value(gradient));
      node(parts, joined, ir::QuantConcat{});
    }
    // A phase that no window reaches: zeros, from whatever is there.
    const int from =
        joined < 0 ? shifted(gradient, py.size, px.size, 0, 0, name + ".none") : joined;
    const Axis point;
    ir::QuantConv sum = conv(shape(from).c, channels, point, point);
    for (int c = 0; c < channels && joined >= 0; ++c) {
      for (int i = c; i < shape(from).c; i += channels)
        sum.weights[index(c) * shape(from).c + index(i)] = 1;
    }
    const int phase = gradient_tensor(name, {channels, py.size, px.size}, result);
    out_.scaled_.push_back(
        {node({from}, phase, std::move(sum)), std::vector<double>(index(channels), 1.0)});
    return phase;
  });
}

std::vector<int> BackwardBuilder::maximum_phase(const ir::QuantNode& made, int gradient,
                                                const Phase& py, const Phase& px) {
  const int channels = forward_.tensors[index(made.inputs[0])].shape.c;
  const ir::Shape phase{channels, py.size, px.size};
  const int x = kept(made.inputs[0]), y = kept(made.output);
  const ir::Quant quant = out_.graph_.tensors[index(x)].quant;
  const std::string name = "d." + forward_.tensors[index(made.inputs[0])].name + ".tap";
  std::vector<int> parts;
  for (const int oy : py.offsets) {
    for (const int ox : px.offsets) {
      // -x of the phase, then maximum - x, as 0 or 1; that is the gate of the output's gradient.
      ir::QuantConv minus;
      minus.window = {py.first + 1, px.first + 1};
      minus.window.stride_h = py.stride;
      minus.window.stride_w = px.stride;
      minus.out_channels = channels;
      const std::size_t row = std::size_t(minus.window.kh) * minus.window.kw * channels;
      minus.weights.assign(row * channels, 0);
      for (std::size_t c = 0; c < index(channels); ++c)
        minus.weights[(c + 1) * row - channels + c] = -1;
      minus.bias.assign(index(channels), 0);
      minus.scale.assign(index(channels), 1.0F);
      minus.reads.resize(index(channels));
      const int negated = tensor(name + ".x", phase, ir::Quant{quant.scale, -1 - quant.zero});
      const int moved = shifted(y, phase.h, phase.w, oy, ox, name + ".y");
      node({x}, negated, std::move(minus));
      const int below = tensor(name + ".below", phase, ir::Quant{});
      ir::QuantAdd difference;
      difference.ma = difference.mb = 1U << 13U;
      difference.lo = 0;
      difference.hi = 1;
      node({negated, moved}, below, difference);
      const int part = gradient_tensor(name, phase, value(gradient));
      node({shifted(gradient, phase.h, phase.w, oy, ox, name + ".g"), below}, part,
           ir::QuantGate{-128, 0});
      parts.push_back(part);
    }
  }
  return parts;
}

}  // namespace espalier::personal
