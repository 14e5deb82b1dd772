// One user's model on small networks: rankings, budgets, corrections, scores.

#include "personal/user_model.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "catch.hpp"
#include "golden/golden.hpp"
#include "personal/importance.hpp"
#include "personal/scores_file.hpp"
#include "personal/select.hpp"
#include "personal/watch.hpp"
#include "quantise/quantise.hpp"
#include "scratch.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

constexpr ir::Shape kInput{3, 8, 8};

std::vector<float> random_values(std::mt19937& random, std::size_t count, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  std::ranges::generate(values, [&] { return normal(random); });
  return values;
}

/// Two convolutions of eight channels and a last layer of five classes. Channels 4 to 7 of the
/// first are sums of its channels 0 to 3, before a clamp that never acts.
ir::FloatGraph network() {
  std::mt19937 random(23);
  ir::FloatGraph graph;
  graph.name = "small";
  graph.tensors = {{"image", kInput}, {"a", {8, 8, 8}},      {"b", {8, 8, 8}},
                   {"bc", {8, 8, 8}}, {"pooled", {8, 1, 1}}, {"logits", {5, 1, 1}}};
  graph.input = 0;
  graph.output = 5;
  const ir::Window three{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  ir::FloatConv first{three, 8, random_values(random, 8 * 27, 0.3F), std::vector<float>(8, 0.2F)};
  for (std::size_t n = 4; n < 8; ++n) {
    for (std::size_t k = 0; k < 27; ++k) {
      first.weights[n * 27 + k] =
          0.7F * first.weights[(n - 4) * 27 + k] - 0.4F * first.weights[(n - 3) % 4 * 27 + k];
    }
    first.bias[n] = 0.5F;
  }
  graph.nodes.push_back({"first", {0}, 1, first});
  graph.nodes.push_back({"second",
                         {1},
                         2,
                         ir::FloatConv{three, 8, random_values(random, 8 * 72, 0.2F),
                                       random_values(random, 8, 0.2F)}});
  graph.nodes.push_back({"relu", {2}, 3, ir::FloatClamp{0, INFINITY}});
  graph.nodes.push_back(
      {"pool", {3}, 4, ir::FloatPool{ir::PoolKind::kAverage, {8, 8, 8, 8, 0, 0, 0, 0, 1, 1}}});
  graph.nodes.push_back(
      {"last",
       {4},
       5,
       ir::FloatConv{{}, 5, random_values(random, 40, 1.0F), std::vector<float>(5, 0.0F)}});
  return graph;
}

struct Net {
  ir::QuantGraph graph;
  masks::Channels channels;
  personal::Samples samples;
  std::vector<int> classes{1, 2, 4};

  explicit Net(std::size_t images = 40) {
    std::mt19937 random(9);
    std::vector<std::vector<float>> list;
    for (std::size_t i = 0; i < 64; ++i) {
      auto image = random_values(random, static_cast<std::size_t>(kInput.count()), 0.7F);
      const auto level = random_values(random, 3, 1.0F);
      for (std::size_t k = 0; k < image.size(); ++k) image[k] += level[k / 64];
      list.push_back(std::move(image));
    }
    const quantise::Calibration calibration{
        list.size(), [&](std::size_t i) -> Result<std::vector<float>> { return list[i]; }};
    auto made = quantise::quantise(network(), calibration);
    REQUIRE(made.ok());
    graph = std::move(*made);
    channels = masks::find_channels(graph);
    const ir::Quant in = graph.tensors[index(graph.input)].quant;
    for (std::size_t i = 0; i < images; ++i) {
      for (const float v : list[i % list.size()]) {
        samples.inputs.push_back(static_cast<std::int8_t>(
            std::clamp(std::nearbyint(double{v} / in.scale) + in.zero, -128.0, 127.0)));
      }
      samples.labels.push_back(classes[i % 3]);
    }
  }

  /// Without channels 4 to 7 of the first convolution.
  [[nodiscard]] masks::Mask halved() const {
    masks::Mask mask = masks::all_live(channels);
    const auto& first = channels.of_tensor[index(graph.nodes[0].output)];
    for (std::size_t c = 4; c < 8; ++c) mask.live[index(first[c])] = false;
    return mask;
  }

  /// Root mean square difference of the user's logits to the generic ones. Units: of their spread.
  [[nodiscard]] double error(const masks::Mask& mask, personal::Correction level) const {
    const auto reference = personal::measure_reference(graph, samples.inputs, 2);
    const auto personal =
        personal::personalise(graph, channels, mask, reference, samples.inputs, classes, level, 2);
    REQUIRE(personal.ok());
    const auto outputs = golden::run_batch(*personal, samples.inputs);
    const ir::Quant quant = personal->tensors[index(personal->output)].quant;
    double square = 0, spread = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (std::size_t c = 0; c < classes.size(); ++c) {
        const double wanted = reference.logits[i][index(classes[c])];
        const double got = double{quant.scale} * (outputs[i * classes.size() + c] - quant.zero);
        square += (got - wanted) * (got - wanted);
        spread += wanted * wanted;
      }
    }
    return std::sqrt(square / spread);
  }
};

