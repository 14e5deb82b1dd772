#pragma once
// A program that is nobody's: its sums leave int32.

#include <bit>
#include <cmath>
#include <cstring>

#include "random_program.hpp"

namespace espalier::tests {

/// Convolutions that add to one accumulator a lane until it has wrapped; one word is stored.
struct WrappingProgram {
  RandomProgram program;
  std::int64_t sum = 0;  ///< of a lane, in full

  explicit WrappingProgram(const isa::Config& config) {
    const auto lanes = static_cast<std::uint32_t>(config.lanes);
    constexpr std::uint32_t kTaps = 11;  // a side
    constexpr std::int64_t kProduct = 255 * -128;
    auto& constants = program.regions[0];
    constants.assign(std::size_t{lanes} * lanes, 0x80);
    const auto params = static_cast<std::uint32_t>(constants.size());
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      const std::uint32_t values[2] = {0, std::bit_cast<std::uint32_t>(std::ldexp(1.0F, -25))};
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(values);
      constants.insert(constants.end(), bytes, bytes + sizeof(values));
    }
    constants.resize((constants.size() + 63) / 64 * 64);
    program.regions[1].assign(64, 0);
    program.regions[2].assign(std::size_t{kTaps} * lanes, 0x7F);

    const auto load = [&](isa::LoadTarget target, isa::Region region, std::uint32_t offset,
                          std::uint32_t words) {
      isa::Load x;
      x.target = static_cast<std::uint32_t>(target);
      x.region = static_cast<std::uint32_t>(region);
      x.offset = offset;
      x.x_words = words;
      program.instructions.emplace_back(x);
    };
    load(isa::LoadTarget::kActivations, isa::Region::kInput, 0, kTaps);
    load(isa::LoadTarget::kWeights, isa::Region::kConstants, 0, lanes);
    load(isa::LoadTarget::kParameters, isa::Region::kConstants, params, 8);
    isa::Conv conv;
    conv.dep0_engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
    conv.dep0_count = 1;
    conv.first = 1;
    conv.kh = conv.kw = conv.in_rows = conv.in_cols = kTaps;
    conv.zx = -128;
    conv.w_piece = lanes;
    conv.lo = -128;
    conv.hi = 127;
    const std::int64_t once = kProduct * kTaps * kTaps * lanes;
    const std::int64_t convs = (std::int64_t{1} << 31) / -once + 2;
    for (std::int64_t i = 0; i < convs; ++i, sum += once) {
      conv.last = conv.w_release = conv.p_release = i + 1 == convs ? 1 : 0;
      program.instructions.emplace_back(conv);
      conv.first = 0;
    }
    isa::Store store;
    store.region = static_cast<std::uint32_t>(isa::Region::kActivations);
    program.instructions.emplace_back(store);
    program.instructions.emplace_back(isa::End{});
    program.code_offset = constants.size();
    for (const auto& instruction : program.instructions) isa::encode(instruction, constants);
  }
};

}  // namespace espalier::tests
