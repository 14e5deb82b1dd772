// Convolutions: dense tap by tap, and sparse ones from their stream of tiles.

#include <algorithm>

#include "iss/iss.hpp"
#include "isa/tile_codes.hpp"

namespace espalier::iss {

using isa::Conv;
using isa::Engine;
using isa::Nop;

void Iss::run_taps(const Conv& c, int from, int to) {
  for (int tap = from; tap < to; ++tap) {
    for (std::uint32_t kb = 0; kb < c.k_blocks; ++kb) {
      for (std::uint32_t nb = 0; nb < c.n_blocks; ++nb) {
        const std::uint64_t word =
            exec_start_ / lanes_ + c.w_offset + std::uint64_t{nb} * lanes_ * c.w_n_stride +
            std::uint64_t{c.w_tap_stride} * static_cast<std::uint64_t>(tap) + kb;
        run_tile(c, tap, kb, nb, word, c.w_n_stride);
      }
    }
  }
}

bool Iss::run_stream(const Conv& c, std::size_t index) {
  const std::uint64_t start = exec_start_ / lanes_ + c.w_offset;
  const int taps = static_cast<int>(c.kh * c.kw);
  const std::size_t tiles = static_cast<std::size_t>(taps) * c.k_blocks * c.n_blocks;
  std::uint64_t word = start;
  std::array<std::uint8_t, 4> header{};
  std::size_t tile = 0;
  for (int tap = 0; tap < taps; ++tap) {
    for (std::uint32_t kb = 0; kb < c.k_blocks; ++kb) {
      for (std::uint32_t nb = 0; nb < c.n_blocks; ++nb, ++tile) {
        if (tile % isa::kHeaderTiles == 0) {
          std::copy_n(weights_.data.data() + word++ * lanes_ % weights_.data.size(), 4,
                      header.begin());
        }
        const std::uint8_t code = isa::resolve_code(
            isa::tile_code(header.data(), tile % isa::kHeaderTiles), tile + 1 == tiles);
        if (code == 0) continue;
        const std::size_t sums = std::size_t{c.rows} * c.cols * lanes_;
        if ((code & 2U) != 0) std::fill_n(acc_[half_].begin() + nb * sums, sums, 0);
        run_tile(c, tap, kb, nb, word, 1);
        word += lanes_;
      }
    }
  }
  if (word - start == c.w_piece) return true;
  fault(isa::Fault::kIllegalField, index,
        "its tiles take " + std::to_string(word - start) + " words");
  return false;
}

void Iss::run_tile(const Conv& c, int tap, std::uint32_t kb, std::uint32_t nb, std::uint64_t word,
                   std::uint64_t n_stride) {
  const std::size_t lanes = lanes_;
  // [channel of a pixel's words][n]: rows 4q and 4q+1 take channels 4q to 4q+3 of the first word,
  // the next two rows those of the second one, which without `fine` is the first.
  std::vector<std::int32_t>& tile = tile_;
  tile.assign((c.fine != 0 ? 2 : 1) * lanes * lanes, 0);
  const int ky = tap / static_cast<int>(c.kw), kx = tap % static_cast<int>(c.kw);
  for (std::size_t n = 0; n < lanes; ++n) {
    const std::size_t at = (word + n * n_stride) * lanes % weights_.data.size();
    for (std::size_t k = 0; k < lanes; ++k) {
      std::size_t channel = lanes < 4 ? k : k / 4 * 4 + indices_[at + k];
      if (c.fine != 0 && k / 2 % 2 != 0) channel += lanes;
      tile[channel * lanes + n] += static_cast<std::int8_t>(weights_.data[at + k]);
    }
  }
  std::int32_t* out = acc_[half_].data() + std::size_t{nb} * c.rows * c.cols * lanes;
  const auto add = [&](int iy, int ix, std::uint64_t at, const std::int32_t* w) {
    if (iy < 0 || ix < 0 || iy >= static_cast<int>(c.in_rows) || ix >= static_cast<int>(c.in_cols))
      return;
    const std::int8_t* x = act_word(at);
    for (std::size_t k = 0; k < lanes; ++k, w += lanes) {
      const std::int32_t value = x[k] - c.zx;
      // Accumulators wrap: their sums are modulo 2^32.
      for (std::size_t n = 0; n < lanes; ++n)
        out[n] = static_cast<std::int32_t>(static_cast<std::uint32_t>(out[n]) +
                                           static_cast<std::uint32_t>(value * w[n]));
    }
  };
  for (int oy = 0; oy < static_cast<int>(c.rows); ++oy) {
    const int iy = c.iy0 + oy * static_cast<int>(c.stride_y) + ky * static_cast<int>(c.dil_y);
    for (int ox = 0; ox < static_cast<int>(c.cols); ++ox, out += lanes) {
      const int ix = c.ix0 + ox * static_cast<int>(c.stride_x) + kx * static_cast<int>(c.dil_x);
      const std::uint64_t at = c.act_base + std::uint64_t{kb} * c.plane +
                               static_cast<std::uint64_t>(iy) * c.row_pitch +
                               static_cast<std::uint64_t>(ix);
      add(iy, ix, at, tile.data());
      if (c.fine != 0) {
        add(iy, ix + static_cast<int>(c.pair_cols), at + c.pair, tile.data() + lanes * lanes);
      }
    }
  }
}

bool Iss::step_exec() {
  if (step_nop(Engine::kExec)) return true;
  auto& q = queue(Engine::kExec);
  if (q.empty() || std::holds_alternative<Nop>(program_[q.front()])) return false;
  const Conv& c = as<Conv>(q.front());
  if (c.n_blocks == 0) {  // no sums: post counts it
    if (!ready(q.front())) return false;
    post_.push_back({q.front(), half_});
    q.pop_front();
    retire(Engine::kExec);
    return true;
  }
  if (!exec_started_) {
    if (!ready(q.front()) || half_full_[half_]) return false;
    if (config_.acc_halves == 1 && !post_.empty()) return false;  // one CONV at a time
    if (std::uint64_t{c.n_blocks} * c.rows * c.cols >
        static_cast<std::uint64_t>(config_.acc_words)) {
      fault(isa::Fault::kCapacity, q.front(), "accumulator half too small");
      return false;
    }
    if ((c.y_step != (c.stride_y * c.row_pitch & 0xFFFFU)) ||
        (c.tap_step != (c.dil_y * c.row_pitch & 0xFFFFU))) {
      fault(isa::Fault::kIllegalField, q.front(),
            "y_step or tap_step is not the stride times the row pitch");
      return false;
    }
    if (c.w_sparse != 0 && (config_.mask_layers == 0 || c.w_tapwise != 0 || c.w_n_stride != 1 ||
                            c.w_tap_stride != c.rows * c.cols)) {
      fault(isa::Fault::kIllegalField, q.front(),
            "w_sparse takes a machine that prunes, no w_tapwise, w_n_stride 1 and w_tap_stride "
            "rows x cols");
      return false;
    }
    if (c.product != 0 && (config_.mask_layers == 0 || c.add == 0)) {
      fault(isa::Fault::kIllegalField, q.front(), "product takes a machine that prunes, and add");
      return false;
    }
    exec_started_ = true;
    exec_piece_ = 0;
    exec_start_ = weights_.base;
    if (c.first != 0 && c.w_sparse == 0) {
      std::fill_n(acc_[half_].begin(), std::size_t{c.n_blocks} * c.rows * c.cols * lanes_, 0);
    }
  }
  const int taps = static_cast<int>(c.kh * c.kw);
  const int pieces = c.w_tapwise != 0 ? taps : 1;
  bool moved = false;
  for (; exec_piece_ < pieces; ++exec_piece_, moved = true) {
    const std::uint64_t need =
        c.w_offset + std::uint64_t{c.w_piece} * static_cast<std::uint64_t>(exec_piece_ + 1);
    if (weights_.loaded - exec_start_ < need * lanes_) return moved;
    if (c.w_sparse != 0) {
      if (!run_stream(c, q.front())) return false;
    } else {
      run_taps(c, c.w_tapwise != 0 ? exec_piece_ : 0, c.w_tapwise != 0 ? exec_piece_ + 1 : taps);
    }
    if (c.w_release != 0) weights_.base += std::uint64_t{c.w_piece} * lanes_;
  }
  exec_started_ = false;
  if (c.last != 0) {
    post_.push_back({q.front(), half_});
    half_full_[half_] = true;
    half_ ^= 1U;
  }
  q.pop_front();
  retire(Engine::kExec);
  return true;
}

}  // namespace espalier::iss