TEST_CASE("personal: removed channels that others can make up for cost nothing once folded") {
  const Net net;
  const double bare = net.error(net.halved(), personal::Correction::kNone);
  const double folded = net.error(net.halved(), personal::Correction::kFold);
  const double fitted = net.error(net.halved(), personal::Correction::kAll);
  CAPTURE(bare, folded, fitted);
  CHECK(bare > 0.2);
  CHECK(folded < 0.15 * bare);
  CHECK(fitted < 0.15 * bare);
}

TEST_CASE("personal: what pixels beside tell of a removed channel is made up for as well") {
  const Net net;
  masks::Mask mask = net.halved();
  const auto& first = net.channels.of_tensor[index(net.graph.nodes[0].output)];
  mask.live[index(first[1])] = false;  // no other channel has it at the same pixel
  const double folded = net.error(mask, personal::Correction::kFold);
  const double fitted = net.error(mask, personal::Correction::kAll);
  CAPTURE(folded, fitted);
  CHECK(folded > 0.02);
  CHECK(fitted < 0.6 * folded);
}

TEST_CASE("personal: of a model of two of four corrections leave zeros alone, and still help") {
  Net net;
  for (const std::size_t node : {1, 3}) {  // the second convolution and the last layer
    auto& conv = std::get<ir::QuantConv>(net.graph.nodes[node].op);
    for (std::size_t k = 0; k < conv.weights.size(); ++k) {
      if (k / 2 % 2 == (k / 8 + node) % 2) conv.weights[k] = 0;
    }
  }
  ir::settle_reads(std::get<ir::QuantConv>(net.graph.nodes[1].op));
  const double bare = net.error(net.halved(), personal::Correction::kNone);
  const double folded = net.error(net.halved(), personal::Correction::kFold);
  const double fitted = net.error(net.halved(), personal::Correction::kAll);
  CAPTURE(bare, folded, fitted);
  CHECK(folded < 0.8 * bare);
  CHECK(fitted < folded);
  const auto reference = personal::measure_reference(net.graph, net.samples.inputs, 2);
  for (const auto level : {personal::Correction::kFold, personal::Correction::kAll}) {
    const auto personal = personal::personalise(net.graph, net.channels, net.halved(), reference,
                                                net.samples.inputs, net.classes, level, 2);
    REQUIRE(personal.ok());
    const auto& second = std::get<ir::QuantConv>(personal->nodes[1].op);
    std::size_t live = 0;
    for (std::size_t k = 0; k < second.weights.size(); ++k) {  // four channels stay of eight
      const std::size_t before = k / 4 * 8 + k % 4;
      const bool zero = before / 2 % 2 == (before / 8 + 1) % 2;
      if (zero) CHECK(second.weights[k] == 0);
      live += second.weights[k] != 0 ? 1 : 0;
    }
    CHECK(live > second.weights.size() / 3);
  }
}

TEST_CASE("personal: without a mask corrections change next to nothing") {
  const Net net;
  CHECK(net.error(masks::all_live(net.channels), personal::Correction::kNone) < 1e-6);
  CHECK(net.error(masks::all_live(net.channels), personal::Correction::kAll) < 0.03);
}

