#include "program/program.hpp"

#include <algorithm>

#include "isa/maps.hpp"
#include "base/integers.hpp"

namespace espalier::program {

std::uint32_t Program::code_offset() const {
  return static_cast<std::uint32_t>((constants.size() + 4095) / 4096 * 4096);
}

std::uint32_t Program::constant_bytes() const {
  return code_offset() + static_cast<std::uint32_t>(instructions.size());
}

std::uint64_t memory_bytes(const Program& program) {
  std::uint64_t bytes = kPageBytes;
  for (const std::uint64_t region : {program.constant_bytes(), program.activation_bytes,
                                     program.input_bytes, program.output_bytes}) {
    bytes += round_up(region, kPageBytes);
  }
  return bytes;
}

Result<std::vector<isa::Instruction>> decode_list(std::span<const std::uint8_t> bytes) {
  std::vector<isa::Instruction> list;
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    auto instruction = isa::decode(bytes, offset);
    if (!instruction) return instruction.error();
    list.push_back(*instruction);
  }
  return list;
}

std::vector<isa::Instruction> decode_all(const Program& program) {
  auto list = decode_list(program.instructions);
  ESP_CHECK(list.ok());
  return std::move(list).value();
}

namespace {

/// Bit maps start at multiples of this.
constexpr std::uint32_t kMapAlign = 32;

std::uint32_t maps_after(std::uint32_t start, int blocks) {
  const auto bytes = static_cast<std::uint32_t>(static_cast<std::size_t>(blocks) * isa::kMapBytes);
  return start + round_up(bytes, kMapAlign);
}

}  // namespace

std::uint32_t Maskable::Weights::n_maps() const { return maps_after(maps, k_blocks); }
std::uint32_t Maskable::Weights::maps_end() const { return maps_after(n_maps(), n_blocks); }

std::vector<std::uint64_t> further_inputs(const ir::QuantGraph& graph, const InputLayout& input,
                                          int lanes) {
  constexpr std::uint64_t kAlign = 64;
  std::uint64_t end = static_cast<std::uint64_t>(input.blocks) * input.h * input.w * lanes;
  std::vector<std::uint64_t> offsets;
  for (const int id : graph.more_inputs) {
    end = round_up(end, kAlign);
    offsets.push_back(end);
    end += blocked_bytes(graph.tensors[static_cast<std::size_t>(id)].shape, lanes);
  }
  offsets.push_back(end);
  return offsets;
}

namespace {

/// [C][H][W] to blocks; lanes past C stay as they are.
void pack(const ir::Shape& shape, int lanes, std::span<const std::int8_t> values,
          std::span<std::uint8_t> blocked) {
  const auto pixels = static_cast<std::size_t>(shape.h) * shape.w;
  for (int c = 0; c < shape.c; ++c) {
    const std::size_t to = static_cast<std::size_t>(c / lanes) * pixels * lanes + c % lanes;
    for (std::size_t p = 0; p < pixels; ++p) {
      blocked[to + p * lanes] =
          static_cast<std::uint8_t>(values[static_cast<std::size_t>(c) * pixels + p]);
    }
  }
}

}  // namespace

std::vector<std::uint8_t> pack_input(const Program& program, std::span<const std::int8_t> image) {
  const InputLayout& layout = program.input;
  const ir::QuantTensor& tensor =
      program.graph.tensors[static_cast<std::size_t>(program.graph.input)];
  const ir::Shape& shape = tensor.shape;
  const int lanes = program.machine().lanes;
  ESP_CHECK(static_cast<std::int64_t>(image.size()) == ir::input_elements(program.graph));
  const std::vector<std::uint64_t> further = further_inputs(program.graph, layout, lanes);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(further.back()),
                                static_cast<std::uint8_t>(tensor.quant.zero));
  auto rest = image.subspan(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < program.graph.more_inputs.size(); ++i) {
    const ir::Shape& more =
        program.graph.tensors[static_cast<std::size_t>(program.graph.more_inputs[i])].shape;
    const auto count = static_cast<std::size_t>(more.count());
    pack(more, lanes, rest.first(count), std::span(out).subspan(further[i]));
    rest = rest.subspan(count);
  }
  const std::span<const std::int8_t> border = ir::input_border(program.graph);
  std::size_t at = 0;
  for (int block = 0; block < layout.blocks; ++block) {
    for (int y = 0; y < layout.h; ++y) {
      for (int x = 0; x < layout.w; ++x) {
        for (int l = 0; l < lanes; ++l, ++at) {
          const InputLayout::Lane& lane = layout.lanes[static_cast<std::size_t>(block * lanes + l)];
          const int sy = y * layout.stride_y + lane.dy;
          const int sx = x * layout.stride_x + lane.dx;
          if (lane.c < 0) continue;
          const auto c = static_cast<std::size_t>(lane.c);
          if (sy >= 0 && sy < shape.h && sx >= 0 && sx < shape.w) {
            out[at] = static_cast<std::uint8_t>(image[(c * shape.h + sy) * shape.w + sx]);
          } else if (!border.empty()) {
            out[at] = static_cast<std::uint8_t>(border[c]);
          }
        }
      }
    }
  }
  return out;
}

std::int64_t macs(const ir::QuantGraph& graph, const Layer& layer, const ir::ChannelMask& live) {
  std::int64_t sum = 0;
  for (const int n : layer.nodes)
    sum += ir::macs(graph, graph.nodes[static_cast<std::size_t>(n)], live);
  return sum;
}

std::uint32_t blocked_bytes(const ir::Shape& shape, int lanes) {
  return static_cast<std::uint32_t>(round_up(shape.c, lanes)) *
         static_cast<std::uint32_t>(shape.h) * static_cast<std::uint32_t>(shape.w);
}

std::vector<std::int8_t> unpack(const ir::Shape& shape, int lanes,
                                std::span<const std::uint8_t> blocked) {
  ESP_CHECK(blocked.size() >= blocked_bytes(shape, lanes));
  const auto pixels = static_cast<std::size_t>(shape.h) * shape.w;
  std::vector<std::int8_t> out(static_cast<std::size_t>(shape.count()));
  for (int c = 0; c < shape.c; ++c) {
    const std::size_t from = static_cast<std::size_t>(c / lanes) * pixels * lanes + c % lanes;
    for (std::size_t p = 0; p < pixels; ++p) {
      out[static_cast<std::size_t>(c) * pixels + p] =
          static_cast<std::int8_t>(blocked[from + p * lanes]);
    }
  }
  return out;
}

}  // namespace espalier::program
