#pragma once
// ONNX operators as plain loops over one image, to compare imported graphs with.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace espalier::tests::plain {

/// Shapes: values [c][h][w].
struct Image {
  int c = 1, h = 1, w = 1;
  std::vector<float> values;
  Image(int c_, int h_, int w_) : c(c_), h(h_), w(w_), values(std::size_t(c_) * h_ * w_, 0.0F) {}
  Image(int c_, int h_, int w_, std::vector<float> v) : c(c_), h(h_), w(w_), values(std::move(v)) {}
  float& at(int i, int y, int x) { return values[(std::size_t(i) * h + y) * w + x]; }
  [[nodiscard]] float at(int i, int y, int x) const {
    return values[(std::size_t(i) * h + y) * w + x];
  }
  [[nodiscard]] bool holds(int y, int x) const { return y >= 0 && x >= 0 && y < h && x < w; }
};

struct Window {
  int kh = 1, kw = 1, sh = 1, sw = 1, top = 0, left = 0, bottom = 0, right = 0, dh = 1, dw = 1;
};

/// Shapes: weights [n][c / groups][kh][kw], as ONNX stores them.
inline Image conv(const Image& x, const std::vector<float>& weights, const std::vector<float>& bias,
                  int n, const Window& k, int groups = 1) {
  const int oh = (x.h + k.top + k.bottom - (k.dh * (k.kh - 1) + 1)) / k.sh + 1;
  const int ow = (x.w + k.left + k.right - (k.dw * (k.kw - 1) + 1)) / k.sw + 1;
  const int per = x.c / groups;
  Image y(n, oh, ow);
  for (int o = 0; o < n; ++o) {
    for (int r = 0; r < oh; ++r) {
      for (int s = 0; s < ow; ++s) {
        double sum = bias.empty() ? 0 : bias[o];
        for (int c = 0; c < per; ++c) {
          for (int i = 0; i < k.kh; ++i) {
            for (int j = 0; j < k.kw; ++j) {
              const int yy = r * k.sh - k.top + i * k.dh;
              const int xx = s * k.sw - k.left + j * k.dw;
              if (!x.holds(yy, xx)) continue;
              const int from = o / (n / groups) * per + c;
              sum += double(x.at(from, yy, xx)) *
                     weights[((std::size_t(o) * per + c) * k.kh + i) * k.kw + j];
            }
          }
        }
        y.at(o, r, s) = float(sum);
      }
    }
  }
  return y;
}

enum class Pool { kMax, kAverage, kAverageWithPads };

inline Image pool(const Image& x, Pool kind, const Window& k, bool ceil = false) {
  const auto extent = [&](int size, int kernel, int stride, int before, int after) {
    const int room = size + before + after - kernel;
    int count = (ceil ? (room + stride - 1) / stride : room / stride) + 1;
    if (ceil && (count - 1) * stride >= size + before) --count;
    return count;
  };
  Image y(x.c, extent(x.h, k.kh, k.sh, k.top, k.bottom), extent(x.w, k.kw, k.sw, k.left, k.right));
  for (int c = 0; c < y.c; ++c) {
    for (int r = 0; r < y.h; ++r) {
      for (int s = 0; s < y.w; ++s) {
        float most = -std::numeric_limits<float>::infinity();
        double sum = 0;
        int inside = 0;
        int with_pads = 0;
        for (int i = 0; i < k.kh; ++i) {
          for (int j = 0; j < k.kw; ++j) {
            const int yy = r * k.sh - k.top + i;
            const int xx = s * k.sw - k.left + j;
            if (yy < x.h + k.bottom && xx < x.w + k.right) ++with_pads;
            if (!x.holds(yy, xx)) continue;
            ++inside;
            sum += x.at(c, yy, xx);
            most = std::max(most, x.at(c, yy, xx));
          }
        }
        y.at(c, r, s) =
            kind == Pool::kMax ? most : float(sum / (kind == Pool::kAverage ? inside : with_pads));
      }
    }
  }
  return y;
}

template <typename F>
Image map(Image x, F&& f) {
  for (int c = 0; c < x.c; ++c) {
    for (int r = 0; r < x.h; ++r) {
      for (int s = 0; s < x.w; ++s) x.at(c, r, s) = f(x.at(c, r, s), c);
    }
  }
  return x;
}

inline Image add(Image a, const Image& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
  return a;
}

inline Image relu(const Image& x) {
  return map(x, [](float v, int) { return std::max(v, 0.0F); });
}

inline Image concat(const Image& a, const Image& b) {
  Image y(a.c + b.c, a.h, a.w, a.values);
  y.values.insert(y.values.end(), b.values.begin(), b.values.end());
  return y;
}

/// Pads rows, columns and channels with one value.
inline Image pad(const Image& x, int top, int left, int bottom, int right, float value,
                 int before = 0, int after = 0) {
  Image y(x.c + before + after, x.h + top + bottom, x.w + left + right);
  std::fill(y.values.begin(), y.values.end(), value);
  for (int c = 0; c < x.c; ++c) {
    for (int r = 0; r < x.h; ++r) {
      for (int s = 0; s < x.w; ++s) y.at(c + before, r + top, s + left) = x.at(c, r, s);
    }
  }
  return y;
}

/// Shapes: matrix [k][n] over the elements in the order of `flat`.
inline Image dense(const std::vector<float>& flat, const std::vector<float>& matrix, int n,
                   const std::vector<float>& bias = {}) {
  Image y(n, 1, 1);
  for (int o = 0; o < n; ++o) {
    double sum = bias.empty() ? 0 : bias[o];
    for (std::size_t k = 0; k < flat.size(); ++k) sum += double(flat[k]) * matrix[k * n + o];
    y.values[o] = float(sum);
  }
  return y;
}

/// The elements in the order h, w, c.
inline std::vector<float> channels_last(const Image& x) {
  std::vector<float> flat;
  for (int r = 0; r < x.h; ++r) {
    for (int s = 0; s < x.w; ++s) {
      for (int c = 0; c < x.c; ++c) flat.push_back(x.at(c, r, s));
    }
  }
  return flat;
}

}  // namespace espalier::tests::plain
