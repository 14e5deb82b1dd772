#pragma once
// Instructions as values: encoding, decoding with range checks, text.

#include <string>
#include <variant>
#include <vector>

#include "isa/generated/configs.hpp"
#include "isa/generated/isa.hpp"
#include "base/result.hpp"

namespace espalier::isa {

using Instruction = std::variant<Nop, End, Load, Store, Conv, Pool>;

/// Instructions that may have the clip word.
template <typename T>
concept Clippable = requires(T x) {
  x.clip;
};

/// What a LOAD writes to.
enum class LoadTarget : std::uint32_t {
  kActivations = 0,
  kPoolTable = 1,
  kWeights = 2,
  kParameters = 3,
  kLayerTable = 4,
  kSqueezer = 5
};
/// What a STORE takes its words from.
enum class StoreSource : std::uint32_t { kPost = 0, kPool = 1 };
/// Base registers. Units: bytes behind them.
enum class Region : std::uint32_t {
  kConstants = 0,
  kActivations = 1,
  kInput = 2,
  kOutput = 3,
  kMask = 4
};
/// What the words of a LOAD of weights are.
enum class LoadForm : std::uint32_t {
  kPlain = 0,
  kIndexed = 1,
  kBits = 2,
  kMasked = 3,
  kSelected = 4
};
/// Whether a LOAD's words take bits that one of kBits has left.
constexpr bool uses_bits(const Load& load) {
  const auto form = static_cast<LoadForm>(load.form);
  return form == LoadForm::kMasked || form == LoadForm::kSelected;
}
/// Words of an indexed stream: one of indices, then those that have them (docs/fine.md).
inline constexpr std::uint32_t kIndexedGroup = 5;
/// Words of weights that a word of bits is for.
inline constexpr std::uint32_t kWordsOfBits = 8;
/// The most words of a burst that do not stay in the weight ring, and take room until they come.
inline constexpr std::uint32_t kLeftOut = 8;

/// The word of the activation buffer that word `i` of a LOAD goes to, modulo the buffer.
constexpr std::uint64_t act_address(const Load& load, std::uint64_t i) {
  const std::uint64_t planes = i / (std::uint64_t{load.x_words} * load.y_count);
  return load.sram_address + i + (load.skip != 0 ? planes : 0);
}
/// Words of the weight ring that a LOAD fills.
constexpr std::uint64_t ring_words(const Load& load) {
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  switch (static_cast<LoadForm>(load.form)) {
    case LoadForm::kIndexed:
      return words / kIndexedGroup * (kIndexedGroup - 1);
    case LoadForm::kBits:
      return 0;
    case LoadForm::kSelected:
      return words / 2;
    default:
      return words;
  }
}
/// Whether word `i` of a LOAD of weights does not go to the ring; of two selected ones the second
/// does.
constexpr bool left_out(const Load& load, std::uint64_t i) {
  switch (static_cast<LoadForm>(load.form)) {
    case LoadForm::kIndexed:
      return i % kIndexedGroup == 0;
    case LoadForm::kBits:
      return true;
    case LoadForm::kSelected:
      return i % 2 == 0;
    default:
      return false;
  }
}
/// Words that the weight ring has for a CONV: less of a fine one, beside whose words others come.
constexpr std::uint64_t ring_limit(const Conv& conv, const Config& config) {
  return static_cast<std::uint64_t>(config.weight_words) - (conv.fine != 0 ? kLeftOut : 0);
}
/// Empty, or that a CONV's first piece of weights does not fit the ring.
std::string ring_trouble(const Conv& conv, const Config& config);
/// What fine CONVs and indexed weights want beside what spec/espalier.toml says; empty where all
/// is well.
std::string fine_trouble(const Conv& conv, const Config& config);
std::string fine_trouble(const Load& load, const Config& config);
std::string fine_trouble(const Instruction& instruction, const Config& config);

/// What of a layer's row is added to the offset of a clipped transfer.
enum class ClipShift : std::uint32_t { kNone = 0, kIn = 1, kOperand = 2, kOut = 3 };

/// The queue that an instruction goes through (kNone for end).
Engine queue_of(const Instruction& instruction);

/// One dependency: wait until `engine` has retired `count` instructions.
struct Dependency {
  Engine engine = Engine::kNone;
  std::uint16_t count = 0;
  bool operator==(const Dependency&) const = default;
};
std::array<Dependency, 3> dependencies(const Instruction& instruction);
void set_dependencies(Instruction& instruction, const std::array<Dependency, 3>& dependencies);
std::uint32_t layer(const Instruction& instruction);
/// The clip word, or nullptr.
const Clip* clip_of(const Instruction& instruction);
/// 128-bit words of its encoding.
unsigned words(const Instruction& instruction);

/// Appends the instruction's little-endian words; the clip word is the second. Fields must be in
/// range (a broken invariant otherwise).
void encode(const Instruction& instruction, std::vector<std::uint8_t>& out);

/// Decodes the instruction at `bytes[offset]` and advances `offset`.
/// Errors: kMalformed for an unknown opcode, a wrong length, a field out of range, spare bits set,
/// an engine that does not exist, or bytes that end too early; `place` is the byte offset.
Result<Instruction> decode(std::span<const std::uint8_t> bytes, std::size_t& offset);

/// Bytes of a row of the layer table.
inline constexpr std::size_t kRowBytes = 32;

/// Appends a row. Fields must be in range.
void encode(const LayerRow& row, std::vector<std::uint8_t>& out);
/// Decodes row `index` of a table. Errors: kMalformed for a table that ends before it, and for
/// unused bits that are set.
Result<LayerRow> decode_row(std::span<const std::uint8_t> table, std::size_t index);

/// What contradicts itself in an instruction (spec/espalier.toml); empty where nothing does.
std::string contradiction_in(const Instruction& instruction);

/// One line: `conv layer=3 wait(load_a>=12) first=1 ...`; fields at zero are left out.
std::string disassemble(const Instruction& instruction);

}  // namespace espalier::isa
