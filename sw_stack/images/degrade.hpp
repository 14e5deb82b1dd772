#pragma once
// Pictures made worse, as an edge makes them (docs/degraded-images.md).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace espalier::images {

struct Picture;

enum class Degrade {
  kJpeg,
  kNoise,
  kShot,
  kImpulse,
  kBlur,
  kDark,
  kBright,
  kContrast,
  kDownscale,
  kPixelate,
  kFog
};

/// What a kind is called, and what it takes.
struct DegradeKind {
  Degrade kind;
  const char* name;   ///< of the option, without its dashes
  const char* takes;  ///< what its number is, for --help
  const char* does;
  double low, high;           ///< of the number
  bool above;                 ///< low itself is none
  bool whole = false;         ///< a whole number
  const char* corruption;     ///< its name in CIFAR-10-C; none: nullptr
  double severities[5] = {};  ///< there
};
std::span<const DegradeKind> degrade_kinds();

struct Degradation {
  Degrade kind = Degrade::kJpeg;
  double amount = 0;
  double decay = 0;  ///< of fog: what its roughness is divided by, squared, at every halving

  /// `jpeg 10`.
  [[nodiscard]] std::string text() const;
};

/// A kind by its name, and its number as text (of fog two, the second may be left out).
/// Errors: kUsage, naming the option.
Result<Degradation> parse_degradation(const std::string& kind, const std::string& text);

/// A corruption of CIFAR-10-C. Range of severity: 1 to 5. Errors: kUsage.
Result<Degradation> corruption(const std::string& name, int severity);

/// One kind after the other. `seed` and `place` choose the numbers that are drawn.
/// Errors: kUnsupported, of a picture that is too large for JPEG.
Result<Picture> degrade(const Picture& picture, std::span<const Degradation> list,
                        std::uint64_t seed, std::uint64_t place);

/// Compressed and read again. Range of quality: 1 to 100. Errors: as degrade.
Result<Picture> through_jpeg(const Picture& picture, int quality);

}  // namespace espalier::images
