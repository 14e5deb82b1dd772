#include "images/degrade.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "images/source.hpp"

namespace espalier::images {
namespace {

using Random = std::mt19937_64;

constexpr double kFogDecay = 2;                         // where none is given
constexpr double kFogDecays[5] = {3, 3, 2.5, 2, 1.75};  // of the severities
constexpr double kLeastDecay = 1.1, kMostDecay = 10;

constexpr DegradeKind kKinds[] = {
    {Degrade::kJpeg,
     "jpeg",
     "Q",
     "compressed as JPEG of quality Q, and read again",
     1,
     100,
     false,
     true,
     "jpeg_compression",
     {80, 65, 58, 50, 40}},
    {Degrade::kNoise,
     "noise",
     "S",
     "normal noise of deviation S of the full range",
     0,
     1,
     false,
     false,
     "gaussian_noise",
     {0.04, 0.06, 0.08, 0.09, 0.10}},
    {Degrade::kShot,
     "shot",
     "N",
     "photon noise where N photons make full light",
     1,
     1e6,
     false,
     false,
     "shot_noise",
     {500, 250, 100, 75, 50}},
    {Degrade::kImpulse,
     "impulse",
     "P",
     "the share P of the values lost, to nothing or to full",
     0,
     1,
     false,
     false,
     "impulse_noise",
     {0.01, 0.02, 0.03, 0.05, 0.07}},
    {Degrade::kBlur,
     "blur",
     "S",
     "a Gaussian blur of deviation S pixels",
     0,
     100,
     true,
     false,
     "gaussian_blur",
     {0.4, 0.6, 0.7, 0.8, 1}},
    {Degrade::kDark,
     "dark",
     "F",
     "the share F of the light is left",
     0,
     1,
     false,
     false,
     nullptr,
     {}},
    {Degrade::kBright,
     "bright",
     "A",
     "A more (less than 0: darker) of the value in HSV",
     -1,
     1,
     false,
     false,
     "brightness",
     {0.05, 0.1, 0.15, 0.2, 0.3}},
    {Degrade::kContrast,
     "contrast",
     "F",
     "F times as far from each channel's mean",
     0,
     10,
     false,
     false,
     "contrast",
     {0.75, 0.5, 0.4, 0.3, 0.15}},
    {Degrade::kDownscale,
     "downscale",
     "N",
     "a picture of 1/N the size, and back, smooth",
     1,
     64,
     false,
     false,
     nullptr,
     {}},
    {Degrade::kPixelate,
     "pixelate",
     "F",
     "a picture of F of the size, and back, in blocks",
     0,
     1,
     true,
     false,
     "pixelate",
     {0.95, 0.9, 0.85, 0.75, 0.65}},
    {Degrade::kFog,
     "fog",
     "T[,D]",
     "fog as thick as T; rough where D is small (2)",
     0,
     10,
     false,
     false,
     "fog",
     {0.2, 0.5, 0.75, 1, 1.5}},
};

const DegradeKind& kind_of(Degrade kind) {
  return *std::ranges::find(kKinds, kind, &DegradeKind::kind);
}

/// A picture in numbers. Shapes: values [height][width][channels], 0 to 1.
struct Canvas {
  int width = 0, height = 0, channels = 0;
  std::vector<float> values;

