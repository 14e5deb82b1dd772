#include <algorithm>

#include "graphs.hpp"

namespace espalier::tests {
namespace {

/// Grows a graph: every node reads tensors that are there already.
class Grower {
 public:
  Grower(std::uint64_t seed, const GraphLimits& limits) : limits_(limits), g_(seed) {}

  ir::QuantGraph run() {
    g_.share_quants(g_.uniform(1, 2));
    list_.push_back(
        g_.input(channels(), g_.uniform(1, limits_.max_extent), g_.uniform(1, limits_.max_extent)));
    const int nodes = g_.uniform(1, limits_.max_nodes);
    for (int i = 0; i < nodes; ++i) {
      const int kind = g_.uniform(0, 9);
      if (kind < 4 || i == 0) {
        keep(conv(any()));
      } else if (kind < 6) {
        add();
      } else if (kind < 8) {
        if (g_.chance(0.2)) {
          const int x = any();
          keep(g_.rescale(x, g_.quant(any())));
        } else {
          concat();
        }
      } else {
        keep(pool(any()));
      }
    }
    if (g_.chance(0.2)) keep(g_.global_average(conv(any())));
    // Mostly the last tensor, at times one that others read.
    int output = list_.back();
    if (g_.chance(0.25))
      output = list_[static_cast<std::size_t>(g_.uniform(1, static_cast<int>(list_.size()) - 1))];
    return g_.finish(output);
  }

 private:
  void keep(int tensor) { list_.push_back(tensor); }
  int any() {
    // Recent tensors are read more often.
    const int last = static_cast<int>(list_.size()) - 1;
    return list_[static_cast<std::size_t>(std::max(g_.uniform(0, last), g_.uniform(0, last)))];
  }
  int channels() { return g_.chance(0.3) ? g_.uniform(1, 4) : g_.uniform(1, limits_.max_channels); }

  ir::Window window(const ir::Shape& shape, int max_kernel) {
    ir::Window w;
    w.kh = g_.uniform(1, max_kernel);
    w.kw = g_.chance(0.5) ? w.kh : g_.uniform(1, max_kernel);
    w.stride_h = g_.chance(0.6) ? 1 : g_.uniform(1, 4);
    w.stride_w = g_.chance(0.8) ? w.stride_h : g_.uniform(1, 4);
    if (g_.chance(0.6)) {
      w.pad_top = w.pad_bottom = w.kh / 2;
      w.pad_left = w.pad_right = w.kw / 2;
    } else {
      w.pad_top = g_.uniform(0, w.kh - 1);
      w.pad_left = g_.uniform(0, w.kw - 1);
      w.pad_bottom = g_.uniform(0, w.kh - 1);
      w.pad_right = g_.uniform(0, w.kw - 1);
    }
    w.pad_bottom = std::max(w.pad_bottom, w.kh - shape.h - w.pad_top);
    w.pad_right = std::max(w.pad_right, w.kw - shape.w - w.pad_left);
    return w;
  }

  int conv(int x) {
    const ir::Shape shape = g_.shape(x);
    if (g_.chance(0.08) && shape.h * shape.w <= 64) {
      ir::Window whole;
      whole.kh = shape.h;
      whole.kw = shape.w;
      return g_.conv(x, channels(), whole);
    }
    ir::Window w = window(shape, g_.chance(0.1) ? 13 : 5);
    if (g_.chance(0.2)) {
      w.dilation_h = g_.uniform(1, 3);
      w.dilation_w = g_.uniform(1, 3);
      w.pad_top = w.pad_bottom = w.dilation_h * (w.kh - 1);
      w.pad_left = w.pad_right = w.dilation_w * (w.kw - 1);
    }
    if (g_.chance(0.03)) w.pad_top += 20;  // tiles that lie in the padding altogether
    return g_.conv(x, channels(), w);
  }

  int pool(int x) {
    const ir::Shape shape = g_.shape(x);
    ir::Window w = window(shape, std::min({4, shape.h, shape.w}));
    w.pad_bottom = std::min(w.pad_bottom, w.kh - 1);
    w.pad_right = std::min(w.pad_right, w.kw - 1);
    const auto kind = g_.chance(0.5) ? ir::PoolKind::kMax : ir::PoolKind::kAverage;
    return g_.pool(x, kind, w, g_.chance(0.5), g_.chance(0.3));
  }

  /// Two tensors of one shape, or a tensor and a convolution that keeps its shape.
  void add() {
    const int a = any();
    std::vector<int> same;
    for (const int t : list_) {
      if (g_.shape(t) == g_.shape(a)) same.push_back(t);
    }
    if (g_.chance(0.3)) {
      keep(g_.add(
          a, same[static_cast<std::size_t>(g_.uniform(0, static_cast<int>(same.size()) - 1))]));
      return;
    }
    const int kernel = 2 * g_.uniform(0, 1) + 1;
    const int b = g_.conv(a, g_.shape(a).c, kernel);
    const int c = g_.chance(0.3) ? g_.conv(a, g_.shape(a).c, 1) : a;
    keep(g_.chance(0.5) ? g_.add(b, c) : g_.add(c, b));
  }

  void concat() {
    const int a = any();
    std::vector<int> fits;
    for (const int t : list_) {
      if (g_.shape(t).h == g_.shape(a).h && g_.shape(t).w == g_.shape(a).w &&
          g_.quant(t) == g_.quant(a)) {
        fits.push_back(t);
      }
    }
    for (int i = 0; i < 2; ++i) {
      const int b = g_.conv(a, channels(), 1);
      fits.push_back(g_.quant(b) == g_.quant(a) ? b : g_.rescale(b, g_.quant(a)));
    }
    for (const int t : list_) {  // one of another scale
      if (g_.shape(t).h != g_.shape(a).h || g_.shape(t).w != g_.shape(a).w ||
          g_.quant(t) == g_.quant(a) || !g_.chance(0.3))
        continue;
      fits.push_back(g_.rescale(t, g_.quant(a)));
      break;
    }
    std::vector<int> parts;
    for (int i = g_.uniform(2, 4); i > 0; --i) {
      parts.push_back(
          fits[static_cast<std::size_t>(g_.uniform(0, static_cast<int>(fits.size()) - 1))]);
    }
    keep(g_.concat(parts));
  }

  GraphLimits limits_;
  GraphBuilder g_;
  std::vector<int> list_;
};

}  // namespace

ir::QuantGraph random_graph(std::uint64_t seed, const GraphLimits& limits) {
  return Grower(seed, limits).run();
}

}  // namespace espalier::tests
