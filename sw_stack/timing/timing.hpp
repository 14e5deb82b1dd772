#pragma once
// How long a program takes on the machine, layer by layer and by cause, without simulating it.
//
// The model follows every instruction through queues, dependencies, rings, accumulator halves and
// the bus as docs/machine.md has them, burst by burst and word by word where these wait for one
// another, but computes when things happen instead of stepping through cycles. No data move.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "isa/event.hpp"
#include "program/apply_mask.hpp"
#include "program/program.hpp"
#include "base/result.hpp"

namespace espalier::timing {

/// What stands behind the AXI4 port. Units: cycles.
struct Memory {
  int read_latency = 60;   ///< from a burst's address to its first beat
  int write_latency = 40;  ///< from a burst's last beat to its response
};

/// What the cycles of a layer go to.
enum class Cause : std::uint8_t {
  kCompute,      ///< multiplications of the network: MACs / L^2
  kRagged,       ///< passes with lanes, columns or cycles to spare
  kWeights,      ///< the array waits for weights
  kActivations,  ///< the next convolution waits for its input, or for what writes it
  kPost,         ///< the array waits for a free accumulator half
  kPool,         ///< no convolution is there, a pool is
  kStartEnd,     ///< nothing is there: start, dispatch, the end
};
inline constexpr std::size_t kCauses = 7;
inline constexpr std::array<std::string_view, kCauses> kCauseNames = {
    "compute", "ragged", "weights", "activations", "post", "pool", "start_end"};

struct LayerEstimate {
  std::int64_t cycles = 0;                          ///< as the trace port charges them
  std::array<std::int64_t, kCauses> by_cause{};     ///< sums to `cycles`
  std::uint64_t bytes_read = 0, bytes_written = 0;  ///< by its LOADs and STOREs
  std::uint64_t tiles = 0, tiles_run = 0;           ///< of weights in sparse CONVs (docs/tiles.md)
  [[nodiscard]] std::uint64_t tiles_skipped() const { return tiles - tiles_run; }
};

struct Estimate {
  std::int64_t cycles = 0;  ///< from start to interrupt; the layers sum to it
  std::vector<LayerEstimate> layers;
  std::uint64_t bytes_read = 0, bytes_written = 0;  ///< instructions included
};

/// `program` is verified; `table` is a mask's layer table (docs/pack.md), without one the dense
/// rows in front of the constants. Errors: kDevice for a program that would hang, with what waits;
/// kMalformed where the table has no row for an instruction that takes one. `live`: the mask's
/// channels, which are the work that passes are charged with as compute.
Result<Estimate> estimate(const program::Program& program, const Memory& memory = {},
                          std::span<const std::uint8_t> table = {},
                          const ir::ChannelMask& live = {});
/// The same on a machine of other sizes than the program's configuration says.
Result<Estimate> estimate(const program::Program& program, const isa::Config& machine,
                          const Memory& memory = {}, std::span<const std::uint8_t> table = {},
                          const ir::ChannelMask& live = {});
/// The same of instructions that are not encoded yet, without masks; of `program` the layers'
/// number and the constants are looked at, and all cycles of passes are charged as ragged.
Result<Estimate> estimate(const program::Program& program, std::vector<isa::Instruction> list,
                          const isa::Config& machine, const Memory& memory = {});

/// When each of a program's instructions retires: what the machine's trace port would show.
/// Errors: as above.
Result<std::vector<isa::Event>> events(const program::Program& program, const Memory& memory = {},
                                       std::span<const std::uint8_t> table = {});

/// Cycles of the program that packs a mask's weights, once a mask. Errors: as above.
Result<std::int64_t> estimate_pack(const program::Program& program, const program::Masked& masked,
                                   const Memory& memory = {});

/// What no machine with this array and this bus could beat: the larger of MACs / L^2 and the bytes
/// of the larger direction / bus width, MACs unpadded and every tensor moved once; weights that are
/// zero count as all others, those that stand in for groups (ir::Reads) do not. Pools and copies:
/// 0. With a mask tensors, weights and MACs have its live channels.
double bound(const program::Program& program, const program::Layer& layer,
             const ir::ChannelMask& live = {});
/// The sum over the layers.
double bound(const program::Program& program, const ir::ChannelMask& live = {});
/// The network's multiplications of all that the array could do in so many cycles.
double utilisation(const program::Program& program, std::int64_t cycles);

}  // namespace espalier::timing