TEST_CASE("personal: fitted sums have the generic model's mean and variance") {
  const Net net;
  masks::Mask mask = net.halved();
  const auto& first = net.channels.of_tensor[index(net.graph.nodes[0].output)];
  mask.live[index(first[1])] = false;  // which nothing makes up for
  const auto reference = personal::measure_reference(net.graph, net.samples.inputs);
  const auto worst = [&](personal::Correction level) {
    const auto personal = personal::personalise(net.graph, net.channels, mask, reference,
                                                net.samples.inputs, net.classes, level);
    REQUIRE(personal.ok());
    const auto now = personal::measure_reference(*personal, net.samples.inputs);
    double most = 0;
    for (std::size_t c = 0; c < 8; ++c) {
      const double deviation = std::sqrt(reference.spread[1].variance[c]);
      most =
          std::max(most, std::abs(now.spread[1].mean[c] - reference.spread[1].mean[c]) / deviation);
      most = std::max(most, std::abs(std::sqrt(now.spread[1].variance[c]) / deviation - 1));
    }
    return most;
  };
  CHECK(worst(personal::Correction::kNone) > 0.1);
  CHECK(worst(personal::Correction::kAll) < 0.02);
}

TEST_CASE("personal: scores depend on neither the threads nor where a measurement was cut") {
  const Net net;
  auto made = personal::Meter::make(
      net.graph, net.channels,
      personal::scored_tensors(net.graph, net.channels, masks::Scope::kInternal), net.classes);
  REQUIRE(made.ok());
  personal::Meter& meter = *made;
  personal::Importance one, three, parts;
  REQUIRE(meter.add(net.samples.inputs, net.samples.labels, one, 1).ok());
  REQUIRE(meter.add(net.samples.inputs, net.samples.labels, three, 3).ok());
  const Scratch scratch;
  const std::string file = scratch.path("scores");
  const personal::ScoresOf of{7, "internal", net.classes};
  const auto size = static_cast<std::size_t>(kInput.count());
  REQUIRE(meter
              .add(std::span(net.samples.inputs).first(21 * size),
                   std::span(net.samples.labels).first(21), parts)
              .ok());
  REQUIRE(personal::save_scores(of, parts, file).ok());
  auto loaded = personal::load_scores(of, net.channels.classes(), meter.slots(), file);
  REQUIRE(loaded.ok());
  REQUIRE(meter
              .add(std::span(net.samples.inputs).subspan(21 * size),
                   std::span(net.samples.labels).subspan(21), *loaded)
              .ok());
  CHECK(one.taylor == three.taylor);
  CHECK(one.taylor == loaded->taylor);
  CHECK(one.activation == loaded->activation);
  CHECK(loaded->images == 40);
  CHECK(loaded->digest == one.digest);
  std::uint64_t other = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    const auto input = std::span(net.samples.inputs).subspan(i * size, size);
    other = personal::digest(other, input, i == 39 ? -1 : net.samples.labels[i]);
  }
  CHECK(loaded->digest != other);
  CHECK(std::ranges::count_if(one.taylor, [](double s) { return s > 0; }) > 10);
}

TEST_CASE("personal: a file of scores is refused where it belongs to something else") {
  const Scratch scratch;
  const std::string file = scratch.path("scores");
  personal::Importance state;
  state.images = 16;
  state.taylor = state.activation = {1, 2};
  state.scales.restore({1, 1}, {{1, 1}});
  const personal::ScoresOf of{7, "internal", {1, 2}};
  REQUIRE(personal::save_scores(of, state, file).ok());
  CHECK(personal::load_scores(of, 2, 2, file).ok());
  personal::ScoresOf other = of;
  other.classes = {1, 3};
  const auto refused = personal::load_scores(other, 2, 2, file);
  REQUIRE(!refused.ok());
  CHECK(refused.error().message == "is of another measurement: `classes` is [1,2], here [1,3]");
  CHECK(personal::load_scores(of, 3, 2, file).error().message ==
        "`taylor` must be a list of 3 numbers from 0");
  CHECK(personal::load_scores(of, 2, 3, file).error().message ==
        "`scales` must be a list of 3 numbers from 0");
  std::ofstream(file) << "[1";
  CHECK(personal::load_scores(of, 2, 2, file).error().message == "is no JSON object");
  CHECK(personal::load_scores(of, 2, 2, scratch.path("none")).error().message ==
        "cannot be opened: No such file or directory");
}

