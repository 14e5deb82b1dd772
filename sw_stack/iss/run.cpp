#include "iss/run.hpp"

#include <algorithm>
#include <utility>

namespace espalier::iss {

Regions make_regions(const program::Program& program, std::span<const std::int8_t> image) {
  Regions regions;
  regions[0].assign(program.constant_bytes(), 0);
  std::copy(program.constants.begin(), program.constants.end(), regions[0].begin());
  std::copy(program.instructions.begin(), program.instructions.end(),
            regions[0].begin() + program.code_offset());
  regions[1].assign(program.activation_bytes, 0);
  regions[2] = program::pack_input(program, image);
  regions[3].assign(program.output_bytes, 0);
  regions[4] = program.constants;  // without a mask: the dense rows in front
  return regions;
}

Status pack(const program::Program& program, const program::Masked& masked, Regions& regions,
            const Options& options) {
  constexpr std::uint8_t kUnwritten = 0xA5;  // whoever reads what PACK does not write sees it
  // Its part of region 4 is region 1 as well: STOREs write there.
  regions[4] = program::mask_region(masked, kUnwritten);
  if (masked.packs.empty()) return {};
  std::vector<std::uint8_t> activations = std::exchange(regions[1], regions[4]);
  // The user's own weights stand in the dense image while it is packed.
  const auto swap_patch = [&](std::vector<program::Bytes>& patch) {
    for (program::Bytes& part : patch)
      std::ranges::swap_ranges(part.bytes,
                               std::span(regions[0]).subspan(part.offset, part.bytes.size()));
  };
  std::vector<program::Bytes> patch = masked.patch;
  swap_patch(patch);
  const auto list = program::decode_list(masked.packs);
  ESP_CHECK(list.ok());
  Status status = Iss(program.machine(), options).run(*list, regions);
  swap_patch(patch);
  regions[4] = std::exchange(regions[1], std::move(activations));
  return status;
}

Result<Outputs> run(const program::Program& program, std::span<const std::int8_t> image,
                    const Options& options, const program::Masked* masked) {
  const isa::Config& machine = program.machine();
  const std::vector<isa::Instruction> list = program::decode_all(program);
  Regions regions = make_regions(program, image);
  if (masked != nullptr) {
    if (const Status status = pack(program, *masked, regions, options); !status)
      return status.error();
  }
  Outputs outputs;
  outputs.stored.resize(program.placements.size());
  const auto collect = [&](isa::Engine engine, std::uint64_t count) {
    if (engine != isa::Engine::kStore) return;
    for (std::size_t i = 0; i < program.placements.size(); ++i) {
      const program::Placement& placement = program.placements[i];
      if (placement.stores != count) continue;
      if (masked != nullptr) {
        if (masked->stored[static_cast<std::size_t>(placement.tensor)]) {
          outputs.stored[i] = program::unpack(program, *masked, placement,
                                              regions[static_cast<std::size_t>(placement.region)]);
        }
        continue;
      }
      const ir::Shape& shape =
          program.graph.tensors[static_cast<std::size_t>(placement.tensor)].shape;
      const auto& region = regions[static_cast<std::size_t>(placement.region)];
      outputs.stored[i] =
          program::unpack(shape, machine.lanes,
                          std::span(region).subspan(placement.offset,
                                                    program::blocked_bytes(shape, machine.lanes)));
    }
  };
  Iss iss(machine, options);
  if (const Status status = iss.run(list, regions, collect); !status.ok()) return status.error();
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    if (program.placements[i].tensor == program.graph.output) outputs.output = outputs.stored[i];
  }
  return outputs;
}

}  // namespace espalier::iss
