#pragma once
// Passes of a measurement on a device: a program forward, one backward.

#include <cstdint>
#include <memory>
#include <optional>

#include "personal/importance.hpp"
#include "program/program.hpp"
#include "runtime/check.hpp"
#include "runtime/device.hpp"

namespace espalier::flows {

/// The programs of a forward graph, whose activations stay, and of its backward pass.
struct ScoringPrograms {
  program::Program forward, backward;
};
/// The backward pass alone. Its tiles are those that the costs say, as it runs for few images.
/// Errors: those of compiler::compile.
Result<program::Program> compile_backward(const personal::Backward& backward,
                                          const isa::Config& machine);
/// Both, of tiles that the costs say. Errors: those of compiler::compile.
Result<ScoringPrograms> compile_scoring(const ir::QuantGraph& forward,
                                        const personal::Backward& backward,
                                        const isa::Config& machine);

/// What a device's passes came to. Cycles are sums, of devices that count them.
struct ScoringTotals {
  std::uint64_t forward_images = 0, backward_images = 0;
  std::uint64_t forward_cycles = 0, backward_cycles = 0;
  runtime::Comparison forward, backward;  ///< with `check`
};

/// Makes passes on a device; a board has the program of the pass that is next. `check` compares
/// every stored tensor with golden. `totals` must outlive the passes. Errors: those of
/// compile_scoring and runtime::open.
personal::MakePasses device_passes(const isa::Config& machine, runtime::DeviceKind kind,
                                   const runtime::DeviceOptions& device, bool check,
                                   const std::shared_ptr<ScoringTotals>& totals);

}  // namespace espalier::flows
