#pragma once
// A compiled program: instructions and constants for one configuration, with the quantised graph
// that it computes, and where its tensors lie. The file form (.espl) is in docs/program-format.md.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "isa/config.hpp"
#include "isa/instruction.hpp"
#include "base/result.hpp"

namespace espalier::program {

/// How the host writes the input tensor into region 2. Lane l of block b at packed pixel (y, x) is
/// channel `c` of image pixel (y*stride_y + dy, x*stride_x + dx), or the zero point (the value of
/// the graph's input_border) where that lies outside; the zero point where c < 0. Without
/// re-laying: strides 1, dy = dx = 0, c = b*L + l.
struct InputLayout {
  struct Lane {
    int c = -1, dy = 0, dx = 0;
    bool operator==(const Lane&) const = default;
  };
  int blocks = 0, h = 0, w = 0;
  int stride_y = 1, stride_x = 1;
  std::vector<Lane> lanes;  ///< blocks * L entries
  bool operator==(const InputLayout&) const = default;
};

/// A stored tensor of the graph: [blocks][h][w][L] at `offset` of `region`. Memory is reused: it is
/// whole once `stores` STOREs have retired since start, and until a later STORE overwrites it.
struct Placement {
  int tensor = -1;  ///< id in graph.tensors
  isa::Region region = isa::Region::kActivations;
  std::uint32_t offset = 0;
  std::uint32_t stores = 0;
  bool operator==(const Placement&) const = default;
};

/// What the report calls a layer: the instructions' `layer` field indexes this list.
struct Layer {
  std::string name;        ///< of the node that it ends with
  std::string op;          ///< conv, conv+add, conv+add+gap, max_pool, ...
  std::vector<int> nodes;  ///< graph nodes that it computes
  std::int64_t macs = 0;   ///< of all channels
  std::vector<int> tile;   ///< rows, columns, n blocks, k blocks of the usual tile, for inspect
  bool operator==(const Layer&) const = default;
};

/// Multiply-accumulates of a layer's nodes over live channels.
std::int64_t macs(const ir::QuantGraph& graph, const Layer& layer,
                  const ir::ChannelMask& live = {});

/// What a program that takes masks says of itself (docs/pack.md). A mask's layer table, bit maps
/// and PACK program follow from it.
struct Maskable {
  /// Where a stored tensor lies in its root, the outermost concatenation that it is a part of (or
  /// itself). Its channels lie in segments, each in blocks of its own.
  struct Spot {
    int tensor = -1, root = -1;
    int block = 0;              ///< of the root, dense
    std::vector<int> segments;  ///< channels of each
    bool operator==(const Spot&) const = default;
  };
  /// A layer's weights in region 0: parts of taps (one a tap where tapwise, otherwise all in one),
  /// in each n block by n block the rows [lane][tap of the part][k block], a word each.
  struct Weights {
    std::uint32_t weights = 0, params = 0;  ///< bytes of region 0
    std::uint32_t maps = 0;                 ///< of the bit maps of k blocks; bytes of region 4
    int taps = 1, k_blocks = 1, n_blocks = 1;
    int kc = 1, nb = 1;  ///< blocks of a chunk and of a group
    bool tapwise = false;
    [[nodiscard]] int parts() const { return tapwise ? taps : 1; }
    [[nodiscard]] int part_taps() const { return tapwise ? 1 : taps; }
    /// Words of an n block of a part where so many k blocks are live.
    [[nodiscard]] std::int64_t block_words(int lanes, int k_live) const {
      return std::int64_t{lanes} * part_taps() * k_live;
    }
    [[nodiscard]] std::int64_t part_bytes(int lanes) const {
      return block_words(lanes, k_blocks) * n_blocks * lanes;
    }
    /// The bit maps of n blocks, and what follows them. Units: bytes of region 4.
    [[nodiscard]] std::uint32_t n_maps() const;
    [[nodiscard]] std::uint32_t maps_end() const;
    bool operator==(const Weights&) const = default;
  };
  /// Tensors that a layer reads and stores; -1: none.
  struct Layer {
    int input = -1, operand = -1, output = -1;
    bool whole_input = false;  ///< its k blocks are no blocks of channels: the input keeps them all
    std::optional<Weights> weights;  ///< of convolutions
    bool operator==(const Layer&) const = default;
  };
  std::vector<Spot> spots;    ///< in the order of tensors
  std::vector<Layer> layers;  ///< as program.layers
  bool operator==(const Maskable&) const = default;
};

/// The order in which a layer's weights are loaded where bits come beside them: unit by unit, each
/// an output group and a part of the taps and k blocks, in it word by word. Units: blocks and taps.
struct WeightOrder {
  struct Part {
    int ky = 0, kx = 0, kb = 0;          ///< the first
    int rows = 1, cols = 1, blocks = 1;  ///< how many
    int step = 1;                        ///< taps of a row that stand side by side
    bool selected = false;               ///< two words make one of the ring
    bool operator==(const Part&) const = default;
  };
  int n_blocks = 1, k_blocks = 1, kernel_y = 1, kernel_x = 1;
  int nb = 1;            ///< n blocks of a group
  bool tapwise = false;  ///< tap by tap, in each output channel by output channel
  std::vector<Part> parts;
  bool operator==(const WeightOrder&) const = default;
  [[nodiscard]] int groups() const { return (n_blocks + nb - 1) / nb; }
  [[nodiscard]] int taps() const { return kernel_y * kernel_x; }
  /// The words of one unit, as the weight ring gets them. Of the layer's words [N][taps][k blocks].
  [[nodiscard]] std::vector<std::uint32_t> unit(int lanes, int group, const Part& part) const;
};

/// What a program says of itself whose weights an environment chooses from as they are loaded
/// (docs/automask.md). Region 4 of an environment follows from it: bits, biases and multipliers.
struct Switchable {
  /// Bytes that lie one after the other in a row, the weights of an output channel.
  struct Run {
    std::uint32_t offset = 0, size = 0;
    bool operator==(const Run&) const = default;
  };
  /// A convolution. Offsets in bytes of region 4.
  struct Layer {
    int node = -1;                ///< of the graph
    bool bits = false;            ///< an environment may mask its weights
    std::uint32_t bits_at = 0;    ///< unit by unit, each of whole words
    std::uint32_t params_at = 0;  ///< 8 bytes a row
    WeightOrder order;            ///< with `bits`
    std::vector<int> rows;        ///< of each output channel
    std::vector<Run> runs;        ///< of a channel's weights in its row, in the graph's order
    bool operator==(const Layer&) const = default;
  };
  /// The program without an environment, from the same constants: the model as it is.
  struct Clean {
    std::vector<std::uint8_t> instructions;
    std::uint32_t activation_bytes = 0;
    std::vector<Placement> placements;
    bool operator==(const Clean&) const = default;
  };
  std::vector<Layer> layers;
  std::uint32_t bytes = 0;  ///< of region 4
  Clean clean;
  bool operator==(const Switchable&) const = default;
};

struct Program {
  isa::Config config;  ///< the machine that it is for
  ir::QuantGraph graph;
  std::vector<std::uint8_t>
      instructions;  ///< encoded, placed at `code_offset` of region 0 when loaded
  std::vector<std::uint8_t> constants;  ///< region 0 from byte 0: weights, parameters, pool tables
  std::uint32_t activation_bytes = 0;   ///< size of region 1
  std::uint32_t input_bytes = 0;        ///< size of region 2
  std::uint32_t output_bytes = 0;       ///< size of region 3
  InputLayout input;
  std::vector<Placement>
      placements;  ///< every stored tensor, in the order of completion; not the input
  std::vector<Layer> layers;
  std::optional<Maskable> maskable;      ///< where the program takes masks
  std::optional<Switchable> switchable;  ///< where it takes environments; not with masks

