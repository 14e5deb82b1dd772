#pragma once
// Whether a personal model still fits what its user sees.

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace espalier::personal {

/// The softmax's largest probability over all outputs of one image. Range: above 0, up to 1.
double confidence(const ir::Quant& quant, std::span<const std::int8_t> output);

/// Follows the share of answers of low confidence. Low is what the least tenth of the answers on
/// images held back was below; the alarm is raised when three tenths of the last 64 are.
class Watch {
 public:
  static constexpr double kLowShare = 0.1;    ///< of the images held back
  static constexpr double kAlarmShare = 0.3;  ///< of the window: 1 in 10^5 windows by chance
  static constexpr std::size_t kWindow = 64;  ///< answers

  /// Range: `held` has a confidence at least.
  explicit Watch(std::vector<double> held);
  /// Takes the next answer's confidence; whether the alarm is raised.
  bool note(double confidence);
  /// Of the last answers, 64 at most; 0 before the first.
  [[nodiscard]] double low_share() const;
  [[nodiscard]] double limit() const { return limit_; }

 private:
  double limit_;
  std::deque<bool> low_;
};

}  // namespace espalier::personal
