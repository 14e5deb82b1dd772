#include "runtime/capture.hpp"

#include <algorithm>

namespace espalier::runtime {

Capture::Capture(const program::Program& program, bool keep_tensors, RegionBytes bytes,
                 std::size_t images)
    : program_(program), bytes_(std::move(bytes)), images_(images), keep_(keep_tensors) {
  use(nullptr);
}

void Capture::use(const program::Masked* masked) {
  masked_ = masked;
  if (!keep_) return;
  order_.clear();
  for (const program::Placement& placement : program_.placements) {
    if (masked == nullptr || masked->stored[static_cast<std::size_t>(placement.tensor)])
      order_.push_back(placement);
  }
  std::stable_sort(order_.begin(), order_.end(),
                   [](const auto& a, const auto& b) { return a.stores < b.stores; });
}

void Capture::start() {
  next_ = 0;
  stored_.clear();
  take_until(0);
}

void Capture::retired(isa::Engine engine, std::uint64_t count) {
  if (engine == isa::Engine::kStore) take_until(count);
}

void Capture::take_until(std::uint64_t stores) {
  for (; next_ < order_.size() && order_[next_].stores <= stores; ++next_) {
    stored_.push_back({order_[next_].tensor, read(order_[next_])});
  }
}

void Capture::take_remaining() {
  struct Range {
    std::uint64_t first, end;
  };
  const auto range = [this](const program::Placement& placement) {
    const auto& tensor = program_.graph.tensors[static_cast<std::size_t>(placement.tensor)];
    const std::uint64_t dense = placement.offset;
    const std::int64_t moved =
        masked_ == nullptr ? 0 : masked_->moved[static_cast<std::size_t>(placement.tensor)];
    return Range{dense + static_cast<std::uint64_t>(moved),
                 dense + program::blocked_bytes(tensor.shape, program_.machine().lanes)};
  };
  for (auto kept = order_.begin() + static_cast<std::ptrdiff_t>(next_); kept != order_.end();
       ++kept) {
    const Range mine = range(*kept);
    const bool overwritten = std::any_of(kept + 1, order_.end(), [&](const auto& later) {
      const Range other = range(later);
      return later.region == kept->region && other.first < mine.end && mine.first < other.end;
    });
    if (!overwritten) stored_.push_back({kept->tensor, read(*kept)});
  }
}

void Capture::finish(std::size_t image, Execution& execution) {
  const std::size_t all = program_.placements.size() / images_;
  const auto placements = std::span(program_.placements).subspan(image * all, all);
  const auto output = std::ranges::find_if(placements, [this](const auto& placement) {
    return placement.tensor == program_.graph.output && placement.region == isa::Region::kOutput;
  });
  ESP_CHECK(output != placements.end());
  execution.output = read(*output);
  const std::size_t each = order_.size() / images_;
  const std::size_t first = std::min(image * each, stored_.size());
  const std::size_t end = std::min(first + each, stored_.size());
  execution.stored.assign(
      std::make_move_iterator(stored_.begin() + static_cast<std::ptrdiff_t>(first)),
      std::make_move_iterator(stored_.begin() + static_cast<std::ptrdiff_t>(end)));
}

std::vector<std::int8_t> Capture::read(const program::Placement& placement) const {
  if (masked_ != nullptr)
    return program::unpack(program_, *masked_, placement, bytes_(placement.region));
  const auto& tensor = program_.graph.tensors[static_cast<std::size_t>(placement.tensor)];
  return program::unpack(tensor.shape, program_.machine().lanes,
                         bytes_(placement.region).subspan(placement.offset));
}

}  // namespace espalier::runtime
