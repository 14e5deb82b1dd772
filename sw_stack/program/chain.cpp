#include "program/chain.hpp"

#include <algorithm>
#include <array>

#include "base/integers.hpp"

namespace espalier::program {
namespace {

constexpr std::uint32_t kPage = 4096;  // bursts are cut there: every image's are cut alike
constexpr std::uint64_t kBytes = 16 << 20;
constexpr std::size_t kMostImages = 16;

using Counts = std::array<std::uint64_t, 8>;  // instructions by engine

std::uint64_t paged(std::uint64_t bytes) { return round_up(bytes, kPage); }

void shift(isa::Instruction& instruction, const Counts& before, std::uint32_t input,
           std::uint32_t output) {
  auto dependencies = isa::dependencies(instruction);
  for (isa::Dependency& d : dependencies) {
    if (d.engine == isa::Engine::kNone) continue;
    d.count = static_cast<std::uint16_t>(d.count + before[index(d.engine)]);
  }
  isa::set_dependencies(instruction, dependencies);
  const auto move = [&](auto& transfer) {
    const auto region = static_cast<isa::Region>(transfer.region);
    if (region == isa::Region::kInput) transfer.offset += input;
    if (region == isa::Region::kOutput) transfer.offset += output;
  };
  if (auto* load = std::get_if<isa::Load>(&instruction)) move(*load);
  if (auto* store = std::get_if<isa::Store>(&instruction)) move(*store);
}

void count(const isa::Instruction& instruction, Counts& counts) {
  const isa::Engine queue = isa::queue_of(instruction);
  if (queue != isa::Engine::kNone) ++counts[index(queue)];
  const auto* conv = std::get_if<isa::Conv>(&instruction);
  if (conv != nullptr && conv->last != 0) ++counts[index(isa::Engine::kPost)];
}

/// Holds back what follows in the activation buffer's queue until all before has been read.
isa::Instruction barrier(const Counts& before) {
  isa::Nop nop{};
  nop.engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
  isa::Instruction instruction = nop;
  std::array<isa::Dependency, 3> dependencies{};
  std::size_t d = 0;
  for (const isa::Engine engine : {isa::Engine::kExec, isa::Engine::kPost, isa::Engine::kPool}) {
    const std::uint64_t retired = before[index(engine)];
    if (retired != 0) dependencies[d++] = {engine, static_cast<std::uint16_t>(retired)};
  }
  isa::set_dependencies(instruction, dependencies);
  return instruction;
}

}  // namespace

Result<Chain> chain(const Program& program, std::size_t images) {
  ESP_CHECK(images >= 1);
  const std::vector<isa::Instruction> list = decode_all(program);
  Counts each{};
  for (const isa::Instruction& instruction : list) count(instruction, each);
  Chain out{program, images, static_cast<std::uint32_t>(each[index(isa::Engine::kStore)]),
            static_cast<std::uint32_t>(paged(program.input_bytes)),
            static_cast<std::uint32_t>(paged(program.output_bytes))};
  if (images == 1) return out;
  for (const std::uint64_t stride : {out.input_stride, out.output_stride}) {
    if (stride * images > std::uint64_t{kRegionLimit}) {
      return fail(ErrorCode::kCapacity,
                  std::to_string(images) + " images take " + std::to_string(stride * images) +
                      " bytes; a region has " + std::to_string(kRegionLimit),
                  program.graph.name);
    }
  }
  Program& all = out.program;
  all.input_bytes = static_cast<std::uint32_t>(out.input_stride * images);
  all.output_bytes = static_cast<std::uint32_t>(out.output_stride * images);
  all.instructions.clear();
  all.placements.clear();
  Counts before{};
  for (std::size_t i = 0; i < images; ++i) {
    if (i > 0) {
      const isa::Instruction first = barrier(before);
      isa::encode(first, all.instructions);
      count(first, before);
    }
    const auto image = static_cast<std::uint32_t>(i);
    Counts after = before;
    for (isa::Instruction instruction : list) {
      if (std::holds_alternative<isa::End>(instruction) && i + 1 < images) continue;
      count(instruction, after);
      shift(instruction, before, image * out.input_stride, image * out.output_stride);
      isa::encode(instruction, all.instructions);
    }
    for (Placement placement : program.placements) {
      placement.stores += static_cast<std::uint32_t>(before[index(isa::Engine::kStore)]);
      if (placement.region == isa::Region::kOutput) placement.offset += image * out.output_stride;
      all.placements.push_back(placement);
    }
    before = after;
  }
  return out;
}

std::size_t chain_length(const Program& program) {
  const std::uint64_t image = program.instructions.size() + paged(program.input_bytes);
  // What the machine can address beside the first image and a page that the code may reach into.
  const std::uint64_t space = 1ULL << program.machine().address_bits;
  const std::uint64_t taken = memory_bytes(program) + kPage;
  const std::uint64_t more =
      (space - std::min(space, taken)) / (image + paged(program.output_bytes));
  return std::min<std::size_t>(
      std::clamp<std::size_t>(kBytes / std::max<std::uint64_t>(image, 1), 1, kMostImages),
      static_cast<std::size_t>(more) + 1);
}

}  // namespace espalier::program
