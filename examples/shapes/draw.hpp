#pragma once
// Draws small colour pictures of ten shapes amid clutter: training, calibration and test images
// for the demo, without a data set. The same seed gives the same bytes on every machine with
// IEEE 754 doubles: only + - * / and square roots are used, uncontracted.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espalier::shapes {

inline constexpr int kSide = 32;  ///< pixels
inline constexpr int kClasses = 10;
inline constexpr std::size_t kPlaneBytes = std::size_t{kSide} * kSide;
inline constexpr std::size_t kImageBytes = 3 * kPlaneBytes;

/// The names of the classes, by label.
inline constexpr std::array<std::string_view, kClasses> kClassNames = {
    "circle",   "ring",    "crescent", "heart", "square",
    "triangle", "hexagon", "star",     "cross", "arrow"};

/// One labelled image: the red plane, then green, then blue, each row by row from the top.
struct Drawing {
  std::uint8_t label = 0;  ///< Range: 0 .. kClasses - 1.
  std::array<std::uint8_t, kImageBytes> planes{};
};

/// The label of image `index` of the endless set `seed`: each ten in a row hold every class once.
std::uint8_t label_of(std::uint64_t seed, std::uint64_t index);

/// Image `index` of the endless set `seed`. It depends on nothing else.
Drawing draw(std::uint64_t seed, std::uint64_t index);

}  // namespace espalier::shapes
