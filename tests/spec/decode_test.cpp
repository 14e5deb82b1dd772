// The C++ encoder against the RTL's structs: every field at 0, 1, its maximum and at random.

#include <random>

#include "Vrtl_decode_probe.h"
#include "catch.hpp"
#include "isa/instruction.hpp"
#include "seed.hpp"
#include "verilated.h"

using namespace espalier;

namespace {

class Probe {
 public:
  void show(const std::vector<std::uint8_t>& words) {
    std::memset(&top_.inst_i, 0, sizeof top_.inst_i);
    std::memcpy(&top_.inst_i, words.data(), words.size());
  }
  std::int32_t field(unsigned index) {
    top_.field_i = static_cast<CData>(index);
    top_.eval();
    return static_cast<std::int32_t>(top_.value_o);
  }
  bool in_range() {
    top_.eval();
    return top_.in_range_o;
  }

 private:
  VerilatedContext context_;
  Vrtl_decode_probe top_{&context_};
};

template <typename T>
void check_fields(Probe& probe, const T& instruction) {
  std::vector<std::uint8_t> words;
  isa::encode(instruction, words);
  probe.show(words);
  REQUIRE(probe.in_range());
  unsigned index = 0;
  isa::for_each_field(instruction, [&](std::string_view name, const auto& value, unsigned, unsigned,
                                       bool, std::int64_t, std::int64_t) {
    INFO(isa::name(T::kOpcode) << "." << name);
    REQUIRE(probe.field(index) == static_cast<std::int32_t>(value));
    ++index;
  });
  std::size_t at = 0;
  const auto decoded = isa::decode(words, at);
  REQUIRE(decoded.ok());
  REQUIRE(std::get<T>(*decoded) == instruction);
}

/// Draws every field; engines stay among those that exist.
template <typename T>
void randomise(T& instruction, std::mt19937_64& random) {
  isa::for_each_field(instruction, [&](std::string_view name, auto& value, unsigned, unsigned, bool,
                                       std::int64_t low, std::int64_t high) {
    if (name.ends_with("_engine")) high = 6;
    value = static_cast<std::remove_reference_t<decltype(value)>>(
        std::uniform_int_distribution<std::int64_t>(low, high)(random));
  });
}

}  // namespace

TEMPLATE_TEST_CASE("decode: the RTL sees every field that the encoder wrote", "", isa::Nop,
                   isa::End, isa::Load, isa::Store, isa::Conv, isa::Pool) {
  INFO("seed " << tests::seed());
  std::mt19937_64 random(tests::seed());
  Probe probe;
  check_fields(probe, TestType{});
  unsigned fields = 0;
  const TestType plain;
  isa::for_each_field(plain, [&](auto&&...) { ++fields; });
  for (unsigned chosen = 0; chosen < fields; ++chosen) {
    for (const int what : {0, 1, 2, 3, 4}) {
      TestType instruction;
      if (what == 4) randomise(instruction, random);
      unsigned index = 0;
      isa::for_each_field(instruction, [&](std::string_view name, auto& value, unsigned, unsigned,
                                           bool, std::int64_t low, std::int64_t high) {
        if (name.ends_with("_engine")) high = 6;
        if (index++ != chosen) return;
        const std::array<std::int64_t, 4> values = {low, std::max<std::int64_t>(low, 1), high,
                                                    std::max<std::int64_t>(low, 0)};
        if (what < 4) {
          value = static_cast<std::remove_reference_t<decltype(value)>>(
              values[static_cast<std::size_t>(what)]);
        }
      });
      check_fields(probe, instruction);
    }
  }
  for (int i = 0; i < 50; ++i) {
    TestType instruction;
    randomise(instruction, random);
    check_fields(probe, instruction);
  }
}

TEMPLATE_TEST_CASE("decode: encoder's limits are the RTL's", "", isa::Nop, isa::End, isa::Load,
                   isa::Store, isa::Conv, isa::Pool) {
  Probe probe;
  std::vector<std::uint8_t> good;
  const TestType plain;
  isa::encode(plain, good);
  std::vector<bool> used(good.size() * 8, false);
  std::fill_n(used.begin(), 9, true);  // opcode and length
  isa::for_each_field(
      plain, [&](std::string_view name, const auto&, unsigned offset, unsigned width,
                 bool is_signed, std::int64_t low, std::int64_t high) {
        for (unsigned i = 0; i < width; ++i) used[offset + i] = true;
        if (name.ends_with("_engine")) return;  // 7 is another fault than a field out of range
        const auto with = [&](std::int64_t value) {
          std::vector<std::uint8_t> words = good;
          for (unsigned i = 0; i < width; ++i) {
            words[(offset + i) / 8] &= static_cast<std::uint8_t>(~(1U << ((offset + i) % 8)));
          }
          isa::put_bits(words, offset, width, static_cast<std::uint64_t>(value));
          probe.show(words);
          return probe.in_range();
        };
        INFO(isa::name(TestType::kOpcode) << "." << name);
        REQUIRE(with(low));
        REQUIRE(with(high));
        const std::int64_t least = is_signed ? -(std::int64_t{1} << (width - 1)) : 0;
        const std::int64_t most = (std::int64_t{1} << (width - (is_signed ? 1 : 0))) - 1;
        if (low > least) REQUIRE_FALSE(with(low - 1));
        if (high < most) REQUIRE_FALSE(with(high + 1));
      });
  for (unsigned bit = 0; bit < used.size(); ++bit) {
    if (used[bit]) continue;
    INFO("spare bit " << bit);
    std::vector<std::uint8_t> words = good;
    isa::put_bits(words, bit, 1, 1);
    probe.show(words);
    REQUIRE_FALSE(probe.in_range());
  }
}

TEST_CASE("decode: the RTL sees every field of the clip word and of a layer table's row") {
  INFO("seed " << tests::seed());
  std::mt19937_64 random(tests::seed());
  Probe probe;
  const auto shown = [&](unsigned opcode, std::vector<std::uint8_t> record) {
    std::vector<std::uint8_t> words(16, 0);
    isa::put_bits(words, 0, 6, opcode);
    words.insert(words.end(), record.begin(), record.end());
    probe.show(words);
    return probe.in_range();
  };
  const auto check = [&](unsigned opcode, const auto& record, std::vector<std::uint8_t> bytes) {
    REQUIRE(shown(opcode, bytes));
    unsigned index = 0;
    std::vector<bool> used(bytes.size() * 8, false);
    isa::for_each_field(record, [&](std::string_view name, const auto& value, unsigned offset,
                                    unsigned width, bool, std::int64_t, std::int64_t) {
      INFO(name);
      REQUIRE(probe.field(index++) == static_cast<std::int32_t>(value));
      std::fill_n(used.begin() + offset, width, true);
    });
    for (unsigned bit = 0; bit < used.size(); ++bit) {
      if (used[bit]) continue;
      INFO("spare bit " << bit);
      std::vector<std::uint8_t> bad = bytes;
      isa::put_bits(bad, bit, 1, 1);
      REQUIRE_FALSE(shown(opcode, bad));
    }
  };
  for (int i = 0; i < 50; ++i) {
    isa::LayerRow row;
    randomise(row, random);
    std::vector<std::uint8_t> bytes;
    isa::encode(row, bytes);
    check(63, row, bytes);
    isa::Load load;
    load.clip.emplace();
    randomise(*load.clip, random);
    bytes.clear();
    isa::encode(load, bytes);
    check(62, *load.clip, {bytes.begin() + 16, bytes.begin() + 32});
  }
}
