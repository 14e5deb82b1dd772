#pragma once
// Many images over several devices of one kind, one thread each.

#include <functional>

#include "runtime/check.hpp"

namespace espalier::runtime {

struct BatchOptions {
  DeviceKind kind = DeviceKind::kGolden;
  DeviceOptions device;
  int jobs = 0;        ///< devices at work at once; 0: every core for golden, otherwise one
  bool check = false;  ///< compare every stored tensor with golden
};

/// The graph's int8 input for image i. Several threads may call.
using LoadImage = std::function<Result<std::vector<std::int8_t>>(std::size_t i)>;
/// After each group of images, from one thread at a time: how many are done.
using Progress = std::function<void(std::size_t done)>;
/// With every tensor of an image by golden; several threads may call. Errors end the batch.
using Observe = std::function<Status(std::size_t i, std::span<const golden::Tensor> tensors)>;

struct BatchResult {
  std::vector<std::vector<std::int8_t>> outputs;  ///< by image
  Comparison comparison;
  std::optional<Timing> timing;    ///< sums over the images
  std::optional<Traffic> traffic;  ///< sums over the images
};

/// Runs images 0 .. count-1. The result does not depend on how threads interleave: image i goes
/// to device i modulo jobs where the device has a clock.
Result<BatchResult> run_batch(const program::Program& program, const BatchOptions& options,
                              std::size_t count, const LoadImage& load,
                              const Progress& progress = {}, const Observe& observe = {});

}  // namespace espalier::runtime
