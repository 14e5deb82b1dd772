#include "tests/users/cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "images/input.hpp"
#include "learn/select.hpp"

namespace espalier::users {
namespace {

constexpr std::uint64_t kRandomSeed = 5;
constexpr int kThreads = 1;  // processes share the work
constexpr auto kScope = prune::Scope::kInternal;

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

std::size_t Bench::answered(const ir::QuantGraph& graph) const {
  const auto all = static_cast<double>(test_.size());
  return static_cast<std::size_t>(
      std::lround(learn::accuracy(graph, test_, user_, kThreads) * all));
}

Result<std::vector<double>> Bench::scores(const std::string& by) {
  if (by == "magnitude") return prune::magnitudes(*graph_, *channels_);
  if (by == "random") return learn::random_scores(channels_->classes(), kRandomSeed);
  if (importance_.images == 0) {
    auto meter = learn::Meter::make(*graph_, *channels_,
                                    learn::scored_tensors(*graph_, *channels_, kScope), user_);
    if (!meter) return meter.error();
    if (Status s = meter->add(learn_.inputs, learn_.labels, importance_, kThreads); !s)
      return s.error();
  }
  return by == "activation" ? importance_.activation : importance_.taylor;
}

Result<std::optional<std::size_t>> Bench::right(const Case& which) {
  if (which.by == kGeneric.by) return std::optional(answered(*graph_));
  const auto values = scores(which.by);
  if (!values) return values.error();
  const std::vector<double> costs =
      which.by == "plain" ? std::vector<double>() : learn::channel_macs(*graph_, *channels_);
  const learn::Ranking ranking(*channels_, kScope, *values, which.align, costs);
  const auto found = learn::meet(
      ranking, 1 / which.cut,
      [this](const prune::Mask& mask) -> Result<double> {
        return learn::macs_share(*graph_, *channels_, mask);
      },
      "the share of MACs");
  if (!found) return std::optional<std::size_t>();
  const auto level = which.correct == "none"   ? learn::Correction::kNone
                     : which.correct == "fold" ? learn::Correction::kFold
                                               : learn::Correction::kAll;
  if (level != learn::Correction::kNone && !reference_)
    reference_ = learn::measure_reference(*graph_, learn_.inputs, kThreads);
  const auto pruned = learn::personalise(*graph_, *channels_, found->mask,
                                         reference_ ? *reference_ : learn::Reference{},
                                         learn_.inputs, user_, level, kThreads);
  if (!pruned) return pruned.error();
  return std::optional(answered(*pruned));
}

}  // namespace espalier::users
