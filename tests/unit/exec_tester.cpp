#include "exec_tester.hpp"

#include <algorithm>

#include "isa/tile_codes.hpp"

namespace espalier::tests {

ExecTester& ExecTester::extremes() {
  extreme_ = true;
  zx_ = 127;
  std::ranges::fill(activations_, std::int8_t{-128});
  return *this;
}

isa::Conv ExecTester::shape() {
  isa::Conv c;
  const int pitch = in_cols_ + slack_;
  c.layer = static_cast<std::uint32_t>(jobs_.size()) & 0xFFFU;
  c.first = first_, c.last = last_;
  c.zx = zx_;
  c.act_base = static_cast<std::uint32_t>(random(0, sizes_.act_words - 1));
  c.plane = static_cast<std::uint32_t>(pitch * in_rows_ + slack_);
  c.row_pitch = static_cast<std::uint32_t>(pitch);
  c.y_step = static_cast<std::uint32_t>(stride_y_ * pitch);
  c.tap_step = static_cast<std::uint32_t>(dil_y_ * pitch);
  c.iy0 = iy0_, c.ix0 = ix0_;
  c.in_rows = static_cast<std::uint32_t>(in_rows_),
  c.in_cols = static_cast<std::uint32_t>(in_cols_);
  c.stride_y = static_cast<std::uint32_t>(stride_y_),
  c.stride_x = static_cast<std::uint32_t>(stride_x_);
  c.dil_y = static_cast<std::uint32_t>(dil_y_), c.dil_x = static_cast<std::uint32_t>(dil_x_);
  c.kh = static_cast<std::uint32_t>(kh_), c.kw = static_cast<std::uint32_t>(kw_);
  c.k_blocks = static_cast<std::uint32_t>(k_blocks_),
  c.n_blocks = static_cast<std::uint32_t>(n_blocks_);
  c.rows = static_cast<std::uint32_t>(rows_), c.cols = static_cast<std::uint32_t>(cols_);
  c.w_tapwise = tapwise_;
  const std::uint32_t taps = c.kh * c.kw,
                      channels = c.n_blocks * static_cast<std::uint32_t>(sizes_.lanes);
  c.w_n_stride = tapwise_ ? c.k_blocks : taps * c.k_blocks;
  c.w_tap_stride = tapwise_ ? channels * c.k_blocks : c.k_blocks;
  c.w_piece = tapwise_ ? c.w_tap_stride : taps * channels * c.k_blocks;
  if (sparse_) {
    c.w_sparse = 1;
    c.w_tapwise = 0;
    c.w_n_stride = 1;
    c.w_tap_stride = c.rows * c.cols;
  }
  return c;
}

ExecTester& ExecTester::conv() {
  isa::Conv c = shape();
  c.w_release = 1;
  put_weights(c);
  expect(c);
  base_ += static_cast<std::size_t>(weights_of(c));
  return *this;
}

ExecTester& ExecTester::resident() {
  isa::Conv c = shape();
  c.w_offset = static_cast<std::uint32_t>(resident_words_);
  put_weights(c);
  resident_words_ += weights_of(c);
  expect(c);
  resident_.push_back(c);
  return *this;
}

ExecTester& ExecTester::reuse() {
  isa::Conv c = resident_.back();
  c.act_base = static_cast<std::uint32_t>(random(0, sizes_.act_words - 1));
  expect(c);
  return *this;
}

ExecTester& ExecTester::give_back() {
  isa::Conv c = resident_.front();
  c.w_release = 1;
  if (c.w_sparse == 0) {
    c.w_tapwise = 0;
    c.w_piece = static_cast<std::uint32_t>(resident_words_);
  }
  expect(c);
  base_ += static_cast<std::size_t>(resident_words_);
  resident_.clear();
  resident_words_ = 0;
  return *this;
}

ExecTester& ExecTester::empty() {
  isa::Conv c = shape();
  c.n_blocks = 0;
  c.w_sparse = 0;
  expect(c);
  return *this;
}

void ExecTester::put_weights(isa::Conv& c) {
  if (c.w_sparse != 0) {
    add_stream(c);
  } else {
    add_weights(weights_of(c));
  }
}

void ExecTester::add_stream(isa::Conv& c) {
  const auto tiles = std::size_t{c.kh} * c.kw * c.k_blocks * c.n_blocks;
  const auto lanes = static_cast<std::size_t>(sizes_.lanes);
  if (c.first != 0) written_.assign(c.n_blocks, false);
  written_.resize(c.n_blocks, false);
  const std::size_t start = stream_.size();
  std::size_t header = 0;
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    if (tile % isa::kHeaderTiles == 0) {
      header = stream_.size();
      add_weights(1);
      std::fill_n(stream_.begin() + static_cast<std::ptrdiff_t>(header), 4, std::int8_t{0});
    }
    const std::size_t block = tile % c.n_blocks;
    const bool last = tile + 1 == tiles;
    // Sums that no tile has written by then are overwritten by the last tile that can.
    const bool due = c.last != 0 && !written_[block] && tile + c.n_blocks >= tiles;
    if (!due && !last && chance(skip_chance_)) continue;
    // The last tile runs whatever its code.
    std::uint8_t code = written_[block] ? isa::kTileRuns : isa::kTileOverwrites;
    if (last && written_[block] && chance(0.5)) code = isa::kTileSkips;
    written_[block] = true;
    auto& byte = stream_[header + tile % isa::kHeaderTiles / 4];
    byte = static_cast<std::int8_t>(byte | code << (tile % 4 * 2));
    add_weights(sizes_.lanes);
  }
  c.w_piece = static_cast<std::uint32_t>((stream_.size() - start) / lanes);
}

