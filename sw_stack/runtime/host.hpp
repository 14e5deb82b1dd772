#pragma once
// A machine with a program in its memory and its registers set: what a driver does, on any Bus.

#include <array>
#include <memory>
#include <span>

#include "program/apply_mask.hpp"
#include "runtime/bus.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

class Host {
 public:
  /// What a run did.
  struct Run {
    driver::Outcome outcome;
    bool stopped = false;  ///< ended before the machine was done: the output means nothing
  };

  /// Finds out which machine answers, loads the program and describes it to the registers, and
  /// packs the weights for every mask. All must outlive the host. Errors: kDevice, kMismatch (a
  /// machine of another configuration), kCapacity (memory too small), kIo.
  static Result<std::unique_ptr<Host>> open(const program::Program& program, Bus& bus,
                                            std::uint32_t watchdog,
                                            std::span<const program::Masked> masks = {});

  /// The mask of the runs to come; it costs a register.
  void use(std::size_t mask);
  /// What packing took, by mask.
  [[nodiscard]] const std::vector<Packing>& packings() const { return packings_; }

  /// Memory behind a base register; of region 4 that of no mask, or of the mask in use.
  std::span<std::uint8_t> bytes(isa::Region region) {
    const auto r = static_cast<std::size_t>(region);
    return bus_.memory().subspan(offset_[r], size_[r]);
  }
  /// Where the machine sees it.
  [[nodiscard]] std::uint64_t base(isa::Region region) const {
    return bus_.address() + offset_[static_cast<std::size_t>(region)];
  }
  /// Where the instructions lie.
  [[nodiscard]] std::uint64_t code() const {
    return base(isa::Region::kConstants) + program_.code_offset();
  }

  /// Puts an image where the program expects it; with `poison` the memory that it must not depend
  /// on is overwritten. Errors: kIo.
  Status put_image(std::span<const std::int8_t> image, bool poison);
  /// Runs the program. Errors: kDevice for a fault, with its instruction as `inspect` numbers it,
  /// or without an interrupt in time; kIo.
  Result<Run> run();
  /// Fetches what the machine wrote into a region. Errors: kIo.
  Status fetch(isa::Region region);
  /// Bytes that a run moved.
  [[nodiscard]] Traffic traffic(const driver::Outcome& outcome) const;

 private:
  /// Instructions in memory.
  struct Code {
    std::uint64_t offset = 0;
    std::span<const std::uint8_t> bytes;
  };

  Host(const program::Program& program, Bus& bus, std::span<const program::Masked> masks);
  Status setup(std::uint32_t watchdog);
  Status hand_over(isa::Region region);
  /// Exchanges a mask's own weights and those of the dense image. Errors: kIo.
  Status swap(std::vector<program::Bytes>& patch);
  /// Runs a mask's PACK program.
  Status pack(std::size_t mask);
  /// Sets what the next run runs, and where it may write: from one byte of memory to another.
  void set_code(const Code& code, std::uint64_t low, std::uint64_t high);
  Result<Run> run_code(const Code& code);
  [[nodiscard]] Diagnostic describe(const driver::Outcome& outcome, const Code& code) const;
  void set(std::uint32_t reg, std::uint64_t value) {
    bus_.write_register(reg, static_cast<std::uint32_t>(value));
  }

  const program::Program& program_;
  Bus& bus_;
  std::span<const program::Masked> masks_;
  Code code_;
  std::array<std::uint64_t, 5> offset_{}, size_{};
  std::vector<std::uint64_t> mask_offset_;  // of region 4, by mask
  std::vector<Code> packs_;                 // by mask
  std::vector<Packing> packings_;
  std::uint64_t first_mask_ = 0, total_ = 0;
};

}  // namespace espalier::runtime
