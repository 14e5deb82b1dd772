#include "graphs.hpp"

namespace espalier::tests {
namespace {

ir::Window window(int kh, int kw, int stride, int pad_h, int pad_w) {
  ir::Window w;
  w.kh = kh;
  w.kw = kw;
  w.stride_h = w.stride_w = stride;
  w.pad_top = w.pad_bottom = pad_h;
  w.pad_left = w.pad_right = pad_w;
  return w;
}

int basic_block(GraphBuilder& g, int x, int channels, int stride) {
  int y = g.conv(x, channels, 3, stride);
  y = g.conv(y, channels, 3);
  const int shortcut = stride == 1 && g.shape(x).c == channels ? x : g.conv(x, channels, 1, stride);
  return g.add(y, shortcut);
}

int bottleneck(GraphBuilder& g, int x, int channels, int stride) {
  int y = g.conv(x, channels, 1);
  y = g.conv(y, channels, 3, stride);
  const int shortcut =
      stride == 1 && g.shape(x).c == 4 * channels ? x : g.conv(x, 4 * channels, 1, stride);
  return g.add(g.conv(y, 4 * channels, 1), shortcut);
}

/// The modules of Inception-V3, as in the torchvision model.
struct Inception {
  GraphBuilder& g;
  int c(int x, int channels, int kh, int kw) const {
    return g.conv(x, channels, window(kh, kw, 1, kh / 2, kw / 2));
  }
  int valid(int x, int channels, int k, int stride) const {
    return g.conv(x, channels, window(k, k, stride, 0, 0));
  }
  int max3(int x) const { return g.pool(x, ir::PoolKind::kMax, window(3, 3, 2, 0, 0)); }
  int average3(int x) const {
    return g.pool(x, ir::PoolKind::kAverage, window(3, 3, 1, 1, 1), true);
  }

  int a(int x, int features) const {
    return g.concat({c(x, 64, 1, 1), c(c(x, 48, 1, 1), 64, 5, 5),
                     c(c(c(x, 64, 1, 1), 96, 3, 3), 96, 3, 3), c(average3(x), features, 1, 1)});
  }
  int b(int x) const {
    return g.concat({valid(x, 384, 3, 2), valid(c(c(x, 64, 1, 1), 96, 3, 3), 96, 3, 2), max3(x)});
  }
  int mixed_c(int x, int k) const {
    return g.concat({c(x, 192, 1, 1), c(c(c(x, k, 1, 1), k, 1, 7), 192, 7, 1),
                     c(c(c(c(c(x, k, 1, 1), k, 7, 1), k, 1, 7), k, 7, 1), 192, 1, 7),
                     c(average3(x), 192, 1, 1)});
  }
  int d(int x) const {
    return g.concat({valid(c(x, 192, 1, 1), 320, 3, 2),
                     valid(c(c(c(x, 192, 1, 1), 192, 1, 7), 192, 7, 1), 192, 3, 2), max3(x)});
  }
  int e(int x) const {
    const int b3 = c(x, 384, 1, 1);
    const int b5 = c(c(x, 448, 1, 1), 384, 3, 3);
    return g.concat({c(x, 320, 1, 1), g.concat({c(b3, 384, 1, 3), c(b3, 384, 3, 1)}),
                     g.concat({c(b5, 384, 1, 3), c(b5, 384, 3, 1)}), c(average3(x), 192, 1, 1)});
  }
};

}  // namespace

ir::QuantGraph cifar_resnet(int n) {
  GraphBuilder g(static_cast<std::uint64_t>(n));
  int x = g.conv(g.input(3, 32, 32), 16, 3);
  for (const int channels : {16, 32, 64}) {
    for (int i = 0; i < n; ++i) x = basic_block(g, x, channels, channels > 16 && i == 0 ? 2 : 1);
  }
  return g.finish(g.conv(g.global_average(x), 10, 1));
}

ir::QuantGraph deep_graph(int layers) {
  GraphBuilder g(static_cast<std::uint64_t>(layers));
  int x = g.conv(g.input(3, 8, 8), 8, 3);
  for (int made = 1; made + 3 < layers;) {
    if (g.chance(0.1)) {
      x = g.pool(x, ir::PoolKind::kMax, window(3, 3, 1, 1, 1));
      made += 1;
      continue;
    }
    const int y = g.conv(g.conv(x, 4 * g.uniform(1, 4), 1), 8, g.chance(0.5) ? 3 : 1);
    x = g.chance(0.7) ? g.add(y, x) : y;
    made += 2;
  }
  x = g.conv(g.conv(x, 12, 1), 8, 1);
  return g.finish(g.conv(g.global_average(x), 5, 1));
}

ir::QuantGraph resnet8() {
  GraphBuilder g(8);
  int x = g.conv(g.input(3, 32, 32), 16, 3);
  for (const int channels : {16, 32, 64}) x = basic_block(g, x, channels, channels > 16 ? 2 : 1);
  return g.finish(g.conv(g.global_average(x), 10, 1));
}

ir::QuantGraph resnet50(int size) {
  GraphBuilder g(50);
  int x = g.conv(g.input(3, size, size), 64, 7, 2);
  x = g.pool(x, ir::PoolKind::kMax, window(3, 3, 2, 1, 1));
  int channels = 64;
  for (const int blocks : {3, 4, 6, 3}) {
    for (int i = 0; i < blocks; ++i)
      x = bottleneck(g, x, channels, channels > 64 && i == 0 ? 2 : 1);
    channels *= 2;
  }
  return g.finish(g.conv(g.global_average(x), 1000, 1));
}

ir::QuantGraph inception_v3(int size) {
  GraphBuilder g(3);
  g.share_quants(1);
  const Inception m{g};
  int x = m.valid(g.input(3, size, size), 32, 3, 2);
  x = m.valid(x, 32, 3, 1);
  x = m.max3(m.c(x, 64, 3, 3));
  x = m.max3(m.valid(m.valid(x, 80, 1, 1), 192, 3, 1));
  for (const int features : {32, 64, 64}) x = m.a(x, features);
  x = m.b(x);
  for (const int k : {128, 160, 160, 192}) x = m.mixed_c(x, k);
  x = m.e(m.e(m.d(x)));
  return g.finish(g.conv(g.global_average(x), 1000, 1));
}

}  // namespace espalier::tests
