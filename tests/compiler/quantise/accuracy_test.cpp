// Real models and images, where they are at hand: what int8 costs in accuracy.

#include <algorithm>
#include <iostream>

#include "catch.hpp"
#include "golden/float_reference.hpp"
#include "golden/golden.hpp"
#include "images/dataset.hpp"
#include "images/input.hpp"
#include "import/model.hpp"
#include "quantise/quantise.hpp"
#include "shared_file.hpp"

namespace espalier::tests {
namespace {

constexpr std::size_t kImages = 500;
constexpr ir::Shape kShape{3, 32, 32};

std::vector<float> pixels(const images::Dataset& set, std::size_t i) {
  auto loaded = set.load(i);
  REQUIRE(loaded.ok());
  return std::move(loaded.value());
}

images::Dataset open(const std::string& name) {
  auto set = images::Dataset::open(shared_file(name), kShape);
  REQUIRE(set.ok());
  return std::move(set.value());
}

template <typename Values>
int best(const Values& scores) {
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

/// Share of the first images that the quantised graph names rightly. Units: percent.
double score(const ir::QuantGraph& graph, const images::Dataset& set) {
  const golden::Runner runner(graph);
  int right = 0;
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto input = images::quantise_input(graph, pixels(set, i), false);
    right += best(runner.run(input)[graph.output]) == set.label(i) ? 1 : 0;
  }
  return 100.0 * right / static_cast<double>(kImages);
}

TEST_CASE("accuracy: ResNet-20 in int8 stays within a point of float") {
  if (absent("models/resnet20_cifar10_float.onnx") || absent("cifar10/data_batch_1.bin") ||
      absent("cifar10/test_batch.bin")) {
    return;
  }
  auto model = import_::load(shared_file("models/resnet20_cifar10_float.onnx"));
  REQUIRE(model.ok());
  const auto& graph = std::get<ir::FloatGraph>(model.value());
  const auto training = open("cifar10/data_batch_1.bin");
  const auto testing = open("cifar10/test_batch.bin");
  quantise::Options options;
  options.preprocess = {{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};
  const auto input = [&](const images::Dataset& set, std::size_t i) {
    return images::preprocess_input(options.preprocess, kShape, pixels(set, i), false);
  };
  const quantise::Calibration calibration{
      kImages, [&](std::size_t i) -> Result<std::vector<float>> { return input(training, i); }};
  const auto quantised = quantise::quantise(graph, calibration, options);
  REQUIRE(quantised.ok());

  int right = 0;
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto scores = golden::run_float(graph, input(testing, i))[graph.output];
    right += best(scores) == testing.label(i) ? 1 : 0;
  }
  const double in_float = 100.0 * right / static_cast<double>(kImages);
  const double in_int8 = score(quantised.value(), testing);
  std::cout << "ResNet-20, first " << kImages << " images: float " << in_float << " %, int8 "
            << in_int8 << " %\n";
  CHECK(in_float > 75.0);
  CHECK(in_int8 > in_float - 1.0);
}

TEST_CASE("accuracy: MLPerf Tiny's ResNet-8 scores as TensorFlow Lite does") {
  if (absent("models/mlperf_tiny_resnet8_int8.tflite") || absent("cifar10/test_batch.bin")) return;
  const auto model = import_::load(shared_file("models/mlperf_tiny_resnet8_int8.tflite"));
  REQUIRE(model.ok());
  const auto& graph = std::get<ir::QuantGraph>(model.value());
  CHECK(graph.nodes.size() == 14);
  CHECK(graph.softmax);
  const double in_int8 = score(graph, open("cifar10/test_batch.bin"));
  std::cout << "ResNet-8, first " << kImages << " images: int8 " << in_int8 << " %\n";
  CHECK(in_int8 > 72.0);
}

}  // namespace
}  // namespace espalier::tests
