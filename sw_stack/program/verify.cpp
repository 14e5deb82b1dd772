#include <algorithm>
#include <array>

#include "program/program.hpp"
#include "isa/clip.hpp"
#include "program/tile_codes.hpp"
#include "program/verify_rows.hpp"

namespace espalier::program {
namespace {

using isa::Conv;
using isa::End;
using isa::Load;
using isa::Nop;
using isa::Pool;
using isa::Store;

struct Checker {
  const Program& program;
  const isa::Config& machine;
  std::array<std::uint64_t, 5> sizes;
  std::uint64_t bits_left = 0;  ///< of the LOAD of bits before

  /// Empty, or what is wrong with a strided transfer of words of `lanes` bytes.
  template <typename Transfer>
  std::string transfer(const Transfer& t) const {
    const std::uint64_t bus = machine.bus_bytes;
    if (t.offset % bus != 0 || t.y_stride % bus != 0 || t.z_stride % bus != 0) {
      return "offset or stride is no multiple of the bus width of " + std::to_string(bus);
    }
    const std::uint64_t end = std::uint64_t{t.offset} + std::uint64_t{t.z_count - 1} * t.z_stride +
                              std::uint64_t{t.y_count - 1} * t.y_stride +
                              std::uint64_t{t.x_words} * machine.lanes;
    if (end > sizes[t.region]) {
      return "reaches byte " + std::to_string(end) + " of region " + std::to_string(t.region) +
             ", which has " + std::to_string(sizes[t.region]);
    }
    return {};
  }

  std::string no_pool() const {
    return "configuration " + std::string(machine.name) + " has no pool";
  }

  std::string operator()(const Nop& x) const {
    if (x.engine == static_cast<std::uint32_t>(isa::Engine::kPool) && machine.pool_lanes == 0) {
      return no_pool();
    }
    return isa::contradiction(x);
  }
  std::string operator()(const End&) const { return {}; }
  /// Empty, or what is wrong with a transfer's clip word: cut, it is never longer.
  template <typename Transfer>
  std::string clip(const Transfer& t) const {
    if (std::string trouble = isa::clip_trouble(t, machine); !trouble.empty()) return trouble;
    if (!t.clip || t.clip->cut == 0) return {};
    const std::uint32_t blocks = t.clip->by_k != 0 ? t.clip->kc : t.clip->nb;
    if (t.z_count == blocks) return {};
    return "z_count is " + std::to_string(t.z_count) + "; its clip word has " +
           std::to_string(blocks) + " blocks";
  }

  /// Of a program that takes environments: what lies in region 4, and whether there are bits.
  std::string switched(const Load& x) {
    const std::uint64_t words = std::uint64_t{x.x_words} * x.y_count * x.z_count;
    const bool bits = static_cast<isa::LoadForm>(x.form) == isa::LoadForm::kBits;
    if (!program.switchable) {
      return bits || isa::uses_bits(x) ? "takes bits in a program that takes no environments"
                                       : std::string();
    }
    const bool params = static_cast<isa::LoadTarget>(x.target) == isa::LoadTarget::kParameters;
    if ((bits || params) != (x.region == static_cast<std::uint32_t>(isa::Region::kMask)))
      return bits || params
                 ? "takes what is an environment's from region " + std::to_string(x.region)
                 : std::string("reads region 4; only what is an environment's is there");
    if (bits) bits_left = words * machine.lanes * 8;
    if (!isa::uses_bits(x)) return {};
    if (words * machine.lanes > bits_left) {
      return std::to_string(words) + " words want bits; the LOADs of bits before have left " +
             std::to_string(bits_left / machine.lanes);
    }
    bits_left -= words * machine.lanes;
    return {};
  }

