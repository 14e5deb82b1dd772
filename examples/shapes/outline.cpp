#include "examples/shapes/outline.hpp"

#include <span>

namespace espalier::shapes {
namespace {

struct Point {
  double u, v;
};

constexpr Point kSquare[] = {{-0.68, -0.68}, {0.68, -0.68}, {0.68, 0.68}, {-0.68, 0.68}};
constexpr Point kTriangle[] = {{0.0, -1.0}, {0.866, 0.5}, {-0.866, 0.5}};
constexpr Point kHexagon[] = {{0.95, 0.0},  {0.475, 0.823},   {-0.475, 0.823},
                              {-0.95, 0.0}, {-0.475, -0.823}, {0.475, -0.823}};
constexpr Point kStar[] = {{0.0, -1.0},      {0.235, -0.324}, {0.951, -0.309}, {0.380, 0.124},
                           {0.588, 0.809},   {0.0, 0.4},      {-0.588, 0.809}, {-0.380, 0.124},
                           {-0.951, -0.309}, {-0.235, -0.324}};
constexpr Point kCross[] = {{-0.28, -0.92}, {0.28, -0.92}, {0.28, -0.28},  {0.92, -0.28},
                            {0.92, 0.28},   {0.28, 0.28},  {0.28, 0.92},   {-0.28, 0.92},
                            {-0.28, 0.28},  {-0.92, 0.28}, {-0.92, -0.28}, {-0.28, -0.28}};
constexpr Point kArrow[] = {{0.0, -1.0},  {0.8, -0.1},   {0.28, -0.1}, {0.28, 0.9},
                            {-0.28, 0.9}, {-0.28, -0.1}, {-0.8, -0.1}};

// Even-odd rule.
bool in_polygon(std::span<const Point> corners, double u, double v) {
  bool in = false;
  Point from = corners.back();
  for (const Point to : corners) {
    if ((from.v > v) != (to.v > v) &&
        u < (to.u - from.u) * (v - from.v) / (to.v - from.v) + from.u) {
      in = !in;
    }
    from = to;
  }
  return in;
}

bool in_disc(double u, double v, double radius) { return u * u + v * v <= radius * radius; }

// The sextic heart curve, scaled into the unit circle, its tip down.
bool in_heart(double u, double v) {
  const double x = 1.34 * u;
  const double y = -1.34 * v + 0.12;
  const double ring = x * x + y * y - 1.0;
  return ring * ring * ring <= x * x * y * y * y;
}

}  // namespace

bool inside(Shape shape, double u, double v) {
  switch (shape) {
    case Shape::kCircle:
      return in_disc(u, v, 0.85);
    case Shape::kRing:
      return in_disc(u, v, 0.9) && !in_disc(u, v, 0.5);
    case Shape::kCrescent:
      return in_disc(u, v, 0.95) && !in_disc(u - 0.42, v, 0.78);
    case Shape::kHeart:
      return in_heart(u, v);
    case Shape::kSquare:
      return in_polygon(kSquare, u, v);
    case Shape::kTriangle:
      return in_polygon(kTriangle, u, v);
    case Shape::kHexagon:
      return in_polygon(kHexagon, u, v);
    case Shape::kStar:
      return in_polygon(kStar, u, v);
    case Shape::kCross:
      return in_polygon(kCross, u, v);
    case Shape::kArrow:
      return in_polygon(kArrow, u, v);
  }
  return false;
}

}  // namespace espalier::shapes
