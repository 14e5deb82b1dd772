#include "program/tile_codes.hpp"

#include <algorithm>
#include <array>

#include "isa/tile_codes.hpp"

namespace espalier::program {
namespace {

using isa::Conv;
using isa::Load;

/// What the weight ring will have held: LOADs by the position of their first word.
class Ring {
 public:
  Ring(std::span<const isa::Instruction> list, std::span<const std::uint8_t> constants,
       std::uint64_t lanes)
      : constants_(constants), lanes_(lanes) {
    for (const isa::Instruction& instruction : list) {
      const auto* load = std::get_if<Load>(&instruction);
      if (load == nullptr ||
          static_cast<isa::LoadTarget>(load->target) != isa::LoadTarget::kWeights) {
        continue;
      }
      parts_.push_back({loaded_, load});
      loaded_ += isa::ring_words(*load);
    }
  }
  /// The bytes of a word, or nullptr where none of the constants is loaded there plain.
  [[nodiscard]] const std::uint8_t* word(std::uint64_t position) const {
    if (position >= loaded_) return nullptr;
    const auto next =
        std::upper_bound(parts_.begin(), parts_.end(), position,
                         [](std::uint64_t p, const Part& part) { return p < part.first; });
    const Part& part = *(next - 1);
    const Load& t = *part.load;
    if (static_cast<isa::Region>(t.region) != isa::Region::kConstants) return nullptr;
    if (static_cast<isa::LoadForm>(t.form) != isa::LoadForm::kPlain) return nullptr;
    const std::uint64_t word = position - part.first, row = word / t.x_words;
    const std::uint64_t address = std::uint64_t{t.offset} + row / t.y_count * t.z_stride +
                                  row % t.y_count * t.y_stride + word % t.x_words * lanes_;
    return address + lanes_ <= constants_.size() ? constants_.data() + address : nullptr;
  }

 private:
  struct Part {
    std::uint64_t first;
    const Load* load;
  };
  std::span<const std::uint8_t> constants_;
  std::uint64_t lanes_, loaded_ = 0;
  std::vector<Part> parts_;
};

/// Which n blocks of a group have sums.
class Sums {
 public:
  /// Empty, or what is wrong with the codes of a CONV.
  std::string follow(const Conv& conv, const TileCodes& codes) {
    if (conv.first != 0) written_.assign(conv.n_blocks, conv.w_sparse == 0);
    written_.resize(conv.n_blocks, false);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::size_t block = i % conv.n_blocks;
      if ((codes[i] & 2U) != 0) written_[block] = true;
      if (codes[i] == 1 && !written_[block]) return unwritten(block);
    }
    const auto none = std::find(written_.begin(), written_.end(), false);
    if (conv.last == 0 || none == written_.end()) return {};
    return unwritten(static_cast<std::size_t>(none - written_.begin()));
  }

 private:
  static std::string unwritten(std::size_t block) {
    return "no tile has overwritten the sums of n block " + std::to_string(block);
  }
  std::vector<bool> written_;
};

}  // namespace

Result<std::vector<TileCodes>> tile_codes(std::span<const isa::Instruction> list,
                                          std::span<const std::uint8_t> constants,
                                          const isa::Config& config) {
  std::vector<TileCodes> out(list.size());
  const bool any = std::any_of(list.begin(), list.end(), [](const isa::Instruction& x) {
    const auto* conv = std::get_if<Conv>(&x);
    return conv != nullptr && conv->w_sparse != 0;
  });
  if (!any) return out;
  const auto lanes = static_cast<std::uint64_t>(config.lanes);
  const Ring ring(list, constants, lanes);
  Sums sums;
  std::uint64_t base = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto* conv = std::get_if<Conv>(&list[i]);
    if (conv == nullptr) continue;
    const auto bad = [i](const std::string& what) {
      return fail(ErrorCode::kMalformed, what, "instruction " + std::to_string(i));
    };
    if (conv->w_sparse != 0) {
      const std::uint64_t start = base + conv->w_offset;
      const std::size_t tiles = std::size_t{conv->kh} * conv->kw * conv->k_blocks * conv->n_blocks;
      std::uint64_t words = 0;
      const std::uint8_t* header = nullptr;
      for (std::size_t t = 0; t < tiles; ++t) {
        if (t % isa::kHeaderTiles == 0) header = ring.word(start + words++);
        if (header == nullptr) return bad("no constants are loaded where its stream goes on");
        const bool last = t + 1 == tiles;
        const std::uint8_t code = isa::tile_code(header, t % isa::kHeaderTiles);
        if (code == 3 || (last && code == isa::kTileSkips)) {
          return bad("tile " + std::to_string(t) + " has code " + std::to_string(code));
        }
        out[i].push_back(isa::resolve_code(code, last));
        if (out[i].back() != 0) words += lanes;
      }
      if (words != conv->w_piece) {
        return bad("w_piece is " + std::to_string(conv->w_piece) + "; its tiles take " +
                   std::to_string(words) + " words");
      }
    }
    if (std::string trouble = sums.follow(*conv, out[i]); !trouble.empty()) return bad(trouble);
    if (conv->w_release != 0) {
      base += std::uint64_t{conv->w_piece} * (conv->w_tapwise != 0 ? conv->kh * conv->kw : 1);
    }
  }
  return out;
}

}  // namespace espalier::program
