// Training masks: the choice of weights, and that the network in float computes what int8 does.

#ifdef ESPALIER_HAS_TORCH
#include "automask/net.hpp"
#undef CHECK  // glog's, which LibTorch includes
#endif

#include <algorithm>
#include <catch.hpp>

#include "skip.hpp"

#ifdef ESPALIER_HAS_TORCH
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "base/integers.hpp"
#endif

namespace espalier::tests {

#ifdef ESPALIER_HAS_TORCH
namespace {

using automask::Net;
using automask::parse_what;
using automask::What;
using environment::Kind;

What what(const std::string& text) {
  const auto parsed = parse_what(text);
  if (!parsed) FAIL(parsed.error().text());
  return *parsed;
}

/// A network with every operator that is trained through, and windows that pads make uneven.
ir::QuantGraph mixed_graph() {
  GraphBuilder g(7);
  g.share_quants(1);
  const int x = g.conv(g.input(3, 12, 12), 8, 3);
  const int a = g.conv(x, 8, ir::Window{3, 3, 2, 2, 0, 0, 1, 1});
  const int b = g.pool(x, ir::PoolKind::kMax, {3, 3, 2, 2, 0, 0, 1, 1});
  const int c = g.pool(x, ir::PoolKind::kAverage, {3, 3, 2, 2, 1, 1, 0, 0}, false);
  const int sum = g.add(a, b);
  const int joined = g.concat({sum, g.rescale(c, g.quant(sum)), a});
  const int y = g.conv(g.conv(joined, 12, 1), 12, 3, 2);
  ir::QuantGraph graph = g.finish(g.conv(g.global_average(y), 5, 1));
  derive_multipliers(graph);
  return graph;
}

/// Moves what is trained by chance, as training would.
void disturb(const Net& net) {
  const torch::NoGradGuard no_gradients;
  torch::manual_seed(3);
  for (const torch::Tensor& t : net.scores()) t.add_(torch::randn_like(t));
  for (const torch::Tensor& t : net.others()) t.add_(torch::randn_like(t) * 0.1);
}

/// The share of outputs that differ from golden's by more than a step, and of those by one.
std::pair<double, double> differences(const ir::QuantGraph& graph, const What& trained) {
  auto net = Net::build(graph, trained, torch::kCPU);
  if (!net) FAIL(net.error().text());
  disturb(*net);
  const auto applied = environment::apply(net->environment(), graph, "u");
  if (!applied) FAIL(applied.error().text());
  const auto& input = at(graph.tensors, graph.input);
  const auto& output = at(graph.tensors, graph.output);
  int more = 0, one = 0, all = 0;
  for (std::uint64_t s = 0; s < 20; ++s) {
    const auto image = random_image(graph, s);
    const auto wanted = golden::run(*applied, image)[index(graph.output)];
    std::vector<float> real;
    for (const std::int8_t q : image)
      real.push_back(input.quant.scale * static_cast<float>(q - input.quant.zero));
    const torch::NoGradGuard no_gradients;
    const torch::Tensor y =
        net->forward(torch::tensor(real).reshape({1, input.shape.c, input.shape.h, input.shape.w}));
    for (std::size_t i = 0; i < wanted.size(); ++i, ++all) {
      const float value = y[0][static_cast<std::int64_t>(i)].item<float>();
      const int q = static_cast<int>(std::lround(value / output.quant.scale)) + output.quant.zero;
      more += std::abs(q - wanted[i]) > 1 ? 1 : 0;
      one += q != wanted[i] ? 1 : 0;
    }
  }
  return {ratio(more, all), ratio(one, all)};
}

}  // namespace
#endif

TEST_CASE("automask: of four scores the best two stay, of equal ones the first") {
#ifdef ESPALIER_HAS_TORCH
  const std::vector<float> scores{1, 4, 3, 2, 5, 5, 5, -1,  // a row of eight
                                  0, 0, 0, 0, 9, 1, 1, 8};
  std::vector<float> mask(scores.size());
  automask::keep_two_of_four(scores, 8, mask);
  CHECK(mask == std::vector<float>{0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1});
  const std::vector<float> odd{1, 2, 3, 4, 7,  // rows of five, seven: the last group is short
                               4, 3, 2, 1, -7};
  mask.resize(odd.size());
  automask::keep_two_of_four(odd, 5, mask);
  CHECK(mask == std::vector<float>{0, 0, 1, 1, 1, 1, 1, 0, 0, 1});
  automask::keep_above(odd, 2, mask);
  CHECK(mask == std::vector<float>{0, 0, 1, 1, 1, 1, 1, 0, 0, 0});
#else
  skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: parts to train are read, and others refused") {
#ifdef ESPALIER_HAS_TORCH
  for (const std::string text :
       {"2:4", "weights+bias", "bias+scale", "2:4+one-shot+bias+scale", "scale"})
    CHECK(what(text).text() == text);
  CHECK_FALSE(what("2:4+one-shot").trains());
  const auto complaint = [](const std::string& text) {
    const auto parsed = parse_what(text);
    return parsed.ok() ? std::string() : parsed.error().text();
  };
  CHECK(complaint("2:4+weights") == "--what: `2:4+weights` names two masks");
  CHECK(complaint("one-shot").find("goes with a mask") != std::string::npos);
  CHECK(complaint("2:4+").find("`` is no part") != std::string::npos);
  CHECK(complaint("3:4").find("`3:4` is no part") != std::string::npos);
#else
  skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: the network in float computes what int8 does with its environment") {
#ifdef ESPALIER_HAS_TORCH
  for (const std::string text : {"2:4+bias+scale", "weights", "bias", "scale"}) {
    INFO(text);
    const auto [more, one] = differences(mixed_graph(), what(text));
    CHECK(more <= 0.02);
    CHECK(one <= 0.10);
  }
#else
  skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: the first layer, fully connected ones and copies stay out of 2:4") {
#ifdef ESPALIER_HAS_TORCH
  const ir::QuantGraph graph = mixed_graph();
  const auto net = Net::build(graph, what("2:4"), torch::kCPU);
  REQUIRE(net.ok());
  const auto environment = net->environment();
  REQUIRE(environment.layers.size() == 5);
  const Kind wanted[] = {Kind::kDense, Kind::kTwoOfFour, Kind::kTwoOfFour, Kind::kTwoOfFour,
                         Kind::kDense};
  for (std::size_t l = 0; l < environment.layers.size(); ++l)
    CHECK((environment.layers[l].kind == wanted[l]));
  CHECK(environment::parse(environment::serialise(environment), "u").ok());
  CHECK(net->scores().size() == 3);
#else
  skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: what is not trained through is refused by name") {
#ifdef ESPALIER_HAS_TORCH
  const auto complaint = [](const ir::QuantGraph& graph, const std::string& text) {
    const auto net = Net::build(graph, what(text), torch::kCPU);
    return net.ok() ? std::string() : net.error().text();
  };
  GraphBuilder g(1);
  CHECK(complaint(g.finish(g.conv(g.input(3, 4, 4), 5, 1)), "bias") ==
        "test: its output is 5x4x4; what is trained is a classifier, of 2x1x1 or more");
  GraphBuilder h(1);
  CHECK(complaint(h.finish(h.conv(h.input(3, 1, 1), 5, 1)), "2:4") ==
        "test: has no layer to mask: `2:4` takes convolutions of 4 input channels or more, but the "
        "first");
  GraphBuilder i(1);
  const int x = i.pool(i.conv(i.input(3, 8, 8), 5, 1), ir::PoolKind::kAverage,
                       {2, 2, 1, 1, 0, 0, 0, 0, 7, 7});
  CHECK(complaint(i.finish(i.global_average(x)), "bias") ==
        "node 'n1': dilated average_pool is not trained through");
#else
  skip("LibTorch is not there");
#endif
}

}  // namespace espalier::tests
