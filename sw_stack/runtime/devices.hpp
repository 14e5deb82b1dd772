#pragma once
// What the devices of this folder share.

#include <memory>

#include "golden/golden.hpp"
#include "runtime/device.hpp"

namespace espalier::runtime {

using DevicePtr = std::unique_ptr<Device>;

/// Bytes that a simulated memory may have.
inline constexpr std::uint64_t kMemoryLimit = std::uint64_t{1} << 30;
/// Where regions begin: multiples of this.
inline constexpr std::uint64_t kPage = program::kPageBytes;

/// Memory that the program must not depend on holds this before every run, so that reading what was
/// never written shows.
inline constexpr std::uint8_t kPoison = 0xA5;

/// Region 0 as loaded: the constants, then the instructions.
std::vector<std::uint8_t> constant_region(const program::Program& program);

DevicePtr make_golden(const program::Program& program, const DeviceOptions& options,
                      std::shared_ptr<const golden::Runner> runner);
DevicePtr make_iss(const program::Program& program, const DeviceOptions& options);
Result<DevicePtr> make_rtl(const program::Program& program, const DeviceOptions& options);
Result<DevicePtr> make_fpga(const program::Program& program, const DeviceOptions& options);

}  // namespace espalier::runtime
