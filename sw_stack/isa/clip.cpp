#include "isa/clip.hpp"

#include <algorithm>

namespace espalier::isa {
namespace {

std::uint32_t clipped(std::uint32_t live, std::uint32_t from, std::uint32_t full) {
  return live > from ? std::min(live - from, full) : 0;
}

Instruction nop(const Instruction& instruction) {
  Nop out;
  out.layer = layer(instruction);
  out.engine = static_cast<std::uint32_t>(queue_of(instruction));
  Instruction result = out;
  set_dependencies(result, dependencies(instruction));
  return result;
}

class Clipper {
 public:
  Clipper(const Clip& word, const LayerRow& row, const Config& config, ClipState& state)
      : word_(word),
        row_(row),
        config_(config),
        state_(state),
        k_(clipped(row.k_live, word.k0, word.kc)),
        n_(clipped(row.n_live, word.n0, word.nb)) {}

  Instruction operator()(const Load& x) const {
    if (idle()) return nop(x);
    Load out = x;
    cut(out);
    if (word_.rows != 0) {
      out.x_words = k_;
      out.y_stride = row_.k_live * static_cast<std::uint32_t>(config_.lanes);
    }
    if (word_.image != 0 && row_.dense == 0) out.region = static_cast<std::uint32_t>(Region::kMask);
    return out;
  }

  Instruction operator()(const Store& x) const {
    if (idle()) return nop(x);
    Store out = x;
    cut(out);
    return out;
  }

  Instruction operator()(const Pool& x) const {
    if (idle(word_.need_k != 0, true)) return nop(x);
    Pool out = x;
    out.clip.reset();
    out.blocks = n_;
    return out;
  }

  Instruction operator()(const Conv& x) const {
    if (word_.w_start != 0) state_.w_pos = 0;
    Conv out = x;
    out.clip.reset();
    if (n_ == 0) {
      if (x.last == 0) return nop(x);
      out.n_blocks = 0;
      return out;
    }
    if (k_ == 0) return nop(x);
    out.n_blocks = n_;
    out.k_blocks = k_;
    out.w_piece = piece();
    if (k_ != word_.kc) out.w_n_stride = row_.n_stride;
    out.w_tap_stride = x.w_tapwise != 0 ? out.w_piece : k_;
    if (x.w_release == 0) out.w_offset = state_.w_pos;
    state_.w_pos = (state_.w_pos + out.w_piece) & 0xFFFFU;
    out.last = word_.last_taps != 0 && word_.k0 + word_.kc >= row_.k_live ? 1 : 0;
    return out;
  }

  template <typename T>
  Instruction operator()(const T& x) const {
    return x;
  }

 private:
  [[nodiscard]] std::uint32_t piece() const {
    if (n_ == word_.nb) return k_ == word_.kc ? row_.piece : row_.piece_k;
    return k_ == word_.kc ? row_.piece_n : row_.piece_nk;
  }

  /// Nothing is live of a count that a transfer takes or needs.
  [[nodiscard]] bool idle() const {
    const bool blocks_k = word_.cut != 0 && word_.by_k != 0;
    const bool blocks_n = word_.cut != 0 && word_.by_k == 0;
    return idle(word_.need_k != 0 || word_.words != 0 || word_.rows != 0 || blocks_k,
                word_.need_n != 0 || blocks_n);
  }
  [[nodiscard]] bool idle(bool takes_k, bool takes_n) const {
    return (takes_k && k_ == 0) || (takes_n && n_ == 0);
  }

  /// Shortens a transfer to the blocks that are live, and moves it.
  template <typename Transfer>
  void cut(Transfer& t) const {
    t.clip.reset();
    if (word_.cut != 0) t.z_count = word_.by_k != 0 ? k_ : n_;
    if (word_.words != 0) t.x_words = row_.block_words;
    const auto shift = static_cast<ClipShift>(word_.shift);
    const std::int32_t words = shift == ClipShift::kIn        ? row_.in_shift
                               : shift == ClipShift::kOperand ? row_.operand_shift
                               : shift == ClipShift::kOut     ? row_.out_shift
                                                              : 0;
    t.offset += static_cast<std::uint32_t>(words) * static_cast<std::uint32_t>(config_.bus_bytes);
  }