void ExecTester::add_tile(const isa::Conv& c, int tap, int kb, int nb, std::size_t word,
                          std::size_t n_stride) {
  const int lanes = sizes_.lanes, rows = static_cast<int>(c.rows), cols = static_cast<int>(c.cols);
  const int ky = tap / static_cast<int>(c.kw), kx = tap % static_cast<int>(c.kw);
  for (int pixel = 0; pixel < rows * cols; ++pixel) {
    const int y =
        c.iy0 + pixel / cols * static_cast<int>(c.stride_y) + ky * static_cast<int>(c.dil_y);
    const int x =
        c.ix0 + pixel % cols * static_cast<int>(c.stride_x) + kx * static_cast<int>(c.dil_x);
    if (y < 0 || x < 0 || y >= static_cast<int>(c.in_rows) || x >= static_cast<int>(c.in_cols))
      continue;
    const int act = (static_cast<int>(c.act_base) + kb * static_cast<int>(c.plane) +
                     y * static_cast<int>(c.row_pitch) + x) %
                    sizes_.act_words;
    for (int n = 0; n < lanes; ++n) {
      std::int32_t& sum = acc_[static_cast<std::size_t>((nb * rows * cols + pixel) * lanes + n)];
      const std::size_t weight = word + static_cast<std::size_t>(n) * n_stride;
      for (int k = 0; k < lanes; ++k) {
        sum += (activations_[static_cast<std::size_t>(act * lanes + k)] - c.zx) *
               stream_[weight * static_cast<std::size_t>(lanes) + static_cast<std::size_t>(k)];
      }
    }
  }
}

void ExecTester::expect(const isa::Conv& c) {
  jobs_.push_back(c);
  const int lanes = sizes_.lanes, taps = static_cast<int>(c.kh * c.kw);
  const int rows = static_cast<int>(c.rows), cols = static_cast<int>(c.cols),
            blocks = static_cast<int>(c.n_blocks), k_blocks = static_cast<int>(c.k_blocks);
  const int sums = rows * cols * lanes, tiles = taps * k_blocks * blocks;
  if (c.first != 0 && c.w_sparse == 0) std::fill_n(acc_.begin(), blocks * sums, 0);
  std::size_t next = base_ + c.w_offset, header = 0;
  int passes = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    const int nb = tile % blocks, kb = tile / blocks % k_blocks, tap = tile / blocks / k_blocks;
    if (c.w_sparse == 0) {
      add_tile(c, tap, kb, nb,
               base_ + c.w_offset + static_cast<std::size_t>(nb * lanes) * c.w_n_stride +
                   static_cast<std::size_t>(tap) * c.w_tap_stride + static_cast<std::size_t>(kb),
               c.w_n_stride);
      ++passes;
      continue;
    }
    const auto at = static_cast<std::size_t>(tile) % isa::kHeaderTiles;
    if (at == 0) header = next++;
    const auto* word = reinterpret_cast<const std::uint8_t*>(stream_.data()) +
                       header * static_cast<std::size_t>(lanes);
    const std::uint8_t code = isa::resolve_code(isa::tile_code(word, at), tile + 1 == tiles);
    if (code == 0) continue;
    if ((code & 2U) != 0) std::fill_n(acc_.begin() + nb * sums, sums, 0);
    add_tile(c, tap, kb, nb, next, 1);
    next += static_cast<std::size_t>(lanes);
    ++passes;
  }
  passes_ += passes;
  pixels_ += passes * rows * cols;
  ideal_cycles_ += passes * std::max(rows * cols, lanes);
  if (c.last != 0) {
    expected_.push_back({c, {acc_.begin(), acc_.begin() + blocks * rows * cols * lanes}});
  }
}

}  // namespace espalier::tests
