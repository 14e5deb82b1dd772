#pragma once
// Copies a program's stored tensors out of memory while it runs, each as soon as it is whole:
// memory is used again later.

#include <functional>
#include <span>
#include <vector>

#include "runtime/device.hpp"

namespace espalier::runtime {

class Capture {
 public:
  /// The bytes behind a base register as they are now.
  using RegionBytes = std::function<std::span<const std::uint8_t>(isa::Region region)>;

  Capture(const program::Program& program, bool keep_tensors, RegionBytes bytes);

  /// Before a run: forgets the last one.
  void start();
  /// From the retire hook.
  void retired(isa::Engine engine, std::uint64_t count);
  /// After the run: the output, and the tensors that were kept.
  void finish(Execution& execution);

 private:
  void take_until(std::uint64_t stores);
  [[nodiscard]] std::vector<std::int8_t> read(const program::Placement& placement) const;

  const program::Program& program_;
  RegionBytes bytes_;
  std::vector<program::Placement> order_;  ///< by the store that completes them; empty if not kept
  std::size_t next_ = 0;
  std::vector<StoredTensor> stored_;
};

}  // namespace espalier::runtime