  [[nodiscard]] std::size_t at(int y, int x, int c) const {
    return (std::size_t(y) * std::size_t(width) + std::size_t(x)) * std::size_t(channels) +
           std::size_t(c);
  }
  void cut() {
    for (float& value : values) value = std::clamp(value, 0.0F, 1.0F);
  }
};

Canvas canvas(const Picture& picture) {
  Canvas out{picture.width, picture.height, picture.channels, {}};
  out.values.reserve(picture.pixels.size());
  for (const std::uint8_t pixel : picture.pixels)
    out.values.push_back(static_cast<float>(pixel) / 255.0F);
  return out;
}

Picture picture(const Canvas& canvas) {
  Picture out{canvas.width, canvas.height, canvas.channels, {}};
  out.pixels.reserve(canvas.values.size());
  for (const float value : canvas.values)
    out.pixels.push_back(static_cast<std::uint8_t>(std::lround(value * 255.0F)));
  return out;
}

/// A picture of another size along one direction: a blend for each new column, or row.
Canvas resized(const Canvas& old, bool across, const std::vector<Blend>& taps) {
  const int size = static_cast<int>(taps.size());
  Canvas out{across ? size : old.width, across ? old.height : size, old.channels, {}};
  out.values.resize(std::size_t(out.width) * std::size_t(out.height) * std::size_t(out.channels));
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const Blend& tap = taps[std::size_t(across ? x : y)];
      for (int c = 0; c < out.channels; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < tap.weights.size(); ++k) {
          const int i = tap.first + static_cast<int>(k);
          sum += static_cast<float>(tap.weights[k]) *
                 old.values[across ? old.at(y, i, c) : old.at(i, x, c)];
        }
        out.values[out.at(y, x, c)] = sum;
      }
    }
  }
  return out;
}

/// Means of areas: new pixel i covers [i, i + 1) * from / to.
std::vector<Blend> area_taps(int from, int to) {
  std::vector<Blend> taps(static_cast<std::size_t>(to));
  const double step = static_cast<double>(from) / to;
  for (int i = 0; i < to; ++i) {
    const double begin = i * step, end = std::min<double>((i + 1) * step, from);
    const int first = std::min(static_cast<int>(begin), from - 1);
    std::vector<float> weights;
    for (int k = first; k < from && k < end; ++k) {
      const double share = std::min<double>(k + 1, end) - std::max<double>(k, begin);
      if (share > 1e-9 || k == first) weights.push_back(static_cast<float>(share / step));
    }
    const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F);
    for (float& weight : weights) weight /= sum;
    taps[static_cast<std::size_t>(i)] = {first, {weights.begin(), weights.end()}};
  }
  return taps;
}

std::vector<Blend> nearest_taps(int from, int to) {
  std::vector<Blend> taps(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i)
    taps[static_cast<std::size_t>(i)] = {
        std::min(static_cast<int>((i + 0.5) * from / to), from - 1), {1}};
  return taps;
}

int part(int size, double share) {
  return std::clamp(static_cast<int>(std::lround(size * share)), 1, size);
}

Canvas coarse(const Canvas& old, double share, bool smooth) {
  const int width = part(old.width, share), height = part(old.height, share);
  const Canvas small = resized(resized(old, true, area_taps(old.width, width)), false,
                               area_taps(old.height, height));
  const auto back = [smooth](int from, int to) {
    return smooth ? blends(from, to, 0, to) : nearest_taps(from, to);
  };
  return resized(resized(small, true, back(width, old.width)), false, back(height, old.height));
}

/// Every pixel goes on outside: taps at the edge take its weights together.
std::vector<Blend> blur_taps(int size, double deviation) {
  const int reach = std::max(1, static_cast<int>(std::ceil(4 * deviation)));
  std::vector<double> kernel;
  for (int k = -reach; k <= reach; ++k)
    kernel.push_back(std::exp(-0.5 * k * k / (deviation * deviation)));
  const double sum = std::accumulate(kernel.begin(), kernel.end(), 0.0);
  std::vector<Blend> taps(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const int first = std::max(i - reach, 0);
    std::vector<float> weights(static_cast<std::size_t>(std::min(i + reach, size - 1) - first + 1));
    for (int k = -reach; k <= reach; ++k) {
      const int from = std::clamp(i + k, 0, size - 1);
      weights[static_cast<std::size_t>(from - first)] +=
          static_cast<float>(kernel[static_cast<std::size_t>(k + reach)] / sum);
    }
    taps[static_cast<std::size_t>(i)] = {first, {weights.begin(), weights.end()}};
  }
  return taps;
}

