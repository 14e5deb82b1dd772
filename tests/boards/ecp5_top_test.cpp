// The ECP5 design on six pins: registers of the machine through the shift chains.

#include <cstdint>
#include <vector>

#include "Vrtl_ecp5_top.h"
#include "catch.hpp"
#include "isa/generated/configs.hpp"
#include "isa/generated/isa.hpp"
#include "isa/generated/registers.hpp"

using namespace espalier;

namespace {

constexpr std::size_t kInputs = 139, kOutputs = 210;  // lengths of the chains
constexpr int kBready = 12 + 1 + 32 + 4 + 1;          // bits before it
constexpr int kRready = kBready + 1 + 12 + 1;

/// Bits, MSB first, as they go through the chains.
class Bits {
 public:
  Bits& put(std::uint64_t value, int width) {
    for (int i = width - 1; i >= 0; --i) bits_.push_back((value >> i & 1U) != 0);
    return *this;
  }
  std::uint64_t take(int width) {
    std::uint64_t value = 0;
    for (int i = 0; i < width; ++i) value = value << 1U | (bits_.at(at_++) ? 1U : 0U);
    return value;
  }
  [[nodiscard]] std::vector<bool>& list() { return bits_; }

 private:
  std::vector<bool> bits_;
  std::size_t at_ = 0;
};

class Chains {
 public:
  Chains() : top_(&context_) {
    top_.rst_ni = 0;
    clock();
    top_.rst_ni = 1;
  }
  /// Shows AXI4-Lite inputs to the machine for a while; returns what it answers.
  Bits exchange(bool write, std::uint32_t address, std::uint32_t value) {
    Bits inputs;
    inputs.put(write ? address : 0, 12).put(write, 1).put(value, 32).put(0xF, 4).put(write, 1);
    inputs.put(0, 1);  // bready: the answer stays
    inputs.put(write ? 0 : address, 12).put(!write, 1).put(0, 1);
    inputs.list().resize(kInputs);  // nothing from memory
    shift(inputs.list());
    load();
    for (int i = 0; i < 10; ++i) clock();
    load();
    Bits answer;
    answer.list() = shift(std::vector<bool>(kOutputs));
    // Both answers are taken.
    Bits ready;
    ready.put(0, kBready).put(1, 1).put(0, kRready - kBready - 1).put(1, 1);
    ready.list().resize(kInputs);
    shift(ready.list());
    load();
    return answer;
  }
  std::uint32_t read(std::uint32_t address) {
    Bits answer = exchange(false, address, 0);
    answer.take(6);
    const auto value = static_cast<std::uint32_t>(answer.take(32));
    CHECK(answer.take(2) == 0);  // okay
    CHECK(answer.take(1) == 1);  // valid
    return value;
  }
  void write(std::uint32_t address, std::uint32_t value) {
    Bits answer = exchange(true, address, value);
    answer.take(2);
    CHECK(answer.take(2) == 0);
    CHECK(answer.take(1) == 1);
  }

 private:
  void clock() {
    top_.clk_i = 0;
    top_.eval();
    top_.clk_i = 1;
    top_.eval();
  }
  std::vector<bool> shift(const std::vector<bool>& in) {
    std::vector<bool> out;
    top_.shift_i = 1;
    for (const bool bit : in) {
      top_.sdi_i = bit;
      out.push_back(top_.sdo_o != 0);
      clock();
    }
    top_.shift_i = 0;
    return out;
  }
  void load() {
    top_.load_i = 1;
    clock();
    top_.load_i = 0;
  }

  VerilatedContext context_;
  Vrtl_ecp5_top top_;
};

}  // namespace

TEST_CASE("ecp5: the machine's registers answer through the chains") {
  Chains chains;
  CHECK(chains.read(isa::reg::kId) == isa::reg::kIdValue);
  CHECK(chains.read(isa::reg::kVersion) == isa::kIsaVersion);
  CHECK(chains.read(isa::reg::kConfigHash) == isa::find_config("tiny")->hash);
  for (const std::uint32_t value : {0x12345660U, 0xFFFFFFE0U, 0U}) {
    chains.write(isa::reg::kBase2, value);
    CHECK(chains.read(isa::reg::kBase2) == value);
  }
  CHECK(chains.read(isa::reg::kStatus) == 0);
}
