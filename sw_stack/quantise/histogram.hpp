#pragma once
// Values of one tensor over all calibration images.

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::quantise {

struct Range {
  float lo = 0, hi = 0;
};

/// Extremes, and counts in equal bins over -limit .. limit; the limit is a power of two and grows
/// with the values.
class Histogram {
 public:
  static constexpr int kBins = 4096;

  /// False, with nothing added, where a value is not finite or above 2^96 in magnitude.
  bool add(std::span<const float> values);
  /// As if every value of `other` had been added.
  void merge(const Histogram& other);

  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] Range extremes() const { return {least_, most_}; }
  /// The range without the share 1 - percentile / 100 at either end, within the extremes.
  [[nodiscard]] Range percentile(double percent) const;
  /// The range whose quantisation has the least squared error.
  [[nodiscard]] Range least_error() const;

 private:
  void grow(float magnitude);
  [[nodiscard]] double bin_centre(int bin) const;
  [[nodiscard]] double error(const ir::Quant& quant) const;

  float limit_ = 0;
  float least_ = 0, most_ = 0;
  std::uint64_t total_ = 0;
  std::vector<std::uint64_t> bins_;
};

/// int8 quantisation of a range, which is widened to hold 0, so that 0 is exact.
ir::Quant quant_of(const Range& range);

}  // namespace espalier::quantise
