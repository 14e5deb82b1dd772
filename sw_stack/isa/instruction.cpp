#include "isa/instruction.hpp"

#include <algorithm>

namespace espalier::isa {
namespace {

constexpr unsigned kHeaderBits = 80;
constexpr std::size_t kWordBytes = 16;

/// Reads the fields of `record`, which begins at `bytes[0]` and of which the first `header` bits
/// are somebody else's. Returns what is wrong, or nothing.
template <typename T>
std::string get_fields(std::span<const std::uint8_t> bytes, unsigned header, T& record) {
  std::string trouble;
  std::vector<bool> used(bytes.size() * 8, false);
  std::fill_n(used.begin(), header, true);
  for_each_field(record, [&](std::string_view name, auto& field, unsigned offset, unsigned width,
                             bool is_signed, std::int64_t low, std::int64_t high) {
    const std::int64_t value = get_bits(bytes, offset, width, is_signed);
    for (unsigned i = 0; i < width; ++i) used[offset + i] = true;
    if ((value < low || value > high) && trouble.empty()) {
      trouble = std::string(name) + " is " + std::to_string(value) + "; it goes from " +
                std::to_string(low) + " to " + std::to_string(high);
    }
    field = static_cast<std::remove_reference_t<decltype(field)>>(value);
  });
  for (std::size_t bit = 0; bit < used.size() && trouble.empty(); ++bit) {
    if (!used[bit] && ((bytes[bit / 8] >> (bit % 8)) & 1U) != 0) {
      trouble = "spare bit " + std::to_string(bit) + " is set";
    }
  }
  return trouble;
}

template <typename T>
void put_fields(const T& record, std::span<std::uint8_t> bytes) {
  for_each_field(record, [&](std::string_view, const auto& field, unsigned offset, unsigned width,
                             bool, std::int64_t low, std::int64_t high) {
    ESP_CHECK(std::int64_t{field} >= low && std::int64_t{field} <= high);
    put_bits(bytes, offset, width, static_cast<std::uint64_t>(std::int64_t{field}));
  });
}

template <typename T>
Result<Instruction> decode_as(std::span<const std::uint8_t> bytes, std::size_t place) {
  T instruction;
  // Without the clip word, which stands behind the first.
  std::vector<std::uint8_t> plain(bytes.begin(), bytes.end());
  if (bytes.size() > T::kWords * kWordBytes) {
    plain.erase(plain.begin() + kWordBytes, plain.begin() + 2 * kWordBytes);
  }
  std::string trouble = get_fields<T>(plain, kHeaderBits, instruction);
  if (get_bits(bytes, kHeaderBits - 2, 2, false) != 0) trouble = "reserved bits are set";
  if constexpr (Clippable<T>) {
    if (bytes.size() > T::kWords * kWordBytes) {
      instruction.clip.emplace();
      const std::string clip =
          get_fields(bytes.subspan(kWordBytes, kWordBytes), 0, *instruction.clip);
      if (trouble.empty() && !clip.empty()) trouble = "clip word: " + clip;
    }
  }
  if (!trouble.empty()) {
    return fail(ErrorCode::kMalformed, std::string(name(T::kOpcode)) + ": " + trouble,
                "instruction at byte " + std::to_string(place));
  }
  return Instruction{instruction};
}

template <typename F>
auto visit_any(const Instruction& instruction, F&& f) {
  return std::visit(std::forward<F>(f), instruction);
}

}  // namespace

Engine queue_of(const Instruction& instruction) {
  struct Visitor {
    Engine operator()(const Nop& x) const { return static_cast<Engine>(x.engine); }
    Engine operator()(const End&) const { return Engine::kNone; }
    Engine operator()(const Load& x) const {
      return x.target < 2 ? Engine::kLoadA : Engine::kLoadW;
    }
    Engine operator()(const Store&) const { return Engine::kStore; }
    Engine operator()(const Conv&) const { return Engine::kExec; }
    Engine operator()(const Pool&) const { return Engine::kPool; }
  };
  return std::visit(Visitor{}, instruction);
}

std::array<Dependency, 3> dependencies(const Instruction& instruction) {
  return visit_any(instruction, [](const auto& x) {
    const auto make = [](std::uint32_t engine, std::uint32_t count) {
      return Dependency{static_cast<Engine>(engine), static_cast<std::uint16_t>(count)};
    };
    return std::array{make(x.dep0_engine, x.dep0_count), make(x.dep1_engine, x.dep1_count),
                      make(x.dep2_engine, x.dep2_count)};
  });
}

void set_dependencies(Instruction& instruction, const std::array<Dependency, 3>& d) {
  std::visit(
      [&](auto& x) {
        x.dep0_engine = static_cast<std::uint32_t>(d[0].engine);
        x.dep0_count = d[0].count;
        x.dep1_engine = static_cast<std::uint32_t>(d[1].engine);
        x.dep1_count = d[1].count;
        x.dep2_engine = static_cast<std::uint32_t>(d[2].engine);
        x.dep2_count = d[2].count;
      },
      instruction);
}

std::uint32_t layer(const Instruction& instruction) {
  return visit_any(instruction, [](const auto& x) { return x.layer; });
}

const Clip* clip_of(const Instruction& instruction) {
  return visit_any(instruction, [](const auto& x) -> const Clip* {
    if constexpr (Clippable<std::remove_cvref_t<decltype(x)>>) {
      return x.clip ? &*x.clip : nullptr;
    } else {
      return nullptr;
    }
  });
}

unsigned words(const Instruction& instruction) {
  const unsigned plain = visit_any(
      instruction, [](const auto& x) { return std::remove_cvref_t<decltype(x)>::kWords; });
  return plain + (clip_of(instruction) != nullptr ? Clip::kWords : 0);
}

void encode(const Instruction& instruction, std::vector<std::uint8_t>& out) {
  visit_any(instruction, [&](const auto& x) {
    using T = std::remove_cvref_t<decltype(x)>;
    const std::size_t start = out.size();
    const unsigned length = words(instruction);
    out.resize(start + T::kWords * kWordBytes, 0);
    const std::span<std::uint8_t> bytes(out.data() + start, T::kWords * kWordBytes);
    put_bits(bytes, 0, 6, static_cast<std::uint64_t>(T::kOpcode));
    put_bits(bytes, 6, 3, length);
    put_fields(x, bytes);
    if (const Clip* clip = clip_of(instruction)) {
      std::array<std::uint8_t, kWordBytes> word{};
      put_fields(*clip, word);
      out.insert(out.begin() + static_cast<std::ptrdiff_t>(start + kWordBytes), word.begin(),
                 word.end());
    }
  });
}

Result<Instruction> decode(std::span<const std::uint8_t> bytes, std::size_t& offset) {
  const std::string place = "instruction at byte " + std::to_string(offset);
  if (offset > bytes.size() || bytes.size() - offset < kWordBytes) {
    return fail(ErrorCode::kMalformed, "the program ends inside an instruction", place);
  }
  const auto code = static_cast<unsigned>(get_bits(bytes.subspan(offset, kWordBytes), 0, 6, false));
  const auto words =
      static_cast<unsigned>(get_bits(bytes.subspan(offset, kWordBytes), 6, 3, false));
  const auto finish = [&]<typename T>() -> Result<Instruction> {
    if (words != T::kWords && !(Clippable<T> && words == T::kWords + Clip::kWords)) {
      return fail(ErrorCode::kMalformed,
                  std::string(name(T::kOpcode)) + " has length " + std::to_string(words) +
                      "; it takes " + std::to_string(T::kWords) +
                      (Clippable<T> ? " or " + std::to_string(T::kWords + Clip::kWords) : ""),
                  place);
    }
    if (bytes.size() - offset < words * kWordBytes) {
      return fail(ErrorCode::kMalformed, "the program ends inside an instruction", place);
    }
    auto result = decode_as<T>(bytes.subspan(offset, words * kWordBytes), offset);
    if (!result) return result;
    for (const Dependency& d : dependencies(*result)) {
      if (static_cast<unsigned>(d.engine) > static_cast<unsigned>(Engine::kStore)) {
        return fail(ErrorCode::kMalformed,
                    "dependency on engine " + std::to_string(static_cast<unsigned>(d.engine)),
                    place);
      }
    }
    offset += words * kWordBytes;
    return result;
  };
  switch (static_cast<Opcode>(code)) {
    case Opcode::kNop:
      return finish.operator()<Nop>();
    case Opcode::kEnd:
      return finish.operator()<End>();
    case Opcode::kLoad:
      return finish.operator()<Load>();
    case Opcode::kStore:
      return finish.operator()<Store>();
    case Opcode::kConv:
      return finish.operator()<Conv>();
    case Opcode::kPool:
      return finish.operator()<Pool>();
  }
  return fail(ErrorCode::kMalformed, "unknown opcode " + std::to_string(code), place);
}

void encode(const LayerRow& row, std::vector<std::uint8_t>& out) {
  const std::size_t start = out.size();
  out.resize(start + kRowBytes, 0);
  put_fields(row, std::span(out).subspan(start));
}

Result<LayerRow> decode_row(std::span<const std::uint8_t> table, std::size_t index) {
  const std::string place = "row " + std::to_string(index) + " of the layer table";
  if (table.size() / kRowBytes <= index) {
    return fail(ErrorCode::kMalformed, "the table has " + std::to_string(table.size()) + " bytes",
                place);
  }
  LayerRow row;
  const std::string trouble = get_fields(table.subspan(index * kRowBytes, kRowBytes), 0, row);
  if (!trouble.empty()) return fail(ErrorCode::kMalformed, trouble, place);
  return row;
}

std::string contradiction_in(const Instruction& instruction) {
  return std::visit(
      [](const auto& x) -> std::string {
        if constexpr (requires { contradiction(x); }) return contradiction(x);
        return {};
      },
      instruction);
}

std::string fine_trouble(const Conv& conv, const Config& config) {
  if (conv.fine == 0) return {};
  if (config.fine == 0) return "configuration " + std::string(config.name) + " has no fine CONVs";
  if (conv.clip) return "fine with a clip word";
  if (conv.pair % 2 == 0) return "pair is " + std::to_string(conv.pair) + "; it is odd";
  return {};
}

std::string ring_trouble(const Conv& conv, const Config& config) {
  const std::uint64_t words = std::uint64_t{conv.w_offset} + conv.w_piece;
  if (words <= ring_limit(conv, config)) return {};
  return "needs " + std::to_string(words) + " words of the weight ring, which has " +
         std::to_string(ring_limit(conv, config)) + " for " +
         (conv.fine != 0 ? "a fine CONV" : "a CONV");
}

std::string fine_trouble(const Load& load, const Config& config) {
  if (load.skip == 0 && load.form == 0) return {};
  if (config.fine == 0) {
    return "configuration " + std::string(config.name) +
           (load.skip != 0 ? " leaves no words out" : " has weights of one form");
  }
  if (load.form != 0 && load.clip) return "weights of another form with a clip word";
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  switch (static_cast<LoadForm>(load.form)) {
    case LoadForm::kIndexed:
      if (words % kIndexedGroup == 0) return {};
      return std::to_string(words) + " words of indexed weights; they come in " +
             std::to_string(kIndexedGroup) + "s";
    case LoadForm::kBits:
      if (words <= kBitWords) return {};
      return std::to_string(words) + " words of bits; " + std::to_string(kBitWords) + " are kept";
    case LoadForm::kSelected:
      if (words % 2 == 0) return {};
      return std::to_string(words) + " words of selected weights; they come in pairs";
    default:
      return {};
  }
}

std::string fine_trouble(const Instruction& instruction, const Config& config) {
  return std::visit(
      [&](const auto& x) -> std::string {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Conv> || std::is_same_v<T, Load>)
          return fine_trouble(x, config);
        return {};
      },
      instruction);
}

std::string disassemble(const Instruction& instruction) {
  return visit_any(instruction, [&](const auto& x) {
    using T = std::remove_cvref_t<decltype(x)>;
    std::string text(name(T::kOpcode));
    text += " layer=" + std::to_string(x.layer);
    for (const Dependency& d : dependencies(instruction)) {
      if (d.engine != Engine::kNone) {
        text += " wait(" + std::string(name(d.engine)) + ">=" + std::to_string(d.count) + ")";
      }
    }
    for_each_field(x, [&](std::string_view field_name, const auto& field, unsigned, unsigned, bool,
                          std::int64_t, std::int64_t) {
      if (field_name == "layer" || field_name.starts_with("dep") || field == 0) return;
      text += " " + std::string(field_name) + "=" + std::to_string(field);
    });
    if (const Clip* clip = clip_of(instruction)) {
      text += " clip(";
      for_each_field(*clip, [&](std::string_view field_name, const auto& field, unsigned, unsigned,
                                bool, std::int64_t, std::int64_t) {
        if (field == 0) return;
        text +=
            (text.back() == '(' ? "" : " ") + std::string(field_name) + "=" + std::to_string(field);
      });
      text += ")";
    }
    return text;
  });
}

}  // namespace espalier::isa
