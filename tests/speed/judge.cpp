#include "tests/speed/judge.hpp"

#include <algorithm>
#include <cstdio>

#include "base/result.hpp"

namespace espalier::speed {

Verdict judge(const std::vector<Round>& rounds, double kept, double margin) {
  ESP_CHECK(!rounds.empty() && kept > 0);
  std::vector<double> ratios;
  for (const Round& round : rounds) {
    ESP_CHECK(round.cycles_per_second > 0 && round.steps_per_second > 0);
    ratios.push_back(round.cycles_per_second / round.steps_per_second);
  }
  std::ranges::sort(ratios);
  Verdict verdict;
  verdict.cycles_per_step = ratios[ratios.size() / 2];
  verdict.share = verdict.cycles_per_step / kept;
  verdict.good = verdict.share >= 1 - margin;
  char text[160];
  std::snprintf(text, sizeof text,
                "%.3f cycles in a reference step; kept %.3f: %.0f %%, %s %.0f %%",
                verdict.cycles_per_step, kept, 100 * verdict.share,
                verdict.good ? "not below" : "below", 100 * (1 - margin));
  verdict.text = text;
  return verdict;
}

}  // namespace espalier::speed
