// Instructions with the clip word, and rows of the layer table: encoding, decoding, refusals.

#include <random>

#include "catch.hpp"
#include "isa/instruction.hpp"
#include "seed.hpp"

using namespace espalier;
using Catch::Matchers::Contains;

namespace {

template <typename T>
void randomise(T& record, std::mt19937_64& random) {
  isa::for_each_field(record, [&](std::string_view name, auto& value, unsigned, unsigned, bool,
                                  std::int64_t low, std::int64_t high) {
    if (name.ends_with("_engine")) high = 6;
    value = static_cast<std::remove_reference_t<decltype(value)>>(
        std::uniform_int_distribution<std::int64_t>(low, high)(random));
  });
}

std::vector<std::uint8_t> encoded(const isa::Instruction& instruction) {
  std::vector<std::uint8_t> bytes;
  isa::encode(instruction, bytes);
  return bytes;
}

std::string refusal(const std::vector<std::uint8_t>& bytes) {
  std::size_t at = 0;
  const auto decoded = isa::decode(bytes, at);
  REQUIRE_FALSE(decoded.ok());
  return decoded.error().message;
}

}  // namespace

TEMPLATE_TEST_CASE("encode: an instruction with a clip word comes back as it was", "", isa::Load,
                   isa::Store, isa::Conv, isa::Pool) {
  INFO("seed " << tests::seed());
  std::mt19937_64 random(tests::seed());
  for (int i = 0; i < 50; ++i) {
    TestType instruction;
    randomise(instruction, random);
    instruction.clip.emplace();
    randomise(*instruction.clip, random);
    const auto bytes = encoded(instruction);
    REQUIRE(bytes.size() == (TestType::kWords + 1) * 16);
    REQUIRE(isa::words(instruction) == TestType::kWords + 1);
    std::size_t at = 0;
    const auto decoded = isa::decode(bytes, at);
    REQUIRE(decoded.ok());
    REQUIRE(std::get<TestType>(*decoded) == instruction);
    REQUIRE(at == bytes.size());
    REQUIRE_THAT(isa::disassemble(instruction), Contains(" clip("));
  }
}

TEST_CASE("encode: clip words that are wrong are refused by bit") {
  isa::Store store;
  store.clip.emplace();
  const auto good = encoded(store);
  auto bad = good;
  isa::put_bits(bad, 128 + 120, 1, 1);
  CHECK_THAT(refusal(bad), Contains("clip word: spare bit 120 is set"));
  bad = good;
  isa::put_bits(bad, 128 + 127, 1, 1);
  CHECK_THAT(refusal(bad), Contains("clip word: spare bit 127 is set"));
  bad = good;
  bad.resize(32);
  CHECK_THAT(refusal(bad), Contains("ends inside an instruction"));
  bad = encoded(isa::End{});
  isa::put_bits(bad, 7, 1, 1);  // length 3
  CHECK_THAT(refusal(bad), Contains("end has length 3; it takes 1"));
  bad = encoded(isa::Pool{});
  isa::put_bits(bad, 8, 1, 1);  // length 7
  CHECK_THAT(refusal(bad), Contains("pool has length 7; it takes 3 or 4"));
  isa::Load load;
  bad = encoded(load);
  isa::put_bits(bad, 80, 3, 6);
  CHECK_THAT(refusal(bad), Contains("target is 6; it goes from 0 to 5"));
}

TEST_CASE("encode: rows of the layer table come back, and wrong ones do not") {
  INFO("seed " << tests::seed());
  std::mt19937_64 random(tests::seed());
  std::vector<std::uint8_t> table;
  std::vector<isa::LayerRow> rows(20);
  for (auto& row : rows) {
    randomise(row, random);
    isa::encode(row, table);
  }
  REQUIRE(table.size() == rows.size() * isa::kRowBytes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = isa::decode_row(table, i);
    REQUIRE(row.ok());
    REQUIRE(*row == rows[i]);
  }
  CHECK_THAT(isa::decode_row(table, rows.size()).error().message, Contains("the table has 640"));
  isa::put_bits(table, 120, 1, 1);
  CHECK_THAT(isa::decode_row(table, 0).error().message, Contains("spare bit 120"));
}