TEST_CASE("personal: a ranking removes the least first, in whole blocks") {
  const Net net(1);
  std::vector<double> scores(net.channels.classes(), 0.0);
  for (std::size_t c = 0; c < scores.size(); ++c) scores[c] = static_cast<double>(c * 7 % 29);
  const personal::Ranking one(net.channels, masks::Scope::kInternal, scores, 1);
  CHECK(one.size() == 14);  // two groups of eight keep one each
  double last = -1;
  for (std::size_t removed = 1; removed <= one.size(); ++removed) {
    const auto before = one.mask(removed - 1).live, after = one.mask(removed).live;
    for (std::size_t c = 0; c < before.size(); ++c) {
      if (before[c] == after[c]) continue;
      CHECK(scores[c] >= last);
      last = scores[c];
    }
  }
  const personal::Ranking blocks(net.channels, masks::Scope::kInternal, scores, 4);
  CHECK(blocks.size() == 2);
  for (std::size_t removed = 0; removed <= blocks.size(); ++removed) {
    const masks::Mask mask = blocks.mask(removed);
    for (const masks::Group& group : net.channels.groups) {
      CHECK(std::ranges::count_if(group.classes, [&](int c) { return mask.live[index(c)]; }) % 4 ==
            0);
    }
  }
}

TEST_CASE("personal: a ranking leaves each group the share of its channels that was asked for") {
  const Net net(1);
  const auto scores = personal::random_scores(net.channels.classes(), 5);
  const auto fewest = [&](int align, double least) {
    const personal::Ranking ranking(net.channels, masks::Scope::kInternal, scores, align, {},
                                    least);
    const masks::Mask mask = ranking.mask(ranking.size());
    std::ptrdiff_t live = 8;
    for (const masks::Group& group : net.channels.groups) {
      if (!masks::in_scope(group, masks::Scope::kInternal)) continue;
      live = std::min(
          live, std::ranges::count_if(group.classes, [&](int c) { return mask.live[index(c)]; }));
    }
    return live;
  };
  CHECK(fewest(1, 0) == 1);
  CHECK(fewest(1, 0.25) == 2);
  CHECK(fewest(1, 0.26) == 3);
  CHECK(fewest(1, 1) == 8);
  CHECK(fewest(2, 0.26) == 4);  // whole blocks
  CHECK(fewest(4, 0.1) == 4);
}

TEST_CASE("personal: of equal scores the channel that costs more goes first") {
  const Net net(1);
  const std::vector<double> macs = personal::channel_macs(net.graph, net.channels);
  const auto& first = net.channels.of_tensor[index(net.graph.nodes[0].output)];
  // 27 taps make a pixel of it and eight channels of nine taps read it.
  CHECK(macs[index(first[0])] == 64 * (27 + 72));
  std::vector<double> scores(net.channels.classes(), 1.0), costs = scores;
  costs[index(first[5])] = 2;
  scores[index(first[5])] = 1.5;
  const auto goes = [&](const personal::Ranking& ranking) {
    return !ranking.mask(1).live[index(first[5])];
  };
  CHECK(goes({net.channels, masks::Scope::kInternal, scores, 1, costs}) == false);
  for (const int c : first) costs[index(c)] = 2;  // the other group's are 1
  for (const int c : first) scores[index(c)] = 1.5;
  scores[index(first[5])] = 1.4;
  CHECK(goes({net.channels, masks::Scope::kInternal, scores, 1, costs}));
  CHECK_FALSE(goes({net.channels, masks::Scope::kInternal, scores, 1}));
}

TEST_CASE("personal: budgets are met as closely as channels allow, or refused") {
  const Net net(1);
  const auto scores = personal::random_scores(net.channels.classes(), 5);
  const personal::Ranking ranking(net.channels, masks::Scope::kInternal, scores, 1);
  const personal::Cost macs = [&](const masks::Mask& mask) -> Result<double> {
    return personal::macs_share(net.graph, net.channels, mask);
  };
  CHECK(*macs(ranking.mask(0)) == 1.0);
  const auto half = personal::meet(ranking, 0.5, macs, "the share of MACs");
  REQUIRE(half.ok());
  CHECK(half->cost <= 0.5);
  CHECK(*macs(ranking.mask(half->removed - 1)) > 0.5);
  const auto none = personal::meet(ranking, 0.001, macs, "the share of MACs");
  REQUIRE(!none.ok());
  CHECK(none.error().message.starts_with("the share of MACs cannot go down to 0.001; "));
  const personal::Cost rising = [&](const masks::Mask& mask) -> Result<double> {
    return 10 * (1 - *macs(mask));
  };
  const auto most = personal::push(ranking, 3, rising, 9, "the loss");
  REQUIRE(most.ok());
  CHECK(most->cost <= 3);
  CHECK(*rising(ranking.mask(most->removed + 1)) > 3);
  CHECK(!personal::push(ranking, -1, rising, 9, "the loss").ok());
}