  const Clip& word_;
  const LayerRow& row_;
  const Config& config_;
  ClipState& state_;
  std::uint32_t k_, n_;
};

/// Which counts an instruction takes or needs, and which bits of its clip word say something.
struct ClipUse {
  bool k = false, n = false;
  Clip allowed;  ///< flags: 1 where the bit may be set; shift: the greatest
};

struct ClipReader {
  ClipUse operator()(const Load& x) const {
    ClipUse use = transfer(*x.clip);
    use.k = use.k || x.clip->rows != 0;
    use.allowed.rows = 1;
    use.allowed.image = queue_of(x) == Engine::kLoadW ? 1 : 0;
    return use;
  }
  ClipUse operator()(const Store& x) const { return transfer(*x.clip); }
  ClipUse operator()(const Pool&) const { return {.k = false, .n = true, .allowed = needs()}; }
  ClipUse operator()(const Conv&) const {
    ClipUse use{.k = true, .n = true, .allowed = needs()};
    use.allowed.last_taps = use.allowed.w_start = 1;
    return use;
  }
  template <typename T>
  ClipUse operator()(const T&) const {
    return {};
  }

  static Clip needs() {
    Clip allowed;
    allowed.need_k = allowed.need_n = 1;
    return allowed;
  }
  static ClipUse transfer(const Clip& word) {
    const bool by_k = word.by_k != 0;
    ClipUse use{.k = word.words != 0 || (word.cut != 0 && by_k),
                .n = word.cut != 0 && !by_k,
                .allowed = needs()};
    use.allowed.cut = use.allowed.by_k = use.allowed.words = 1;
    use.allowed.shift = static_cast<std::uint32_t>(ClipShift::kOut);
    return use;
  }
};

/// What exceeds the bits that the clip stage writes.
std::string width_trouble(const Instruction& instruction, const Config& config) {
  const auto exceeds = [](std::string_view field, std::uint32_t value, std::uint32_t most) {
    return value <= most ? std::string()
                         : std::string(field) + " is " + std::to_string(value) +
                               "; with its clip word it may be " + std::to_string(most);
  };
  if (const auto* conv = std::get_if<Conv>(&instruction)) {
    const std::string blocks = exceeds("nb", conv->clip->nb, 0xFF);
    return blocks.empty() ? exceeds("w_n_stride", conv->w_n_stride, 0x7FF) : blocks;
  }
  const auto* load = std::get_if<Load>(&instruction);
  if (load == nullptr || load->clip->rows == 0) return {};
  return exceeds("y_stride", load->y_stride, 0x1000 * static_cast<std::uint32_t>(config.lanes) - 1);
}

}  // namespace

std::string clip_trouble(const Instruction& instruction, const Config& config) {
  const Clip* word = clip_of(instruction);
  if (word == nullptr) return {};
  const ClipUse use = std::visit(ClipReader{}, instruction);
  std::string trouble;
  for_each_field(*word, [&](std::string_view field, std::uint32_t value, unsigned, unsigned width,
                            bool, std::int64_t, std::int64_t) {
    if (width > 2 || value == 0 || !trouble.empty()) return;  // no flag
    for_each_field(use.allowed, [&](std::string_view name, std::uint32_t most, unsigned, unsigned,
                                    bool, std::int64_t, std::int64_t) {
      if (name == field && value > most)
        trouble = "has " + std::string(field) + " in its clip word";
    });
  });
  if (!trouble.empty()) return trouble;
  if (word->words != 0 && (word->rows != 0 || word->shift != 0)) {
    return "has words beside " + std::string(word->rows != 0 ? "rows" : "shift") +
           " in its clip word";
  }
  if ((use.k || word->need_k != 0) && word->kc == 0) return "needs k blocks of the 0 in kc";
  if ((use.n || word->need_n != 0) && word->nb == 0) return "needs n blocks of the 0 in nb";
  return width_trouble(instruction, config);
}

Instruction clip(const Instruction& instruction, const LayerRow& row, const Config& config,
                 ClipState& state) {
  const Clip* word = clip_of(instruction);
  if (word == nullptr) return instruction;
  return std::visit(Clipper(*word, row, config, state), instruction);
}

Result<std::vector<Instruction>> clip_all(std::span<const Instruction> program,
                                          std::span<const std::uint8_t> table,
                                          const Config& config) {
  std::vector<Instruction> out;
  out.reserve(program.size());
  ClipState state;
  for (const Instruction& instruction : program) {
    if (clip_of(instruction) == nullptr) {
      out.push_back(instruction);
      continue;
    }
    const auto row = decode_row(table, layer(instruction));
    if (!row) return row.error();
    out.push_back(clip(instruction, *row, config, state));
  }
  return out;
}

}  // namespace espalier::isa
