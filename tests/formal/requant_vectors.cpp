// Random vectors through the verilated requantiser, without a gap but for random stalls, against
// the golden model's definition. Usage: requant_vectors RESULTS [--flip]; prints what it did and
// the processor time; exits 1 on a difference. --flip flips the lowest bit of every result, so that
// all must be found wrong. The seed is ESPALIER_SEED.

#include <Vrtl_requant.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <string_view>

#include "golden/numerics.hpp"
#include "seed.hpp"
#include "verilated_bench.hpp"

namespace {

using espalier::tests::Draw;
using espalier::tests::port_byte;
using espalier::tests::set_port_word;
using espalier::tests::VerilatedBench;

constexpr std::size_t kLanes = 8;

struct Vector {
  std::array<std::int32_t, kLanes> acc{};
  std::array<float, kLanes> scale{};
  int zero = 0, lo = -128, hi = 127;
};

/// Accumulators of every magnitude; products mostly from one eighth to 2,048, where the roundings
/// matter, now and then anything finite; half of the significands have few bits, so that ties come.
Vector draw_vector(Draw& draw) {
  Vector vector;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::uint64_t bits = draw.bits();
    vector.acc[i] = static_cast<std::int32_t>(bits) >> (bits >> 59U);
    const auto magnitude =
        static_cast<std::uint32_t>(vector.acc[i] < 0 ? ~vector.acc[i] : vector.acc[i]);
    const int near = 127 - std::bit_width(magnitude) + static_cast<int>(bits >> 54U & 15U) - 3;
    const auto any = static_cast<int>(1 + (bits >> 40U) % 254);
    const auto exponent = static_cast<std::uint32_t>((bits >> 48U & 15U) == 0 ? any : near);
    std::uint32_t fraction = static_cast<std::uint32_t>(bits >> 32U) & 0x7FFFFFU;
    if ((bits >> 53U & 1U) != 0) fraction &= 0x780000U;
    vector.scale[i] = std::bit_cast<float>(exponent << 23U | fraction);
  }
  vector.zero = draw.byte();
  if (draw.chance(0.5)) {
    vector.lo = draw.range(-128, 127);
    vector.hi = draw.range(vector.lo, 127);
  }
  return vector;
}

struct Tally {
  std::uint64_t results = 0, wrong = 0;
};

void compare(VerilatedBench<Vrtl_requant>& bench, const Vector& vector, int flip, Tally& tally) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    const int want = espalier::golden::requantise_clamp(vector.acc[i], vector.scale[i], vector.zero,
                                                        vector.lo, vector.hi);
    const int got = port_byte(bench->data_o, i) ^ flip;
    ++tally.results;
    if (got == want || ++tally.wrong > 10) continue;
    std::printf("acc %d scale %a zero %d lo %d hi %d: %d instead of %d\n", vector.acc[i],
                static_cast<double>(vector.scale[i]), vector.zero, vector.lo, vector.hi, got, want);
  }
}

Tally stream(std::uint64_t results, int flip, std::uint64_t seed) {
  Draw draw(seed);
  VerilatedBench<Vrtl_requant> bench;
  std::deque<Vector> inside;
  Tally tally;
  for (std::uint64_t entered = 0; tally.results < results;) {
    const bool enable = !draw.chance(0.1);
    const bool valid = entered * kLanes < results && !draw.chance(0.05);
    bench->en_i = enable;
    bench->valid_i = valid;
    if (valid) {
      const Vector vector = draw_vector(draw);
      for (std::size_t i = 0; i < kLanes; ++i) {
        set_port_word(bench->acc_i, i, static_cast<std::uint32_t>(vector.acc[i]));
        set_port_word(bench->scale_i, i, std::bit_cast<std::uint32_t>(vector.scale[i]));
      }
      bench->zero_i = static_cast<std::uint8_t>(vector.zero);
      bench->lo_i = static_cast<std::uint8_t>(vector.lo);
      bench->hi_i = static_cast<std::uint8_t>(vector.hi);
      if (enable) {
        inside.push_back(vector);
        ++entered;
      }
    }
    bench.tick();
    if (enable && bench->valid_o != 0) {
      if (inside.empty()) return {tally.results, tally.wrong + 1};
      compare(bench, inside.front(), flip, tally);
      inside.pop_front();
    }
    if (bench.cycle() > 2 * results + 100) return {tally.results, tally.wrong + 1};
  }
  return tally;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t results = 0;
  const bool flip = argc == 3 && std::string_view(argv[2]) == "--flip";
  const char* end = argc == 2 || flip ? argv[1] + std::strlen(argv[1]) : nullptr;
  if (end == nullptr || std::from_chars(argv[1], end, results).ptr != end || results == 0) {
    std::fputs("usage: requant_vectors RESULTS [--flip]\n", stderr);
    return 2;
  }
  const std::uint64_t seed = espalier::tests::seed();
  const Tally tally = stream(results, flip ? 1 : 0, seed);
  std::printf(
      "requant: %llu results, %llu wrong, %.1f s of processor time (ESPALIER_SEED=%llu)\n",
      static_cast<unsigned long long>(tally.results), static_cast<unsigned long long>(tally.wrong),
      static_cast<double>(std::clock()) / CLOCKS_PER_SEC, static_cast<unsigned long long>(seed));
  return tally.wrong == 0 ? 0 : 1;
}