  std::string operator()(const Load& x) {
    if (std::string trouble = isa::contradiction(x); !trouble.empty()) return trouble;
    if (std::string trouble = isa::fine_trouble(x, machine); !trouble.empty()) return trouble;
    const bool table = x.target == static_cast<std::uint32_t>(isa::LoadTarget::kLayerTable);
    if (std::string trouble = switched(x); !trouble.empty()) return trouble;
    if (!program.switchable &&
        table != (x.region == static_cast<std::uint32_t>(isa::Region::kMask))) {
      return table ? "takes the layer table from region " + std::to_string(x.region)
                   : std::string("reads region 4; only the layer table is there");
    }
    if (!table && !program.switchable && isa::queue_of(x) == isa::Engine::kLoadW &&
        x.region != static_cast<std::uint32_t>(isa::Region::kConstants)) {
      return "loads weights from region " + std::to_string(x.region);
    }
    if (x.target == static_cast<std::uint32_t>(isa::LoadTarget::kSqueezer)) {
      return "squeezes weights among the instructions of an image";
    }
    const std::uint64_t words = std::uint64_t{x.x_words} * x.y_count * x.z_count;
    if (x.target == static_cast<std::uint32_t>(isa::LoadTarget::kPoolTable) &&
        machine.pool_lanes == 0) {
      return no_pool();
    }
    if (x.target == static_cast<std::uint32_t>(isa::LoadTarget::kPoolTable) &&
        x.sram_address + words * machine.lanes / 4 > 128) {
      return "pool table has 128 entries";
    }
    if (x.target == static_cast<std::uint32_t>(isa::LoadTarget::kActivations) &&
        (words > static_cast<std::uint64_t>(machine.act_words) ||
         x.sram_address >= static_cast<std::uint32_t>(machine.act_words))) {
      return "activation buffer has " + std::to_string(machine.act_words) + " words";
    }
    if (std::string trouble = clip(x); !trouble.empty()) return trouble;
    return transfer(x);
  }
  std::string operator()(const Store& x) const {
    if (x.region != static_cast<std::uint32_t>(isa::Region::kActivations) &&
        x.region != static_cast<std::uint32_t>(isa::Region::kOutput)) {
      return "writes region " + std::to_string(x.region);
    }
    if (x.source == static_cast<std::uint32_t>(isa::StoreSource::kPool) &&
        machine.pool_lanes == 0) {
      return no_pool();
    }
    if (std::string trouble = clip(x); !trouble.empty()) return trouble;
    return transfer(x);
  }
  std::string operator()(const Conv& x) const {
    if (std::string trouble = isa::clip_trouble(x, machine); !trouble.empty()) return trouble;
    if (x.clip && (x.n_blocks > x.clip->nb || x.k_blocks > x.clip->kc)) {
      return "has more blocks than its clip word";
    }
    const std::uint64_t words = std::uint64_t{x.n_blocks} * x.rows * x.cols;
    if (words > static_cast<std::uint64_t>(machine.acc_words)) {
      return "needs " + std::to_string(words) + " accumulator words; a half has " +
             std::to_string(machine.acc_words);
    }
    if (std::string trouble = isa::contradiction(x); !trouble.empty()) return trouble;
    if (std::string trouble = isa::fine_trouble(x, machine); !trouble.empty()) return trouble;
    if (!x.clip) {
      if (std::string trouble = isa::ring_trouble(x, machine); !trouble.empty()) return trouble;
    }
    if (machine.mask_layers == 0 && (x.product != 0 || x.w_sparse != 0)) {
      return "configuration " + std::string(machine.name) +
             (x.product != 0 ? " has no product in post" : " runs no sparse weights");
    }
    if (x.w_sparse != 0) {
      if (x.clip) return "w_sparse with a clip word";
      if (x.w_n_stride != 1 || x.w_tap_stride != x.rows * x.cols) {
        return "w_sparse with w_n_stride " + std::to_string(x.w_n_stride) + " and w_tap_stride " +
               std::to_string(x.w_tap_stride) + "; they are 1 and rows x cols";
      }
    }
    if (std::max(x.act_base, x.add_base) >= static_cast<std::uint32_t>(machine.act_words)) {
      return "activation buffer has " + std::to_string(machine.act_words) + " words";
    }
    return {};
  }
  std::string operator()(const Pool& x) const {
    if (machine.pool_lanes == 0) return no_pool();
    if (std::string trouble = isa::clip_trouble(x, machine); !trouble.empty()) return trouble;
    if (x.clip && x.blocks != x.clip->nb) return "has other blocks than its clip word";
    if (x.act_base >= static_cast<std::uint32_t>(machine.act_words)) {
      return "activation buffer has " + std::to_string(machine.act_words) + " words";
    }
    return {};
  }
};

Status verify_input(const Program& program, int lanes) {
  const InputLayout& in = program.input;
  const auto bad = [](const std::string& what) {
    return fail(ErrorCode::kMalformed, what, "input layout");
  };
  constexpr int kLimit = 1 << 16;
  if (in.blocks < 1 || in.h < 1 || in.w < 1 || in.blocks > kLimit || in.h > kLimit ||
      in.w > kLimit) {
    return bad("empty or too large");
  }
  if (in.stride_y < 1 || in.stride_x < 1 || in.stride_y > 255 || in.stride_x > 255)
    return bad("stride out of range");
  if (in.lanes.size() != static_cast<std::size_t>(in.blocks) * lanes)
    return bad("wrong number of lanes");
  const int channels = program.graph.tensors[static_cast<std::size_t>(program.graph.input)].shape.c;
  for (const auto& lane : in.lanes) {
    if (lane.c < -1 || lane.c >= channels || std::abs(lane.dy) > 4096 || std::abs(lane.dx) > 4096) {
      return bad("lane out of range");
    }
  }
  const std::uint64_t bytes = further_inputs(program.graph, in, lanes).back();
  if (bytes != program.input_bytes) return bad("region 2 has the wrong size");
  return {};
}

}  // namespace

Status verify(const Program& program) {
  if (const Status status = isa::check_config(program.config); !status) return status;
  return verify(program, program.config);
}

Status verify(const Program& program, const isa::Config& machine) {
  if (const Status status = ir::verify(program.graph); !status) return status;
  if (program.constants.size() > std::uint64_t{kRegionLimit} ||
      program.instructions.size() > 0x10000000U) {
    return fail(ErrorCode::kCapacity, "constants or instructions exceed the address space");
  }
  if (const std::uint64_t bytes = memory_bytes(program); bytes > 1ULL << machine.address_bits) {
    return fail(ErrorCode::kCapacity,
                "takes " + std::to_string(bytes) + " bytes of memory; configuration " +
                    std::string(program.config.name) + " addresses " +
                    std::to_string(1ULL << machine.address_bits),
                program.graph.name);
  }
  if (const Status status = verify_input(program, machine.lanes); !status) return status;
  if (program.layers.empty() || program.layers.size() > 4096) {
    return fail(ErrorCode::kMalformed, std::to_string(program.layers.size()) + " layers; 1 to 4096",
                "layers");
  }
  for (const Layer& layer : program.layers) {
    for (const int node : layer.nodes) {
      if (node < 0 || static_cast<std::size_t>(node) >= program.graph.nodes.size()) {
        return fail(ErrorCode::kMalformed, "names node " + std::to_string(node),
                    "layer " + layer.name);
      }
    }
    if (const std::int64_t counted = macs(program.graph, layer); layer.macs != counted) {
      return fail(ErrorCode::kMalformed,
                  "says " + std::to_string(layer.macs) + " multiply-accumulates; its nodes have " +
                      std::to_string(counted),
                  "layer " + layer.name);
    }
  }
  Checker checker{program,
                  machine,
                  {program.constant_bytes(), program.activation_bytes, program.input_bytes,
                   program.output_bytes, program.region4_bytes()}};
  std::size_t offset = 0, index = 0;
  std::uint64_t stores = 0;
  bool ended = false, sparse = false;
  Rows rows(machine);
  while (offset < program.instructions.size()) {
    const std::string place = "instruction " + std::to_string(index++);
    if (ended) return fail(ErrorCode::kMalformed, "instructions follow the end", place);
    const auto instruction = isa::decode(program.instructions, offset);
    if (!instruction) return instruction.error();
    if (isa::layer(*instruction) >= program.layers.size()) {
      return fail(ErrorCode::kMalformed, "names layer " + std::to_string(isa::layer(*instruction)),
                  place);
    }
    std::string trouble = std::visit(checker, *instruction);
    if (trouble.empty()) trouble = rows.take(*instruction);
    if (!trouble.empty()) return fail(ErrorCode::kMalformed, trouble, place);
    stores += std::holds_alternative<Store>(*instruction) ? 1 : 0;
    const auto* conv = std::get_if<Conv>(&*instruction);
    sparse = sparse || (conv != nullptr && conv->w_sparse != 0);
    ended = std::holds_alternative<End>(*instruction);
  }
  if (!ended) return fail(ErrorCode::kMalformed, "the program has no end", "instructions");
  if (sparse && program.maskable) {
    return fail(ErrorCode::kMalformed, "sparse weights in a program that takes masks",
                "instructions");
  }
  if (sparse) {
    const auto codes = tile_codes(decode_all(program), program.constants, machine);
    if (!codes) return codes.error();
  }
  for (const Placement& placement : program.placements) {
    if (placement.tensor < 0 ||
        static_cast<std::size_t>(placement.tensor) >= program.graph.tensors.size() ||
        (placement.region != isa::Region::kActivations &&
         placement.region != isa::Region::kOutput) ||
        placement.stores > stores) {
      return fail(ErrorCode::kMalformed, "placement out of range", "placements");
    }
    const auto& tensor = program.graph.tensors[static_cast<std::size_t>(placement.tensor)];
    const std::uint64_t size = checker.sizes[static_cast<std::size_t>(placement.region)];
    if (std::uint64_t{placement.offset} + blocked_bytes(tensor.shape, machine.lanes) > size) {
      return fail(ErrorCode::kMalformed, "tensor reaches past its region",
                  "placement of " + tensor.name);
    }
  }
  const bool has_output =
      std::any_of(program.placements.begin(), program.placements.end(), [&](const auto& p) {
        return p.tensor == program.graph.output && p.region == isa::Region::kOutput;
      });
  if (!has_output) return fail(ErrorCode::kMalformed, "the output is not stored", "placements");
  if (program.maskable && program.switchable) {
    return fail(ErrorCode::kMalformed, "takes masks and environments", "switchable");
  }
  if (program.switchable) return verify_switchable(program);
  return program.maskable ? verify_maskable(program) : Status();
}

}  // namespace espalier::program