void brighten(Canvas& canvas, float more) {
  for (std::size_t i = 0; i < canvas.values.size(); i += std::size_t(canvas.channels)) {
    const std::span pixel(&canvas.values[i], std::size_t(canvas.channels));
    const float value = *std::ranges::max_element(pixel);
    const float wanted = std::clamp(value + more, 0.0F, 1.0F);
    for (float& x : pixel) x = value > 0 ? x * wanted / value : wanted;
  }
}

void spread(Canvas& canvas, float factor) {
  const auto channels = std::size_t(canvas.channels);
  const double pixels = static_cast<double>(canvas.width) * canvas.height;
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (std::size_t i = c; i < canvas.values.size(); i += channels) sum += canvas.values[i];
    const auto mean = static_cast<float>(sum / pixels);
    for (std::size_t i = c; i < canvas.values.size(); i += channels)
      canvas.values[i] = mean + factor * (canvas.values[i] - mean);
  }
}

/// A square of fog from 0 to 1, closed at its ends: midpoint displacement (diamonds and squares).
/// Range: size is a power of two, 2 or more.
std::vector<double> fog_square(int size, double decay, Random& random) {
  const auto n = static_cast<std::size_t>(size);
  std::vector<double> map(n * n, 0.0);
  const auto at = [&map, n](std::size_t y, std::size_t x) -> double& {
    return map[(y % n) * n + x % n];
  };
  double rough = 1;
  for (std::size_t step = n; step >= 2; step /= 2) {
    std::uniform_real_distribution<double> draw(-rough, rough);
    const std::size_t half = step / 2;
    for (std::size_t y = 0; y < n; y += step) {
      for (std::size_t x = 0; x < n; x += step) {
        at(y + half, x + half) =
            (at(y, x) + at(y, x + step) + at(y + step, x) + at(y + step, x + step)) / 4 +
            draw(random);
      }
    }
    for (std::size_t y = 0; y < n; y += half) {
      for (std::size_t x = y % step == 0 ? half : 0; x < n; x += step) {
        at(y, x) =
            (at(y + n - half, x) + at(y + half, x) + at(y, x + n - half) + at(y, x + half)) / 4 +
            draw(random);
      }
    }
    rough /= decay * decay;
  }
  const auto [low, high] = std::ranges::minmax_element(map);
  const double base = *low, range = *high > *low ? *high - *low : 1;
  for (double& value : map) value = (value - base) / range;
  return map;
}

void add_fog(Canvas& canvas, double thick, double decay, Random& random) {
  int size = 2;
  while (size < std::max(canvas.width, canvas.height)) size *= 2;
  const std::vector<double> fog = fog_square(size, decay, random);
  const double most = *std::ranges::max_element(canvas.values);
  const double scale = most + thick > 0 ? most / (most + thick) : 0;
  for (int y = 0; y < canvas.height; ++y) {
    for (int x = 0; x < canvas.width; ++x) {
      const double here = thick * fog[std::size_t(y) * std::size_t(size) + std::size_t(x)];
      for (int c = 0; c < canvas.channels; ++c) {
        float& value = canvas.values[canvas.at(y, x, c)];
        value = static_cast<float>((value + here) * scale);
      }
    }
  }
}

