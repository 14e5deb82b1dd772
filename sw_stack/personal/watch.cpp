#include "personal/watch.hpp"

#include <algorithm>
#include <cmath>

#include "base/result.hpp"

namespace espalier::personal {

double confidence(const ir::Quant& quant, std::span<const std::int8_t> output) {
  const int most = *std::ranges::max_element(output);
  double sum = 0;
  for (const int q : output) sum += std::exp(double{quant.scale} * (q - most));
  return 1 / sum;
}

Watch::Watch(std::vector<double> held) {
  ESP_CHECK(!held.empty());
  std::ranges::sort(held);
  limit_ = held[static_cast<std::size_t>(kLowShare * static_cast<double>(held.size()))];
}

bool Watch::note(double confidence) {
  low_.push_back(confidence < limit_);
  if (low_.size() > kWindow) low_.pop_front();
  return low_.size() == kWindow && low_share() >= kAlarmShare;
}

double Watch::low_share() const {
  if (low_.empty()) return 0;
  return static_cast<double>(std::ranges::count(low_, true)) / static_cast<double>(low_.size());
}

}  // namespace espalier::personal
