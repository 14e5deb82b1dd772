#include "examples/shapes/draw.hpp"

#include <algorithm>
#include <cmath>

#include "examples/shapes/outline.hpp"
#include "examples/shapes/rng.hpp"

namespace espalier::shapes {
namespace {

constexpr int kSamples = 4;  // samples a pixel, each way
constexpr std::uint64_t kLabelStreams = std::uint64_t{1} << 63;

struct Colour {
  double red, green, blue;
};

Colour mix(Colour a, Colour b, double t) {
  return {a.red + (b.red - a.red) * t, a.green + (b.green - a.green) * t,
          a.blue + (b.blue - a.blue) * t};
}

double squared_distance(Colour a, Colour b) {
  const double red = a.red - b.red;
  const double green = a.green - b.green;
  const double blue = a.blue - b.blue;
  return red * red + green * green + blue * blue;
}

struct Direction {
  double u, v;
};

// Draws one image on a canvas of doubles.
class Painter {
 public:
  Painter(std::uint64_t seed, std::uint64_t index) : rng_(seed, index) {}

  void background() {
    from_ = any_colour();
    to_ = near(from_, 0.3);
    const Direction along = direction();
    for_pixels([&](double x, double y, Colour& pixel) {
      const double t = 0.5 + ((x - kMiddle) * along.u + (y - kMiddle) * along.v) / kSide;
      pixel = mix(from_, to_, std::clamp(t, 0.0, 1.0));
    });
  }

  // A soft spot, much smaller than any shape.
  void blob() {
    const Colour colour = any_colour();
    const double radius = between(1.5, 4.0);
    const double cx = between(0.0, kSide);
    const double cy = between(0.0, kSide);
    for_pixels([&](double x, double y, Colour& pixel) {
      const double d = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (radius * radius);
      if (d < 1.0) {
        pixel = mix(pixel, colour, (1.0 - d) * (1.0 + d));
      }
    });
  }

  // A thin line from edge to edge.
  void line() {
    const Colour colour = any_colour();
    const double strength = between(0.4, 0.9);
    const double half_width = between(0.3, 0.7);
    const double cx = between(0.0, kSide);
    const double cy = between(0.0, kSide);
    const Direction along = direction();
    for_pixels([&](double x, double y, Colour& pixel) {
      const double off = std::abs((x - cx) * along.v - (y - cy) * along.u);
      pixel = mix(pixel, colour, strength * std::clamp(half_width + 0.5 - off, 0.0, 1.0));
    });
  }

  // The shape: turned, scaled, squeezed a little, anti-aliased, with a gradient of its own.
  void shape(Shape which) {
    const Colour light = foreground();
    const Colour shade = near(light, 0.12);
    const double radius = between(9.0, 14.0);
    const double squeeze = between(0.85, 1.0);
    const double room = kMiddle - radius + 1.0;  // at most a pixel outside the picture
    const double cx = kMiddle + between(-room, room);
    const double cy = kMiddle + between(-room, room);
    const Direction along = direction();
    for_pixels([&](double x, double y, Colour& pixel) {
      if (std::abs(x - cx) > radius + 1.0 || std::abs(y - cy) > radius + 1.0) {
        return;
      }
      int hits = 0;
      for (int sample = 0; sample < kSamples * kSamples; ++sample) {
        const double px = x - cx + (sample % kSamples + 0.5) / kSamples - 0.5;
        const double py = y - cy + (sample / kSamples + 0.5) / kSamples - 0.5;
        const double u = (px * along.u + py * along.v) / (radius * squeeze);
        const double v = (py * along.u - px * along.v) / radius;
        hits += inside(which, u, v) ? 1 : 0;
      }
      const double t = std::clamp(0.5 + (y - cy) / (2.0 * radius), 0.0, 1.0);
      pixel = mix(pixel, mix(light, shade, t), hits / double{kSamples * kSamples});
    });
  }

  void noise() {
    const double amplitude = between(0.0, 0.12);
    for_pixels([&](double, double, Colour& pixel) {
      pixel.red += between(-amplitude, amplitude);
      pixel.green += between(-amplitude, amplitude);
      pixel.blue += between(-amplitude, amplitude);
    });
  }

  int up_to(int most) { return static_cast<int>(rng_.below(static_cast<std::uint32_t>(most) + 1)); }

  void store(std::array<std::uint8_t, kImageBytes>& planes) const {
    for (std::size_t i = 0; i < kPlaneBytes; ++i) {
      planes[i] = to_byte(canvas_[i].red);
      planes[kPlaneBytes + i] = to_byte(canvas_[i].green);
      planes[2 * kPlaneBytes + i] = to_byte(canvas_[i].blue);
    }
  }

 private:
  static constexpr double kMiddle = kSide / 2.0;

  static std::uint8_t to_byte(double value) {
    return static_cast<std::uint8_t>(std::clamp(value, 0.0, 1.0) * 255.0 + 0.5);
  }

  double between(double low, double high) { return low + (high - low) * rng_.unit(); }

  Colour any_colour() {
    const double red = rng_.unit();
    const double green = rng_.unit();
    return {red, green, rng_.unit()};
  }

  Colour near(Colour colour, double reach) {
    const double red = colour.red + between(-reach, reach);
    const double green = colour.green + between(-reach, reach);
    return {red, green, colour.blue + between(-reach, reach)};
  }

  // A colour that stands out from both ends of the background.
  Colour foreground() {
    Colour colour = any_colour();
    while (std::min(squared_distance(colour, from_), squared_distance(colour, to_)) < 0.16) {
      colour = any_colour();
    }
    return colour;
  }

  // A unit vector of any angle, without sine and cosine, which differ between libraries.
  Direction direction() {
    for (;;) {
      const double x = between(-1.0, 1.0);
      const double y = between(-1.0, 1.0);
      const double square = x * x + y * y;
      if (square > 0.01 && square <= 1.0) {
        const double length = std::sqrt(square);
        return {x / length, y / length};
      }
    }
  }

  template <typename Body>
  void for_pixels(Body body) {
    for (std::size_t i = 0; i < kPlaneBytes; ++i) {
      body(static_cast<double>(i % kSide) + 0.5, static_cast<double>(i / kSide) + 0.5, canvas_[i]);
    }
  }

  Rng rng_;
  Colour from_{};
  Colour to_{};
  std::array<Colour, kPlaneBytes> canvas_{};
};

}  // namespace

std::uint8_t label_of(std::uint64_t seed, std::uint64_t index) {
  Rng rng(seed, kLabelStreams + index / kClasses);
  std::array<std::uint8_t, kClasses> deck{};
  for (std::uint8_t i = 0; i < kClasses; ++i) {
    const std::uint32_t other = rng.below(i + 1U);
    deck[i] = deck[other];
    deck[other] = i;
  }
  return deck[index % kClasses];
}

Drawing draw(std::uint64_t seed, std::uint64_t index) {
  Drawing drawing;
  drawing.label = label_of(seed, index);
  Painter painter(seed, index);
  painter.background();
  for (int n = painter.up_to(3); n > 0; --n) {
    painter.blob();
  }
  for (int n = painter.up_to(2); n > 0; --n) {
    painter.line();
  }
  painter.shape(static_cast<Shape>(drawing.label));
  for (int n = painter.up_to(1); n > 0; --n) {
    painter.line();
  }
  painter.noise();
  painter.store(drawing.planes);
  return drawing;
}

}  // namespace espalier::shapes
