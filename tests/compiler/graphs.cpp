#include "graphs.hpp"

#include <algorithm>
#include <cmath>

#include "ir/numerics.hpp"
#include "base/result.hpp"

namespace espalier::tests {

int GraphBuilder::tensor(const ir::Shape& extent, const ir::Quant& scale) {
  const int id = static_cast<int>(graph_.tensors.size());
  graph_.tensors.push_back({"t" + std::to_string(id), extent, scale});
  return id;
}

void GraphBuilder::share_quants(int count) {
  std::vector<ir::Quant> list;
  for (int i = 0; i < count; ++i) list.push_back(random_quant());
  palette_ = list;
}

ir::Quant GraphBuilder::random_quant() {
  if (!palette_.empty())
    return palette_[static_cast<std::size_t>(uniform(0, static_cast<int>(palette_.size()) - 1))];
  return {std::ldexp(1.0F + 0.01F * static_cast<float>(uniform(0, 99)), -4), uniform(-128, 127)};
}

void GraphBuilder::node(std::vector<int> inputs, int output, ir::QuantOp op) {
  graph_.nodes.push_back(
      {"n" + std::to_string(graph_.nodes.size()), std::move(inputs), output, std::move(op)});
}

int GraphBuilder::input(int c, int h, int w) {
  graph_.input = tensor({c, h, w}, random_quant());
  return graph_.input;
}

int GraphBuilder::conv(int x, int channels, const ir::Window& w) {
  const ir::Shape in = shape(x);
  const ir::Shape out{
      channels, ir::window_extent(in.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
      ir::window_extent(in.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
  ir::QuantConv conv;
  conv.window = w;
  conv.out_channels = channels;
  const std::size_t depth = static_cast<std::size_t>(w.kh) * w.kw * in.c;
  conv.weights.resize(depth * channels);
  for (auto& weight : conv.weights) weight = static_cast<std::int8_t>(random_() % 256);
  for (int n = 0; n < channels; ++n) {
    conv.bias.push_back(uniform(-20000, 20000));
    conv.scale.push_back(static_cast<float>(uniform(50, 150)) / 100.0F /
                         (160.0F * std::sqrt(static_cast<float>(depth))));
  }
  if (chance(0.5)) conv.lo = uniform(-128, 0);
  const int y = tensor(out, random_quant());
  node({x}, y, std::move(conv));
  return y;
}

int GraphBuilder::conv(int x, int channels, int kernel, int stride) {
  ir::Window w;
  w.kh = w.kw = kernel;
  w.stride_h = w.stride_w = stride;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = kernel / 2;
  return conv(x, channels, w);
}

int GraphBuilder::add(int a, int b) {
  ir::QuantAdd add;
  add.shift = uniform(13, 31);
  add.ma = static_cast<std::uint32_t>(
      std::ldexp(static_cast<double>(uniform(40, 120)) / 100, std::min(add.shift, 21)));
  add.mb = static_cast<std::uint32_t>(
      std::ldexp(static_cast<double>(uniform(40, 120)) / 100, std::min(add.shift, 21)));
  if (chance(0.5)) add.lo = uniform(-128, 0);
  const int y = tensor(shape(a), random_quant());
  node({a, b}, y, add);
  return y;
}

int GraphBuilder::rescale(int x, const ir::Quant& to) {
  ir::QuantAdd op;
  op.shift = uniform(13, 31);
  op.ma = static_cast<std::uint32_t>(
      std::ldexp(static_cast<double>(uniform(40, 120)) / 100, std::min(op.shift, 21)));
  if (chance(0.3)) op.lo = uniform(-128, 0);
  const int y = tensor(shape(x), to);
  node({x}, y, op);
  return y;
}

int GraphBuilder::pool(int x, ir::PoolKind kind, const ir::Window& w, bool include_pad, bool ceil) {
  const ir::Shape in = shape(x);
  const auto extent = [&](int size, int kernel, int stride, int before, int after) {
    const int room = size + before + after - kernel;
    int out = room < 0 ? 0 : room / stride + 1;
    // In ceil mode one more, where its window still holds a pixel of the image.
    if (ceil && room >= 0 && room % stride != 0 && out * stride - before < size) ++out;
    return out;
  };
  ir::QuantPool pool;
  pool.kind = kind;
  pool.window = w;
  pool.count_include_pad = include_pad;
  const ir::Quant scale = kind == ir::PoolKind::kMax ? quant(x) : random_quant();
  const int y = tensor({in.c, extent(in.h, w.kh, w.stride_h, w.pad_top, w.pad_bottom),
                        extent(in.w, w.kw, w.stride_w, w.pad_left, w.pad_right)},
                       scale);
  node({x}, y, pool);
  return y;
}

int GraphBuilder::global_average(int x) {
  ir::Window w;
  w.kh = shape(x).h;
  w.kw = shape(x).w;
  return pool(x, ir::PoolKind::kAverage, w);
}

int GraphBuilder::concat(const std::vector<int>& parts) {
  const ir::Quant common = quant(parts[0]);
  ir::Shape out = shape(parts[0]);
  out.c = 0;
  for (const int part : parts) {
    ESP_CHECK(quant(part) == common);
    out.c += shape(part).c;
  }
  const int y = tensor(out, common);
  node(parts, y, ir::QuantConcat{});
  return y;
}

ir::QuantGraph GraphBuilder::finish(int output) {
  graph_.output = output;
  graph_.name = "test";
  return std::move(graph_);
}

void derive_multipliers(ir::QuantGraph& graph) {
  const auto scale = [&](int t) { return graph.tensors[static_cast<std::size_t>(t)].quant.scale; };
  for (ir::QuantNode& node : graph.nodes) {
    const float y = scale(node.output);
    if (auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      const float x = scale(node.inputs[0]);
      for (float& s : conv->scale) {
        const float weight = s * y / x;
        s = (x * weight) / y;
      }
    } else if (auto* add = std::get_if<ir::QuantAdd>(&node.op)) {
      const double a = scale(node.inputs[0]);
      const double b = node.inputs.size() > 1 ? scale(node.inputs[1]) : 0;
      const auto m = ir::add_multipliers(a / y, b / y);
      ESP_CHECK(m.has_value());
      add->ma = m->ma;
      add->mb = m->mb;
      add->shift = m->shift;
    }
  }
}

bool is_read(const ir::QuantGraph& graph, int tensor) {
  return tensor == graph.output ||
         std::ranges::any_of(graph.nodes, [&graph, tensor](const ir::QuantNode& node) {
           return std::ranges::find(node.inputs, tensor) != node.inputs.end() &&
                  (!std::holds_alternative<ir::QuantConcat>(node.op) ||
                   is_read(graph, node.output));
         });
}

std::vector<std::int8_t> random_image(const ir::QuantGraph& graph, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int8_t> image(static_cast<std::size_t>(ir::input_elements(graph)));
  for (auto& pixel : image) pixel = static_cast<std::int8_t>(random() % 256);
  return image;
}

}  // namespace espalier::tests
