#pragma once
// The outlines of the ten shapes, each inside a circle of radius 1 around the origin.

#include <cstdint>

namespace espalier::shapes {

/// The classes, in the order of their labels.
enum class Shape : std::uint8_t {
  kCircle,
  kRing,
  kCrescent,
  kHeart,
  kSquare,
  kTriangle,
  kHexagon,
  kStar,
  kCross,
  kArrow,
};

/// True where the point lies in the shape; v points down.
bool inside(Shape shape, double u, double v);

}  // namespace espalier::shapes
