// Pool: one window position a cycle in which port B is free.

#include <bit>

#include "timing/model.hpp"
#include "timing/squeeze.hpp"

namespace espalier::timing {

using isa::Engine;
using isa::Pool;

namespace {

constexpr Time kWindow = 3;          // from a window's begin until it may be taken
constexpr std::size_t kWindows = 8;  // that wait
constexpr Time kToRequant = 4;       // from a window's last request to the requantiser
constexpr Time kRequant = 8;         // through that
constexpr std::size_t kPlaces = 16;  // words that the output FIFO holds at least
constexpr Time kTable = 3;           // of counted rows; hides as many bits of their product

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
    more |= pool_.busy ? pool_window() : start_pool();
    more |= try_leave(Engine::kPool, pool_.out, streams_[1]);
  }
  return moved;
}

bool Model::start_pool() {
  Queue& queue = queues_[index(Engine::kPool)];
  if (queue.empty() || head_is_nop(queue)) return false;
  const Queued& head = queue.head();
  const Time valid = queue.head_valid();
  const Time time = std::max({board_.ready(head, valid), pool_.free});
  if (!known(time)) return false;
  pool_.instruction = head.instruction;
  const Pool& pool = as<Pool>(pool_.instruction);
  pool_.begin = valid;
  queue.leave(time);
  pool_.busy = true;
  pool_.block = pool_.row = pool_.col = 0;
  const auto iy0 = static_cast<std::uint32_t>(pool.iy0 < 0 ? -pool.iy0 : pool.iy0);
  pool_.window_begin = time + bits(iy0);  // before the first row's own cycles
  pool_.takes.clear();
  return true;
}

/// The n-th cycle from `from` on in which neither loads nor post have port B. Hints are not moved:
/// the window may be looked at again when more is known.
Time Model::pool_port(Time from, std::int64_t n) const {
  std::size_t operand = post_.operand_hint, hint = pool_.port_hint;
  if (operand == post_.operand_reads.size()) return port_.take(from, n, hint);
  Time time = from - 1;
  while (n > 0) {
    time = port_.take(time + 1, 1, hint);
    while (operand < post_.operand_reads.size() && post_.operand_reads[operand] < time) ++operand;
    if (operand == post_.operand_reads.size() || post_.operand_reads[operand] != time) --n;
  }
  return time;
}

bool Model::pool_window() {
  const Pool& pool = as<Pool>(pool_.instruction);
  const std::int64_t y = pool.iy0 + std::int64_t{pool_.row} * pool.stride_y;
  const std::int64_t x = pool.ix0 + std::int64_t{pool_.col} * pool.stride_x;
  Time begin = pool_.window_begin + 1;
  if (pool_.col == 0) {
    ++begin;
    if (pool.use_table != 0) {
      const auto counted = overlap(y, pool.kh, pool.cy_lo, pool.cy_hi, 1);
      begin += kTable + std::max<Time>(bits(static_cast<std::uint32_t>(counted - 1)) - kTable, 0);
    }
  }
  if (pool_.takes.size() >= kWindows) {
    begin = std::max(begin, pool_.takes[pool_.takes.size() - kWindows] + 1);
  }
  const Time take = std::max(begin + kWindow, pool_.window_end);
  const Time position = take + 1;
  (void)port_.take(position, 1, pool_.port_hint);  // moves the hints on
  while (post_.operand_hint < post_.operand_reads.size() &&
         post_.operand_reads[post_.operand_hint] < position)
    ++post_.operand_hint;
  const auto rows = overlap(y, pool.kh, 0, pool.in_rows, 0);
  const auto cols = overlap(x, pool.kw, 0, pool.in_cols, 0);
  const Time slices = config_.lanes / config_.pool_lanes;
  const Time through = squeeze_cycles(config_);
  const Time trip = kToRequant + slices + kRequant + through + 1;  // of a place, in cycles
  const auto depth = std::max<std::size_t>(
      kPlaces, std::bit_ceil(static_cast<std::uint64_t>((trip + slices - 1) / slices)));
  const Time least = std::max(pool_.window_end + slices, pool_.out.place(depth, 1));
  if (!known(least)) return false;
  Time end = position;
  if (rows * cols > 1) end = pool_port(position, rows * cols - 1) + 1;
  end = std::max(end, least);
  if (rows * cols > 0) end = pool_port(end, 1);
  if (too_early(end)) return false;
  const Time requantised = end + kToRequant + slices - 1 + kRequant;  // its last slice
  pool_.out.words.push_back({requantised + through + 1, false});
  pool_.window_begin = begin;
  pool_.takes.push_back(take);
  pool_.window_end = end;
  if (++pool_.col < pool.cols) return true;
  pool_.col = 0;
  if (++pool_.row < pool.rows) return true;
  pool_.row = 0;
  if (++pool_.block < pool.blocks) return true;
  pool_.busy = false;
  pool_.free = end + 2;
  board_.retire(Engine::kPool, requantised + 2);
  pool_.out.last.push_back({pool_.out.words.size(), pool_.begin, pool.layer});
  return true;
}

}  // namespace espalier::timing
