// Pool: one window position a cycle in which port B is free.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Engine;
using isa::Pool;

namespace {

constexpr Time kRequant = 8;  // esp_requant

Time bits(std::uint32_t value) {
  Time count = 0;
  for (; value != 0; value >>= 1U) ++count;
  return count;
}

/// How many of first .. first + size - 1 lie in [low, high), at least `least`.
std::int64_t overlap(std::int64_t first, std::int64_t size, std::int64_t low, std::int64_t high,
                     std::int64_t least) {
  return std::max(std::min(first + size, high) - std::max(first, low), least);
}

}  // namespace

bool Model::try_pool() {
  bool moved = false;
  for (bool more = true; more; moved |= more) {
    more = try_nop(Engine::kPool, queues_[index(Engine::kPool)]);
    more |= pool_busy_ ? pool_window() : start_pool();
    more |= try_leave(Engine::kPool, pool_out_, streams_[1]);
  }
  return moved;
}

bool Model::start_pool() {
  Queue& queue = queues_[index(Engine::kPool)];
  if (queue.empty() || head_is_nop(queue)) return false;
  const Queued& head = queue.head();
  const Time valid = queue.head_valid();
  const Time time = std::max({board_.ready(head, valid), pool_free_});
  if (!known(time)) return false;
  pool_ = head.instruction;
  const Pool& pool = as<Pool>(pool_);
  pool_begin_ = valid;
  queue.leave(time);
  pool_busy_ = true;
  pool_block_ = pool_row_ = pool_col_ = 0;
  const auto iy0 = static_cast<std::uint32_t>(pool.iy0 < 0 ? -pool.iy0 : pool.iy0);
  window_emit_ = time + 2 + bits(iy0);  // before the first row's own cycles
  return true;
}

/// The n-th cycle from `from` on in which neither loads nor post have port B. Hints are not moved:
/// the window may be looked at again when more is known.
Time Model::pool_port(Time from, std::int64_t n) const {
  std::size_t operand = operand_hint_, hint = port_hint_pool_;
  if (operand == operand_reads_.size()) return port_.take(from, n, hint);
  Time time = from - 1;
  while (n > 0) {
    time = port_.take(time + 1, 1, hint);
    while (operand < operand_reads_.size() && operand_reads_[operand] < time) ++operand;
    if (operand == operand_reads_.size() || operand_reads_[operand] != time) --n;
  }
  return time;
}

bool Model::pool_window() {
  const Pool& pool = as<Pool>(pool_);
  const std::int64_t y = pool.iy0 + std::int64_t{pool_row_} * pool.stride_y;
  const std::int64_t x = pool.ix0 + std::int64_t{pool_col_} * pool.stride_x;
  Time emit = window_emit_ + 1;
  if (pool_col_ == 0) {
    ++emit;
    if (pool.use_table != 0) {
      const auto counted = overlap(y, pool.kh, pool.cy_lo, pool.cy_hi, 1);
      emit += 1 + bits(static_cast<std::uint32_t>(counted - 1));
    }
  }
  // The window before must have been taken from the generator's register, and be over.
  emit = std::max(emit, window_take_);
  const Time take = std::max(emit + 1, window_end_);
  const Time position = take + 1;
  (void)port_.take(position, 1, port_hint_pool_);  // moves the hints on
  while (operand_hint_ < operand_reads_.size() && operand_reads_[operand_hint_] < position)
    ++operand_hint_;
  const auto rows = overlap(y, pool.kh, 0, pool.in_rows, 0);
  const auto cols = overlap(x, pool.kw, 0, pool.in_cols, 0);
  const Time slices = config_.lanes / config_.pool_lanes;
  const std::size_t depth = slices > 1 ? 8 : 16;
  const Time least = std::max(window_end_ + slices, pool_out_.place(depth));
  if (!known(least)) return false;
  Time end = position;
  if (rows * cols > 1) end = pool_port(position, rows * cols - 1) + 1;
  end = std::max(end, least);
  if (rows * cols > 0) end = pool_port(end, 1);
  if (too_early(end)) return false;
  pool_out_.words.push_back({end + 1 + slices + kRequant + 1, false});
  window_emit_ = emit;
  window_take_ = take;
  window_end_ = end;
  if (++pool_col_ < pool.cols) return true;
  pool_col_ = 0;
  if (++pool_row_ < pool.rows) return true;
  pool_row_ = 0;
  if (++pool_block_ < pool.blocks) return true;
  pool_busy_ = false;
  pool_free_ = end + 2;
  pool_out_.last.push_back({pool_out_.words.size(), pool_begin_, pool.layer});
  return true;
}

}  // namespace espalier::timing
