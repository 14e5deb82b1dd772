// Importance on real models against LibTorch's float gradients, where models and images are at
// hand.

#include <torch/torch.h>
// Torch's logging has a CHECK of its own.
#undef CHECK

#include <algorithm>
#include <iostream>
#include <numeric>

#include "catch.hpp"
#include "images/dataset.hpp"
#include "images/input.hpp"
#include "import/model.hpp"
#include "personal/importance.hpp"
#include "quantise/quantise.hpp"
#include "shared_file.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

constexpr ir::Shape kShape{3, 32, 32};
constexpr std::size_t kImages = 96;

/// The graph in float, every tensor with its gradient.
std::vector<torch::Tensor> forward(const ir::FloatGraph& graph, const std::vector<float>& input) {
  std::vector<torch::Tensor> tensors(graph.tensors.size());
  tensors[index(graph.input)] =
      torch::tensor(input).reshape({1, kShape.c, kShape.h, kShape.w}).requires_grad_(true);
  for (const ir::FloatNode& node : graph.nodes) {
    const torch::Tensor& x = tensors[index(node.inputs[0])];
    torch::Tensor& y = tensors[index(node.output)];
    if (const auto* conv = std::get_if<ir::FloatConv>(&node.op)) {
      const ir::Window& w = conv->window;
      REQUIRE(w.pad_top == w.pad_bottom);
      const auto weights = torch::tensor(conv->weights)
                               .reshape({conv->out_channels, w.kh, w.kw, x.size(1)})
                               .permute({0, 3, 1, 2});
      y = torch::conv2d(x, weights, torch::tensor(conv->bias), {w.stride_h, w.stride_w},
                        {w.pad_top, w.pad_left});
    } else if (std::holds_alternative<ir::FloatAdd>(node.op)) {
      y = x + tensors[index(node.inputs[1])];
    } else if (std::holds_alternative<ir::FloatClamp>(node.op)) {
      y = torch::relu(x);
    } else if (const auto* pool = std::get_if<ir::FloatPool>(&node.op)) {
      REQUIRE(pool->kind == ir::PoolKind::kAverage);
      y = torch::avg_pool2d(x, {pool->window.kh, pool->window.kw});
    } else {
      FAIL("an operator that these models do not have");
    }
    y.retain_grad();
  }
  return tensors;
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
  return rank;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double ma = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mb = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return ab / std::sqrt(aa * bb);
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  return correlation(ranks(a), ranks(b));
}

struct Agreement {
  double rank = 0;      ///< Spearman's, of the whole ranking
  double shuffled = 0;  ///< the same with neighbours in the list exchanged
};

/// Scores in int8 and in float of one user's classes.
Agreement agreement(const std::string& model, const std::vector<int>& classes, masks::Scope scope) {
  const auto loaded = import_::load(shared_file(model));
  REQUIRE(loaded.ok());
  const auto& graph = std::get<ir::FloatGraph>(loaded.value());
  const auto set = images::Dataset::open(shared_file("cifar10/data_batch_1.bin"), kShape);
  REQUIRE(set.ok());
  quantise::Options options;
  options.preprocess = {{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};
  const auto input = [&](std::size_t i) {
    const auto pixels = set->load(i);
    REQUIRE(pixels.ok());
    return images::preprocess_input(options.preprocess, kShape, *pixels, false);
  };
  const quantise::Calibration calibration{
      200, [&](std::size_t i) -> Result<std::vector<float>> { return input(i); }};
  const auto quantised = quantise::quantise(graph, calibration, options);
  REQUIRE(quantised.ok());
  const ir::QuantGraph& q = *quantised;
  const masks::Channels channels = masks::find_channels(q);
  const std::vector<bool> scored = personal::scored_tensors(q, channels, scope);
  std::vector<int> in_float(q.tensors.size(), -1);
  for (std::size_t t = 0; t < scored.size(); ++t) {
    for (std::size_t f = 0; scored[t] && f < graph.tensors.size(); ++f) {
      if (graph.tensors[f].name == q.tensors[t].name) in_float[t] = static_cast<int>(f);
    }
    REQUIRE((!scored[t] || in_float[t] >= 0));
  }

  std::vector<std::int8_t> inputs;
  std::vector<int> labels;
  std::vector<double> wanted(channels.classes(), 0.0);
  for (std::size_t i = 200; labels.size() < kImages; ++i) {
    if (std::ranges::find(classes, set->label(i)) == classes.end()) continue;
    labels.push_back(set->label(i));
    const auto values = input(i);
    const auto bytes = images::quantise_values(values, q.tensors[index(q.input)].quant);
    inputs.insert(inputs.end(), bytes.begin(), bytes.end());
    const auto tensors = forward(graph, values);
    std::vector<std::int64_t> kept(classes.begin(), classes.end());
    const auto logits = tensors[index(graph.output)].flatten().index_select(0, torch::tensor(kept));
    const auto place = std::ranges::find(classes, labels.back()) - classes.begin();
    (-torch::log_softmax(logits, 0)[place]).backward();
    std::vector<double> image(channels.classes(), 0.0);
    for (std::size_t t = 0; t < scored.size(); ++t) {
      if (!scored[t]) continue;
      const torch::Tensor& x = tensors[index(in_float[t])];
      const torch::Tensor sums = (x * x.grad()).sum({0, 2, 3}).contiguous();
      for (std::size_t c = 0; c < channels.of_tensor[t].size(); ++c)
        image[index(channels.of_tensor[t][c])] += double{sums.data_ptr<float>()[c]};
    }
    for (std::size_t c = 0; c < image.size(); ++c) wanted[c] += std::abs(image[c]);
  }
  personal::Importance state;
  auto meter = personal::Meter::make(q, channels, scored, classes);
  REQUIRE(meter.ok());
  REQUIRE(meter->add(inputs, labels, state).ok());
  std::vector<double> ours, theirs;
  for (const masks::Group& group : channels.groups) {
    for (const int c : group.classes) {
      if (!masks::in_scope(group, scope)) continue;
      ours.push_back(state.taylor[index(c)]);
      theirs.push_back(wanted[index(c)]);
    }
  }
  Agreement result{spearman(ours, theirs), 0};
  std::ranges::rotate(ours, ours.begin() + 1);
  result.shuffled = spearman(ours, theirs);
  std::cout << model << ", " << classes.size() << " classes, " << ours.size()
            << " channels: Spearman " << result.rank << " (of a wrong order " << result.shuffled
            << ")\n";
  return result;
}

const std::vector<int> kAll{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

void check(const std::string& model) {
  if (absent(model) || absent("cifar10/data_batch_1.bin")) return;
  for (const auto scope : {masks::Scope::kInternal, masks::Scope::kAll}) {
    for (const auto& classes : {kAll, std::vector<int>{3, 5, 8}}) {
      const Agreement found = agreement(model, classes, scope);
      CHECK(found.rank >= 0.97);
      CHECK(found.shuffled < 0.9);
    }
  }
}

TEST_CASE("torch: int8 scores rank ResNet-20's channels as float gradients do") {
  check("models/resnet20_cifar10_float.onnx");
}

TEST_CASE("torch: int8 scores rank ResNet-56's channels as float gradients do") {
  check("models/resnet56_cifar10_float.onnx");
}

}  // namespace
}  // namespace espalier::tests