/// Everything but JPEG.
void change(Canvas& canvas, const Degradation& how, Random& random) {
  const auto amount = static_cast<float>(how.amount);
  switch (how.kind) {
    case Degrade::kJpeg:
      break;
    case Degrade::kNoise: {
      std::normal_distribution<float> normal;
      for (float& value : canvas.values) value += amount * normal(random);
      break;
    }
    case Degrade::kShot:
      for (float& value : canvas.values) {
        const double mean = how.amount * value;
        if (mean > 0) {
          value = static_cast<float>(
              static_cast<double>(std::poisson_distribution<std::int64_t>(mean)(random)) /
              how.amount);
        }
      }
      break;
    case Degrade::kImpulse: {
      std::uniform_real_distribution<double> even;
      for (float& value : canvas.values) {
        const double drawn = even(random);
        if (drawn < how.amount) value = drawn < how.amount / 2 ? 0.0F : 1.0F;
      }
      break;
    }
    case Degrade::kBlur:
      canvas = resized(resized(canvas, true, blur_taps(canvas.width, how.amount)), false,
                       blur_taps(canvas.height, how.amount));
      break;
    case Degrade::kDark:
      for (float& value : canvas.values) value *= amount;
      break;
    case Degrade::kBright:
      brighten(canvas, amount);
      break;
    case Degrade::kContrast:
      spread(canvas, amount);
      break;
    case Degrade::kDownscale:
      canvas = coarse(canvas, 1 / how.amount, true);
      break;
    case Degrade::kPixelate:
      canvas = coarse(canvas, how.amount, false);
      break;
    case Degrade::kFog:
      add_fog(canvas, how.amount, how.decay, random);
      break;
  }
  canvas.cut();
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

}  // namespace

std::span<const DegradeKind> degrade_kinds() { return kKinds; }

std::string Degradation::text() const {
  const std::string name = kind_of(kind).name;
  return kind == Degrade::kFog ? fmt::format("{} {:g},{:g}", name, amount, decay)
                               : fmt::format("{} {:g}", name, amount);
}

Result<Degradation> parse_degradation(const std::string& kind, const std::string& text) {
  const auto* known = std::ranges::find(kKinds, kind, &DegradeKind::name);
  ESP_CHECK(known != std::end(kKinds));
  const std::string option = "--" + kind;
  const std::size_t comma = known->kind == Degrade::kFog ? text.find(',') : std::string::npos;
  const auto amount = number(std::string_view(text).substr(0, comma));
  if (!amount || *amount < known->low || *amount > known->high ||
      (known->above && *amount == known->low) || (known->whole && *amount != std::floor(*amount))) {
    return fail(
        ErrorCode::kUsage,
        fmt::format("`{}` is no {} {} {:g} to {:g}", text, known->whole ? "whole number" : "number",
                    known->above ? "above" : "from", known->low, known->high),
        option);
  }
  Degradation made{known->kind, *amount, known->kind == Degrade::kFog ? kFogDecay : 0};
  if (comma == std::string::npos) return made;
  const auto decay = number(std::string_view(text).substr(comma + 1));
  if (!decay || *decay < kLeastDecay || *decay > kMostDecay) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` is no number from {:g} to {:g}", text.substr(comma + 1),
                            kLeastDecay, kMostDecay),
                option);
  }
  made.decay = *decay;
  return made;
}

Result<Degradation> corruption(const std::string& name, int severity) {
  ESP_CHECK(severity >= 1 && severity <= 5);
  std::string known;
  for (const DegradeKind& kind : kKinds) {
    if (kind.corruption == nullptr) continue;
    const auto level = static_cast<std::size_t>(severity - 1);
    if (name == kind.corruption) {
      return Degradation{kind.kind, kind.severities[level],
                         kind.kind == Degrade::kFog ? kFogDecays[level] : 0};
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.corruption);
  }
  return fail(ErrorCode::kUsage, fmt::format("`{}` is none of {}", name, known), "--corruption");
}

Result<Picture> degrade(const Picture& original, std::span<const Degradation> list,
                        std::uint64_t seed, std::uint64_t place) {
  std::seed_seq words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                      static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(place >> 32)};
  Random random(words);
  Canvas now = canvas(original);
  for (const Degradation& how : list) {
    if (how.kind == Degrade::kJpeg) {
      const auto read = through_jpeg(picture(now), static_cast<int>(how.amount));
      if (!read) return read.error();
      now = canvas(*read);
    } else {
      change(now, how, random);
    }
  }
  return picture(now);
}

}  // namespace espalier::images
