#include <algorithm>
#include <cmath>

#include "images/source.hpp"

namespace espalier::images {

std::vector<Blend> blends(int in, int out, int from, int count) {
  const double step = double(in) / out;
  const double support = std::max(1.0, step);  // a triangle of this half width
  std::vector<Blend> result;
  for (int o = from; o < from + count; ++o) {
    const double centre = (o + 0.5) * step;
    const int first = std::max(0, static_cast<int>(std::floor(centre - support)));
    const int last = std::min(in - 1, static_cast<int>(std::ceil(centre + support)));
    Blend blend{first, {}};
    double sum = 0;
    for (int i = first; i <= last; ++i) {
      blend.weights.push_back(std::max(0.0, 1.0 - std::abs(i + 0.5 - centre) / support));
      sum += blend.weights.back();
    }
    for (double& weight : blend.weights) weight /= sum;
    result.push_back(std::move(blend));
  }
  return result;
}

std::vector<float> scale_and_crop(const Picture& picture, int height, int width) {
  constexpr double kMargin = 256.0 / 224.0;
  const int channels = picture.channels;
  const double scale =
      kMargin * std::max(double(height) / picture.height, double(width) / picture.width);
  const int scaled_h = std::max(height, static_cast<int>(std::lround(picture.height * scale)));
  const int scaled_w = std::max(width, static_cast<int>(std::lround(picture.width * scale)));
  // Only what the crop keeps is computed: columns first, for the rows that are needed.
  const auto rows = blends(picture.height, scaled_h, (scaled_h - height) / 2, height);
  const auto columns = blends(picture.width, scaled_w, (scaled_w - width) / 2, width);
  const int top = rows.front().first;
  const int bottom = rows.back().first + static_cast<int>(rows.back().weights.size());
  const std::size_t line = std::size_t(width) * channels;
  std::vector<float> narrow((bottom - top) * line);
  for (int y = top; y < bottom; ++y) {
    const std::uint8_t* const in =
        picture.pixels.data() + std::size_t(y) * picture.width * channels;
    float* out = narrow.data() + (y - top) * line;
    for (const Blend& blend : columns) {
      for (int c = 0; c < channels; ++c) {
        double sum = 0;
        for (std::size_t i = 0; i < blend.weights.size(); ++i) {
          sum += blend.weights[i] * in[(blend.first + i) * channels + c];
        }
        *out++ = static_cast<float>(sum);
      }
    }
  }
  const std::size_t plane = std::size_t(height) * width;
  std::vector<float> result(channels * plane);
  for (int y = 0; y < height; ++y) {
    const Blend& blend = rows[std::size_t(y)];
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        double sum = 0;
        for (std::size_t i = 0; i < blend.weights.size(); ++i) {
          sum += blend.weights[i] *
                 narrow[(blend.first - top + i) * line + std::size_t(x) * channels + c];
        }
        result[c * plane + std::size_t(y) * width + x] =
            static_cast<float>(std::clamp(std::nearbyint(sum), 0.0, 255.0));
      }
    }
  }
  return result;
}

}  // namespace espalier::images
