#include "timing/parts.hpp"

#include <algorithm>

namespace espalier::timing {

std::vector<isa::Event> Scoreboard::events() const {
  std::vector<isa::Event> list;
  for (std::size_t e = 0; e < kEngines; ++e) {
    for (std::size_t i = 0; i < shows_[e].size(); ++i)
      list.push_back({shows_[e][i] - 1, static_cast<isa::Engine>(e), i + 1});
  }
  std::ranges::stable_sort(list, {}, &isa::Event::cycle);
  return list;
}

namespace {
constexpr std::uint64_t kLine = 4096;
constexpr std::uint64_t kBurstBeats = 16;
}  // namespace

Time Ring::there(std::int64_t position) const {
  if (position > loaded_) return kNever;
  if (position <= 0) return 0;
  // Positions are asked for near the end of what has been loaded.
  std::size_t from = parts_.size() - 1;
  for (std::size_t step = 8; from > 0 && parts_[from].low >= position; step *= 2) {
    from = from > step ? from - step : 0;
  }
  auto part = parts_.begin() + static_cast<std::ptrdiff_t>(from);
  part = std::partition_point(part, parts_.end(),
                              [position](const Part& p) { return p.high < position; });
  return part->first + (position - part->low - 1) * part->step;
}

Time Ring::room(std::int64_t position) const {
  const std::int64_t wanted = position - size_;
  if (wanted <= 0) return 0;
  const auto freed = std::ranges::lower_bound(bases_, wanted, {}, &Base::base);
  return freed != bases_.end() ? freed->shows : kNever;
}

Time PortB::read_operand(Time from, std::int64_t address, std::size_t& hint) const {
  while (hint < parts_.size() && parts_[hint].last() < from) ++hint;
  for (std::size_t p = hint; p < parts_.size() && parts_[p].first <= from; ++p) {
    const Part& part = parts_[p];
    for (; from <= part.last(); ++from) {
      const Time since = from - part.first;
      if (since % part.step != 0 || (part.address + since / part.step - address) % 2 != 0)
        return from;
    }
  }
  return from;
}

Time PortB::take(Time from, std::int64_t n, std::size_t& hint) const {
  while (hint < parts_.size() && parts_[hint].last() < from) ++hint;
  for (std::size_t p = hint; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    if (part.last() < from) continue;
    if (part.first > from) {
      if (n <= part.first - from) return from + n - 1;
      n -= part.first - from;
      from = part.first;
    }
    // All but every step-th cycle of it is free.
    const Time step = part.step, begin = from - part.first;
    const std::int64_t before = begin - (begin + step - 1) / step;
    const std::int64_t free = part.last() - part.first + 1 - part.words - before;
    if (n <= free) return part.first + before + n + (before + n - 1) / (step - 1);
    n -= free;
    from = part.last() + 1;
  }
  return from + n - 1;
}

void Walker::step() {
  if (!active_ || shown_) return;
  const std::uint64_t beats =
      std::min({left_ / bus_, kBurstBeats, (kLine - address_ % kLine) / bus_});
  shown_ = true;
  visible_ = may_step_ + 2;
  may_step_ += 2;
  left_ -= beats * bus_;
  burst_ = {static_cast<std::uint32_t>(beats), false};
  if (left_ != 0) {
    address_ += beats * bus_;
    return;
  }
  left_ = row_bytes_;
  if (--y_left_ != 0) {
    row_ += y_stride_;
    address_ = row_;
    return;
  }
  y_left_ = y_count_;
  if (--z_left_ != 0) {
    plane_ += z_stride_;
    address_ = row_ = plane_;
    return;
  }
  burst_.last = true;
  active_ = false;
  accepts_ = may_step_ - 1;
}

}  // namespace espalier::timing
