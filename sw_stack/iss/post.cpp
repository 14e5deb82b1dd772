// Post-processing and pooling.

#include <algorithm>
#include <cstring>

#include "iss/iss.hpp"
#include "iss/numerics.hpp"

namespace espalier::iss {

using isa::Conv;
using isa::Engine;
using isa::Nop;
using isa::Pool;
using isa::StoreSource;

bool Iss::step_post() {
  if (post_.empty()) return false;
  const PostJob job = post_.front();
  const Conv& c = as<Conv>(job.index);
  if (c.n_blocks == 0) {
    post_.pop_front();
    retire(Engine::kPost);
    return true;
  }
  const std::size_t block_bytes = lanes_ * 8;
  if (params_.loaded - params_.base < (std::uint64_t{c.p_offset} + c.n_blocks) * block_bytes)
    return false;
  const bool emits = c.gap == 0 || c.gap_last != 0;
  if (emits && !store_ready(StoreSource::kPost)) return false;

  const std::size_t pixels = std::size_t{c.rows} * c.cols;
  const int final_zero = c.add != 0 ? c.add_zy : c.zy;
  std::vector<std::int8_t> out;
  for (std::size_t nb = 0; nb < c.n_blocks; ++nb) {
    if (c.gap != 0 && c.gap_first != 0) std::fill(gap_sums_.begin(), gap_sums_.end(), 0);
    const std::uint8_t* block =
        params_.data.data() +
        (params_.base + (c.p_offset + nb) * block_bytes) % params_.data.size();
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      const std::int32_t* acc = acc_[job.half].data() + (nb * pixels + pixel) * lanes_;
      const std::int8_t* operand = act_word(c.add_base + nb * pixels + pixel);
      for (std::size_t lane = 0; lane < lanes_; ++lane) {
        std::int32_t bias = 0;
        std::uint32_t scale = 0;
        std::memcpy(&bias, block + lane * 8, 4);
        std::memcpy(&scale, block + lane * 8 + 4, 4);
        const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc[lane]) +
                                                   static_cast<std::uint32_t>(bias));
        int y = requantise(sum, scale, c.zy, c.lo, c.hi);
        if (c.product != 0 && c.gap != 0) {
          gap_sums_[lane] += score(y, c.zy, c.add_ma, operand[lane], c.add_zb, c.add_mb);
          continue;
        }
        if (c.product != 0) {
          if (operand[lane] < c.add_zb || operand[lane] > c.add_hi) y = 0;
        } else if (c.add != 0) {
          y = residual_add(y, c.zy, c.add_ma, operand[lane], c.add_zb, c.add_mb,
                           static_cast<int>(c.add_shift), c.add_zy, c.add_lo, c.add_hi);
        }
        if (c.gap != 0) {
          gap_sums_[lane] += y - final_zero;
        } else {
          out.push_back(static_cast<std::int8_t>(y));
        }
      }
    }
    if (c.gap != 0 && c.gap_last != 0) leave(c, out);
  }
  if (c.p_release != 0) params_.base += c.n_blocks * block_bytes;
  if (emits) streams_[static_cast<std::size_t>(StoreSource::kPost)].push_back(std::move(out));
  half_full_[job.half] = false;
  post_.pop_front();
  retire(Engine::kPost);
  return true;
}

void Iss::leave(const Conv& c, std::vector<std::int8_t>& out) {
  const auto word = [&](std::int32_t value) {
    out.push_back(static_cast<std::int8_t>(requantise(value, c.gap_scale, c.gap_zy, -128, 127)));
  };
  if (c.product == 0) {
    for (const std::int64_t sum : gap_sums_) word(static_cast<std::int32_t>(sum));
    return;
  }
  for (int byte = 0; byte < 4; ++byte) {
    for (std::int64_t& sum : gap_sums_) {
      word(static_cast<std::int8_t>(sum));
      if (byte < 3) sum = static_cast<std::int32_t>(sum) >> 8;
    }
  }
}

bool Iss::step_pool() {
  if (step_nop(Engine::kPool)) return true;
  auto& q = queue(Engine::kPool);
  if (q.empty() || !ready(q.front()) || std::holds_alternative<Nop>(program_[q.front()]) ||
      !store_ready(StoreSource::kPool)) {
    return false;
  }
  const Pool& p = as<Pool>(q.front());
  if (p.y_step != (p.stride_y * p.row_pitch & 0xFFFFU)) {
    fault(isa::Fault::kIllegalField, q.front(), "y_step is not the stride times the row pitch");
    return false;
  }
  const int kh = static_cast<int>(p.kh), kw = static_cast<int>(p.kw);
  const auto counted = [](int from, int size, int lo, int hi) {
    return std::max(1, std::min(from + size, hi) - std::max(from, lo));
  };
  std::vector<std::int8_t> out;
  std::vector<std::int32_t> value(lanes_);
  for (std::uint32_t block = 0; block < p.blocks; ++block) {
    for (int oy = 0; oy < static_cast<int>(p.rows); ++oy) {
      const int y0 = p.iy0 + oy * static_cast<int>(p.stride_y);
      for (int ox = 0; ox < static_cast<int>(p.cols); ++ox) {
        const int x0 = p.ix0 + ox * static_cast<int>(p.stride_x);
        std::fill(value.begin(), value.end(), 0);
        bool any = false;
        for (int y = std::max(y0, 0); y < std::min(y0 + kh, static_cast<int>(p.in_rows)); ++y) {
          for (int x = std::max(x0, 0); x < std::min(x0 + kw, static_cast<int>(p.in_cols)); ++x) {
            const std::int8_t* word = act_word(p.act_base + std::uint64_t{block} * p.plane +
                                               static_cast<std::uint64_t>(y) * p.row_pitch +
                                               static_cast<std::uint64_t>(x));
            for (std::size_t lane = 0; lane < lanes_; ++lane) {
              const std::int32_t v = word[lane] - p.zx;
              value[lane] = p.average != 0 ? value[lane] + v : (any ? std::max(value[lane], v) : v);
            }
            any = true;
          }
        }
        std::uint32_t scale = p.scale;
        if (p.use_table != 0) {
          const int entry =
              (counted(y0, kh, p.cy_lo, p.cy_hi) - 1) * kw + counted(x0, kw, p.cx_lo, p.cx_hi) - 1;
          if (entry >= static_cast<int>(pool_table_.size())) {
            fault(isa::Fault::kCapacity, q.front(),
                  "pool table entry " + std::to_string(entry) + "; it has 128");
            return false;
          }
          scale = pool_table_[static_cast<std::size_t>(entry)];
        }
        for (const std::int32_t v : value) {
          out.push_back(static_cast<std::int8_t>(requantise(v, scale, p.zy, p.lo, p.hi)));
        }
      }
    }
  }
  streams_[static_cast<std::size_t>(StoreSource::kPool)].push_back(std::move(out));
  q.pop_front();
  retire(Engine::kPool);
  return true;
}

}  // namespace espalier::iss