TEST_CASE("personal: a budget is met alike from any guess, and with fewer costs from a good one") {
  const Net net(1);
  const personal::Ranking ranking(net.channels, masks::Scope::kInternal,
                                  personal::random_scores(net.channels.classes(), 5), 1);
  REQUIRE(ranking.size() > 8);
  int asked = 0;
  const personal::Cost macs = [&](const masks::Mask& mask) -> Result<double> {
    ++asked;
    return personal::macs_share(net.graph, net.channels, mask);
  };
  const double least = *macs(ranking.mask(ranking.size()));
  for (const double limit : {1.0, 0.9, 0.5, least}) {
    asked = 0;
    const auto plain = personal::meet(ranking, limit, macs, "the share");
    REQUIRE(plain.ok());
    const int without = asked;
    for (const double off : {1.0, 0.3, 3.0}) {
      INFO("limit " << limit << ", a guess " << off << " times the cost");
      asked = 0;
      const auto guided = personal::meet(
          ranking, limit, macs, "the share", [&](const masks::Mask& mask) -> Result<double> {
            return off * personal::macs_share(net.graph, net.channels, mask);
          });
      REQUIRE(guided.ok());
      CHECK(guided->removed == plain->removed);
      CHECK(guided->cost == plain->cost);
      CHECK(guided->mask.live == plain->mask.live);
      if (off == 1.0) CHECK(asked <= 2);
      CHECK(without >= 4);
    }
  }
  CHECK(!personal::meet(ranking, 0.9 * least, macs, "the share", macs).ok());
}

TEST_CASE("personal: accuracy counts the best of the user's classes, whatever outputs there are") {
  const Net net(30);
  const auto reference = personal::measure_reference(net.graph, net.samples.inputs);
  personal::Samples samples = net.samples;
  const auto outputs = golden::run_batch(net.graph, samples.inputs);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples.labels[i] = personal::best_of(std::span(outputs).subspan(5 * i, 5), net.classes);
  samples.labels[3] = samples.labels[3] == 1 ? 2 : 1;
  const auto same =
      personal::personalise(net.graph, net.channels, masks::all_live(net.channels), reference,
                            samples.inputs, net.classes, personal::Correction::kNone);
  REQUIRE(same.ok());
  CHECK(same->tensors[index(same->output)].shape.c == 3);
  CHECK_THAT(personal::accuracy(net.graph, samples, net.classes),
             Catch::Matchers::WithinAbs(29.0 / 30, 1e-9));
  CHECK_THAT(personal::accuracy(*same, samples, net.classes),
             Catch::Matchers::WithinAbs(29.0 / 30, 1e-9));
}

TEST_CASE("personal: a watch alarms where confidence falls, and not before") {
  std::vector<double> held;
  for (int i = 0; i < 100; ++i) held.push_back(0.5 + 0.005 * i);
  personal::Watch watch(held);
  CHECK_THAT(watch.limit(), Catch::Matchers::WithinAbs(0.55, 1e-9));
  for (int i = 0; i < 1000; ++i)
    CHECK_FALSE(watch.note(held[static_cast<std::size_t>(i * 37 % 100)]));
  CHECK_THAT(watch.low_share(), Catch::Matchers::WithinAbs(0.1, 0.05));
  int answers = 1;
  while (!watch.note(answers % 2 == 0 ? 0.5 : 0.9)) REQUIRE(++answers < 100);
  CHECK(answers > 16);
  CHECK(watch.low_share() >= personal::Watch::kAlarmShare);
}

TEST_CASE("personal: confidence is the softmax's largest probability") {
  const ir::Quant quant{0.5F, 3};
  const std::vector<std::int8_t> output{-4, 10, 8};
  const double sum = std::exp(-3.5) + std::exp(3.5) + std::exp(2.5);
  CHECK_THAT(personal::confidence(quant, output),
             Catch::Matchers::WithinAbs(std::exp(3.5) / sum, 1e-6));
}

}  // namespace
}  // namespace espalier::tests
