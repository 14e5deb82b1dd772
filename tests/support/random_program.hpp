#pragma once
// Random legal programs for one configuration: convolutions of every shape (K chunks, resident and
// streamed weights, residual operands, global average pooling), pools, reuse of every word of the
// activation buffer and of memory, with no more dependencies than the accesses need.

#include <cstdint>
#include <vector>

#include "isa/instruction.hpp"
#include "iss/iss.hpp"

namespace espalier::tests {

struct RandomProgram {
  std::vector<isa::Instruction> instructions;
  iss::Regions
      regions;  ///< contents before the run; region 0 has room for the code behind the constants
  std::size_t code_offset = 0;
};

/// `jobs` tiles, each a chain of CONVs or a POOL. `masked`: instructions are larger, a layer table
/// in region 4 clips them to what they should be, and others among them to nothing.
RandomProgram random_program(const isa::Config& config, std::uint64_t seed, int jobs,
                             bool masked = false);

}  // namespace espalier::tests
