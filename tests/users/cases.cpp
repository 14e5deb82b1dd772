#include "tests/users/cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "images/input.hpp"
#include "personal/select.hpp"

namespace espalier::users {
namespace {

constexpr std::uint64_t kRandomSeed = 5;
constexpr int kThreads = 1;  // processes share the work
constexpr auto kScope = masks::Scope::kInternal;

/// The first images of a set that `wanted` says yes to, until there are `count`.
Result<personal::Samples> take(const ir::QuantGraph& graph, const images::Dataset& set,
                               std::size_t count, const auto& wanted) {
  personal::Samples samples;
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

Result<Bench> Bench::open(const ir::QuantGraph& graph, const masks::Channels& channels,
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
      std::lround(personal::accuracy(graph, test_, user_, kThreads) * all));
}

Result<std::vector<double>> Bench::scores(const std::string& by) {
  if (by == "magnitude") return masks::magnitudes(*graph_, *channels_);
  if (by == "random") return personal::random_scores(channels_->classes(), kRandomSeed);
  if (importance_.images == 0) {
    auto meter = personal::Meter::make(
        *graph_, *channels_, personal::scored_tensors(*graph_, *channels_, kScope), user_);
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
      which.by == "plain" ? std::vector<double>() : personal::channel_macs(*graph_, *channels_);
  const personal::Ranking ranking(*channels_, kScope, *values, which.align, costs);
  const auto found = personal::meet(
      ranking, 1 / which.cut,
      [this](const masks::Mask& mask) -> Result<double> {
        return personal::macs_share(*graph_, *channels_, mask);
      },
      "the share of MACs");
  if (!found) return std::optional<std::size_t>();
  const auto level = which.correct == "none"   ? personal::Correction::kNone
                     : which.correct == "fold" ? personal::Correction::kFold
                                               : personal::Correction::kAll;
  if (level != personal::Correction::kNone && !reference_)
    reference_ = personal::measure_reference(*graph_, learn_.inputs, kThreads);
  const auto pruned = personal::personalise(*graph_, *channels_, found->mask,
                                            reference_ ? *reference_ : personal::Reference{},
                                            learn_.inputs, user_, level, kThreads);
  if (!pruned) return pruned.error();
  return std::optional(answered(*pruned));
}

}  // namespace espalier::users
