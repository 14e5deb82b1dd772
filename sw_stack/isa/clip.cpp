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
    if (idle()) return nop(x);
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

  /// Nothing of what it needs is live.
  [[nodiscard]] bool idle() const {
    return (word_.need_k != 0 && k_ == 0) || (word_.need_n != 0 && n_ == 0);
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

}  // namespace

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
