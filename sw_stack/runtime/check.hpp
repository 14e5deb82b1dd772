#pragma once
// A device's tensors against golden's.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "golden/golden.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

/// One value that differs.
struct Difference {
  std::size_t image = 0;
  std::string layer, tensor;
  int channel = 0, y = 0, x = 0;
  int device = 0, golden = 0;
  /// `image 3, layer conv1 (tensor t): channel 4, pixel (y 5, x 6): rtl has 7, golden 8`.
  [[nodiscard]] std::string text(std::string_view device_name) const;
};

struct Comparison {
  std::uint64_t values = 0, mismatches = 0;
  std::optional<Difference> first;  ///< in the order of the images, then of completion
  void merge(const Comparison& later);
};

/// Compares every tensor of an execution that kept them. `expected` holds golden's, by tensor id.
Comparison compare(const program::Program& program, const Execution& execution,
                   std::span<const golden::Tensor> expected, std::size_t image);

}  // namespace espalier::runtime
