#include "tests/users/cases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "images/input.hpp"
#include "learn/importance.hpp"
#include "learn/select.hpp"

namespace espalier::users {
namespace {

constexpr std::uint64_t kRandomSeed = 5;

/// The first images of a set that `wanted` says yes to, until there are `count`.
Result<learn::Samples> take(const ir::QuantGraph& graph, const images::Dataset& set,
                            std::size_t count, const auto& wanted) {
  learn::Samples samples;
  for (std::size_t i = 0; i < set.size() && samples.size() < count; ++i) {
    if (!wanted(set.label(i))) continue;
    const auto pixels = set.load(i);
    if (!pixels) return pixels.error();
    const auto input = images::quantise_input(graph, *pixels, set.raw_float());
    samples.inputs.insert(samples.inputs.end(), input.begin(), input.end());
    samples.labels.push_back(set.label(i));
  }
  if (samples.size() < count) {
    return fail(ErrorCode::kRange,
                fmt::format("has {} images of these classes; {} are needed", samples.size(), count),
                set.name(0));
  }
  return samples;
}

}  // namespace

std::string Case::name() const { return fmt::format("{}/{}/{}/{:.2f}", by, correct, align, cut); }

Result<Bench> Bench::open(const ir::QuantGraph& graph, const prune::Channels& channels,
                          const User& user, const images::Dataset& learn,
                          const images::Dataset& test, const Images& counts) {
  Bench bench(graph, channels, user);
  auto learnt = take(graph, learn, counts.learn,
                     [&](int label) { return std::ranges::binary_search(user, label); });
  if (!learnt) return learnt.error();
  bench.learn_ = std::move(*learnt);
  std::vector<std::size_t> left(static_cast<std::size_t>(user.back()) + 1, 0);
  for (const int c : user) left[static_cast<std::size_t>(c)] = counts.per_class;
  auto tested = take(graph, test, counts.per_class * user.size(), [&](int label) {
    const auto c = static_cast<std::size_t>(label);
    return c < left.size() && left[c] > 0 && left[c]-- > 0;
  });
  if (!tested) return tested.error();
  bench.test_ = std::move(*tested);
  return bench;
}

double Bench::generic() const { return learn::accuracy(*graph_, test_, user_); }

Result<std::optional<double>> Bench::accuracy(const Case& which) {
  constexpr auto kScope = prune::Scope::kInternal;
  std::vector<double>& scores = scores_[which.by];
  if (scores.empty()) {
    if (which.by == "magnitude") {
      scores = prune::magnitudes(*graph_, *channels_);
    } else if (which.by == "random") {
      scores = learn::random_scores(channels_->classes(), kRandomSeed);
    } else {
      auto meter = learn::Meter::make(*graph_, *channels_,
                                      learn::scored_tensors(*graph_, *channels_, kScope), user_);
      if (!meter) return meter.error();
      learn::Importance importance;
      if (Status s = meter->add(learn_.inputs, learn_.labels, importance); !s) return s.error();
      scores_["taylor"] = scores_["plain"] = importance.taylor;
      scores_["activation"] = importance.activation;
    }
  }
  const std::vector<double> costs =
      which.by == "plain" ? std::vector<double>() : learn::channel_macs(*graph_, *channels_);
  const learn::Ranking ranking(*channels_, kScope, scores, which.align, costs);
  const auto found = learn::meet(
      ranking, 1 / which.cut,
      [this](const prune::Mask& mask) -> Result<double> {
        return learn::macs_share(*graph_, *channels_, mask);
      },
      "the share of MACs");
  if (!found) return std::optional<double>();
  const auto level = which.correct == "none"   ? learn::Correction::kNone
                     : which.correct == "fold" ? learn::Correction::kFold
                                               : learn::Correction::kAll;
  if (!reference_) reference_ = learn::measure_reference(*graph_, learn_.inputs);
  const auto pruned = learn::personalise(*graph_, *channels_, found->mask, *reference_,
                                         learn_.inputs, user_, level);
  if (!pruned) return pruned.error();
  return std::optional(learn::accuracy(*pruned, test_, user_));
}

}  // namespace espalier::users
