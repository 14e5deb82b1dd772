#pragma once
// What the devices of this folder share.

#include <memory>

#include "golden/golden.hpp"
#include "program/apply_mask.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

using DevicePtr = std::unique_ptr<Device>;
/// The resident masks as a program takes them, shared by devices.
using Masks = std::shared_ptr<const std::vector<program::Masked>>;

/// Bytes that a simulated memory may have.
inline constexpr std::uint64_t kMemoryLimit = std::uint64_t{1} << 30;
/// Where regions begin: multiples of this.
inline constexpr std::uint64_t kPage = program::kPageBytes;

/// Memory that the program must not depend on holds this before every run, so that reading what was
/// never written shows.
inline constexpr std::uint8_t kPoison = 0xA5;

/// Region 0 as loaded: the constants, then the instructions.
std::vector<std::uint8_t> constant_region(const program::Program& program);

/// `runners`: one a mask, or one without.
DevicePtr make_golden(const program::Program& program, const DeviceOptions& options,
                      std::vector<std::shared_ptr<const golden::Runner>> runners);
Result<DevicePtr> make_iss(const program::Program& program, const DeviceOptions& options,
                           Masks masks);
Result<DevicePtr> make_rtl(const program::Program& program, const DeviceOptions& options,
                           Masks masks);
Result<DevicePtr> make_fpga(const program::Program& program, const DeviceOptions& options,
                            Masks masks);

}  // namespace espalier::runtime
