#pragma once
// Copies a program's stored tensors out of memory while it runs, each as soon as it is whole:
// memory is used again later.

#include <functional>
#include <span>
#include <vector>

#include "program/apply_mask.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

class Capture {
 public:
  /// The bytes behind a base register as they are now.
  using RegionBytes = std::function<std::span<const std::uint8_t>(isa::Region region)>;

  /// `images`: how many the program runs, where it is a chain's.
  Capture(const program::Program& program, bool keep_tensors, RegionBytes bytes,
          std::size_t images = 1);

  /// The runs to come have this mask, which must outlive them: tensors that it leaves unread are
  /// not kept. nullptr: none.
  void use(const program::Masked* masked);
  /// Before a run: forgets the last one.
  void start();
  /// From the retire hook.
  void retired(isa::Engine engine, std::uint64_t count);
  /// Instead of retire hooks, after the run and before finish(): keeps the tensors that are still
  /// whole, those that nothing completed later overlaps.
  void take_remaining();
  /// After the run: the output of its n-th image, and the tensors of that image that were kept.
  void finish(std::size_t image, Execution& execution);

 private:
  void take_until(std::uint64_t stores);
  [[nodiscard]] std::vector<std::int8_t> read(const program::Placement& placement) const;

  const program::Program& program_;
  RegionBytes bytes_;
  std::size_t images_;
  bool keep_;
  const program::Masked* masked_ = nullptr;
  std::vector<program::Placement> order_;  ///< by the store that completes them; empty if not kept
  std::size_t next_ = 0;
  std::vector<StoredTensor> stored_;
};

}  // namespace espalier::runtime
