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
    Load out = x;
    out.clip.reset();
    switch (static_cast<ClipBound>(word_.bound)) {
      case ClipBound::kWeights:
        if (n_ == 0 || k_ == 0) return nop(x);
        out.x_words = piece();
        choose_image(out);
        return out;
      case ClipBound::kParameters:
        if (n_ == 0) return nop(x);
        out.x_words = 8 * n_;
        choose_image(out);
        return out;
      case ClipBound::kInput:
        if (row_.n_live <= word_.n0 || !cut(out, row_.k_live, word_.k0)) return nop(x);
        return out;
      case ClipBound::kOutput:
        break;
    }
    if (!cut(out, row_.n_live, word_.n0)) return nop(x);
    return out;
  }

  Instruction operator()(const Store& x) const {
    Store out = x;
    out.clip.reset();
    if (!cut(out, row_.n_live, word_.n0)) return nop(x);
    return out;
  }

  Instruction operator()(const Pool& x) const {
    Pool out = x;
    out.clip.reset();
    out.blocks = clipped(row_.n_live, word_.n0, x.blocks);
    if (out.blocks == 0) return nop(x);
    return out;
  }

  Instruction operator()(const Conv& x) const {
    if (word_.w_start != 0) state_.w_pos = 0;
    Conv out = x;
    out.clip.reset();
    if (n_ == 0) {
      if (x.last == 0) return nop(x);
      out.n_blocks = out.w_piece = out.w_n_stride = out.w_tap_stride = out.w_offset = 0;
      return out;
    }
    if (k_ == 0) return nop(x);
    out.n_blocks = n_;
    out.k_blocks = k_;
    out.w_piece = piece();
    out.w_n_stride = x.w_tapwise != 0 ? k_ : k_ * x.kh * x.kw;
    out.w_tap_stride = x.w_tapwise != 0 ? out.w_piece : k_;
    out.w_offset = x.w_release != 0 ? 0 : state_.w_pos;
    state_.w_pos += x.w_tapwise != 0 ? out.w_piece * x.kh * x.kw : out.w_piece;
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

  void choose_image(Load& load) const {
    if (row_.dense == 0) load.region = static_cast<std::uint32_t>(Region::kMask);
  }

  /// Shortens a transfer to the blocks that are live; false where none is.
  template <typename Transfer>
  bool cut(Transfer& t, std::uint32_t live, std::uint32_t from) const {
    const auto dim = static_cast<ClipDim>(word_.dim);
    if (dim == ClipDim::kY) t.y_count = clipped(live, from, t.y_count);
    if (dim == ClipDim::kZ) t.z_count = clipped(live, from, t.z_count);
    const auto shift = static_cast<ClipShift>(word_.shift);
    const std::int32_t words = shift == ClipShift::kIn        ? row_.in_shift
                               : shift == ClipShift::kOperand ? row_.operand_shift
                               : shift == ClipShift::kOut     ? row_.out_shift
                                                              : 0;
    t.offset += static_cast<std::uint32_t>(words) * static_cast<std::uint32_t>(config_.bus_bytes);
    return t.y_count != 0 && t.z_count != 0;
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
