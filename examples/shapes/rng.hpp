#pragma once
// A small random generator of our own, so that every machine draws the same pictures.

#include <cstdint>

namespace espalier::shapes {

/// SplitMix64 (Steele, Lea, Flood 2014); every (seed, stream) pair is a sequence of its own.
class Rng {
 public:
  Rng(std::uint64_t seed, std::uint64_t stream) : state_(mix(mix(seed) + stream * kStep)) {}

  std::uint64_t next() { return mix(state_ += kStep); }

  /// Uniform in [0, limit). Range: limit below 2^32.
  std::uint32_t below(std::uint32_t limit) {
    return static_cast<std::uint32_t>(((next() >> 32) * limit) >> 32);
  }

  /// Uniform in [0, 1), a multiple of 2^-53.
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;

  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

}  // namespace espalier::shapes