  [[nodiscard]] const isa::Config& machine() const { return config; }
  /// Byte of region 0 where the instructions go: constants rounded up to 4 KiB.
  [[nodiscard]] std::uint32_t code_offset() const;
  /// Size of region 4: of a program without masks what stands in front of region 0.
  [[nodiscard]] std::uint64_t region4_bytes() const {
    return switchable ? switchable->bytes : constants.size();
  }
  /// Size of region 0 with the instructions.
  [[nodiscard]] std::uint32_t constant_bytes() const;
};

/// Checks everything that outside data could get wrong: configuration and fingerprint, every
/// instruction decodes, addresses stay inside their regions and are aligned, placements, layers and
/// input layout agree with the graph, and so does what is said of masks. Errors: the place is
/// `instruction N`, `layer NAME` or the field.
Status verify(const Program& program);
/// The same for a machine of other sizes than the program's configuration says.
Status verify(const Program& program, const isa::Config& machine);
/// What a program that takes environments computes without one, as a program of its own.
Program without_environment(const Program& program);

/// The last of these; `program` has passed the others.
Status verify_maskable(const Program& program);
Status verify_switchable(const Program& program);

/// The file's bytes: magic `ESPALIER`, format version, sections, a 64-bit fingerprint of all that
/// precedes it.
std::vector<std::uint8_t> serialise(const Program& program);
/// Errors: kMalformed (truncated, corrupt, with the offset), kMismatch (another version or
/// configuration). Verified.
Result<Program> parse(std::span<const std::uint8_t> bytes, const std::string& file_name);
Status save(const Program& program, const std::string& path);
Result<Program> load(const std::string& path);
/// The fingerprint that the file carries, of the whole program: 64 bits.
std::uint64_t fingerprint(const Program& program);

/// All instructions, decoded; `program` is verified.
std::vector<isa::Instruction> decode_all(const Program& program);

/// A list of encoded instructions, decoded. Errors: those of isa::decode.
Result<std::vector<isa::Instruction>> decode_list(std::span<const std::uint8_t> bytes);

/// Bytes that a region may have: offsets in it stay below 2^31 whatever is rounded up.
inline constexpr std::int64_t kRegionLimit = 0x7FFF0000;

/// Regions are placed at multiples of this, and none at 0.
inline constexpr std::uint64_t kPageBytes = 4096;
/// Memory from address 0 on that the program's regions take, placed so.
std::uint64_t memory_bytes(const Program& program);

/// Image [C][H][W] int8 to the bytes of region 2; the graph's further inputs follow it on both
/// sides.
std::vector<std::uint8_t> pack_input(const Program& program, std::span<const std::int8_t> image);
/// Blocked bytes [ceil(C/L)][H][W][L] to [C][H][W]; lanes past C are dropped.
std::vector<std::int8_t> unpack(const ir::Shape& shape, int lanes,
                                std::span<const std::uint8_t> blocked);
/// Where the graph's further inputs lie in region 2: blocked, one after the other, each at a
/// multiple of 64, after the bytes of an input layout. The last entry is the region's size.
std::vector<std::uint64_t> further_inputs(const ir::QuantGraph& graph, const InputLayout& input,
                                          int lanes);
/// Bytes of a blocked tensor.
std::uint32_t blocked_bytes(const ir::Shape& shape, int lanes);

}  // namespace espalier::program
