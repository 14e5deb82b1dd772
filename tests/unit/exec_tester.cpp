#include "exec_tester.hpp"

#include <algorithm>

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
  return c;
}

ExecTester& ExecTester::conv() {
  isa::Conv c = shape();
  c.w_release = 1;
  add_weights(weights_of(c));
  expect(c);
  base_ += static_cast<std::size_t>(weights_of(c));
  return *this;
}

ExecTester& ExecTester::resident() {
  isa::Conv c = shape();
  c.w_offset = static_cast<std::uint32_t>(resident_words_);
  resident_words_ += weights_of(c);
  add_weights(weights_of(c));
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
  c.w_tapwise = 0;
  c.w_piece = static_cast<std::uint32_t>(resident_words_);
  expect(c);
  base_ += static_cast<std::size_t>(resident_words_);
  resident_.clear();
  resident_words_ = 0;
  return *this;
}

void ExecTester::expect(const isa::Conv& c) {
  jobs_.push_back(c);
  const int lanes = sizes_.lanes, taps = static_cast<int>(c.kh * c.kw);
  const int rows = static_cast<int>(c.rows), cols = static_cast<int>(c.cols),
            blocks = static_cast<int>(c.n_blocks);
  if (c.first != 0) std::fill_n(acc_.begin(), blocks * rows * cols * lanes, 0);
  for (int nb = 0; nb < blocks; ++nb) {
    for (int pixel = 0; pixel < rows * cols; ++pixel) {
      for (int n = 0; n < lanes; ++n) {
        std::int32_t& sum = acc_[static_cast<std::size_t>((nb * rows * cols + pixel) * lanes + n)];
        for (int tap = 0; tap < taps; ++tap) {
          const int ky = tap / static_cast<int>(c.kw), kx = tap % static_cast<int>(c.kw);
          const int y =
              c.iy0 + pixel / cols * static_cast<int>(c.stride_y) + ky * static_cast<int>(c.dil_y);
          const int x =
              c.ix0 + pixel % cols * static_cast<int>(c.stride_x) + kx * static_cast<int>(c.dil_x);
          if (y < 0 || x < 0 || y >= static_cast<int>(c.in_rows) ||
              x >= static_cast<int>(c.in_cols))
            continue;
          for (int kb = 0; kb < static_cast<int>(c.k_blocks); ++kb) {
            const int act = (static_cast<int>(c.act_base) + kb * static_cast<int>(c.plane) +
                             y * static_cast<int>(c.row_pitch) + x) %
                            sizes_.act_words;
            const std::size_t weight =
                base_ + c.w_offset + static_cast<std::size_t>(nb * lanes + n) * c.w_n_stride +
                static_cast<std::size_t>(tap) * c.w_tap_stride + static_cast<std::size_t>(kb);
            for (int k = 0; k < lanes; ++k) {
              sum +=
                  (activations_[static_cast<std::size_t>(act * lanes + k)] - c.zx) *
                  stream_[weight * static_cast<std::size_t>(lanes) + static_cast<std::size_t>(k)];
            }
          }
        }
      }
    }
  }
  const int passes = taps * static_cast<int>(c.k_blocks) * blocks;
  passes_ += passes;
  pixels_ += passes * rows * cols;
  ideal_cycles_ += passes * std::max(rows * cols, lanes);
  if (c.last != 0) {
    expected_.push_back({c, {acc_.begin(), acc_.begin() + blocks * rows * cols * lanes}});
  }
}

}  // namespace espalier::tests
