// shapes_train: trains the demo's network on images drawn as it goes, and writes it as ONNX.

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <string>
#include <utility>

#include "examples/shapes/draw.hpp"
#include "examples/shapes/train/network.hpp"

namespace {

namespace shapes = espalier::shapes;

constexpr double kMean = 0.5;
constexpr double kDeviation = 0.25;
constexpr std::uint64_t kToMeasure = 256;  // images that batch norms of a taken network see

struct Options {
  std::string output = "shapes.onnx", from;
  std::int64_t widen = 2;
  std::uint64_t seed = 1000;
  std::uint64_t held_out_seed = 2000;
  std::uint64_t held_out = 10000;
  std::uint64_t steps = 3000;
  std::uint64_t batch = 64;
  double rate = 0.004;
  double drop = 0.2;
  int threads = 1;
};

struct Batch {
  torch::Tensor images;
  torch::Tensor labels;
};

Batch draw_batch(std::uint64_t seed, std::uint64_t first, std::uint64_t count) {
  const auto n = static_cast<std::int64_t>(count);
  torch::Tensor bytes = torch::empty({n, 3, shapes::kSide, shapes::kSide}, torch::kUInt8);
  torch::Tensor labels = torch::empty({n}, torch::kInt64);
  auto* pixels = bytes.data_ptr<std::uint8_t>();
  for (std::uint64_t i = 0; i < count; ++i) {
    const shapes::Drawing drawing = shapes::draw(seed, first + i);
    std::copy(drawing.planes.begin(), drawing.planes.end(), pixels + i * shapes::kImageBytes);
    labels.data_ptr<std::int64_t>()[i] = drawing.label;
  }
  return {(bytes.to(torch::kFloat32) / 255.0 - kMean) / kDeviation, labels};
}

// The share of images that the network names correctly.
double accuracy(shapes::Network& net, std::uint64_t seed, std::uint64_t count) {
  constexpr std::uint64_t kAtOnce = 100;
  const torch::NoGradGuard no_gradients;
  net->eval();
  std::int64_t right = 0;
  for (std::uint64_t done = 0; done < count; done += kAtOnce) {
    const Batch batch = draw_batch(seed, done, std::min(kAtOnce, count - done));
    right += net->forward(batch.images).argmax(1).eq(batch.labels).sum().item<std::int64_t>();
  }
  net->train();
  return static_cast<double>(right) / static_cast<double>(count);
}

// A short rise, then half a cosine down to zero.
double rate_at(const Options& options, std::uint64_t step) {
  const double progress = static_cast<double>(step) / static_cast<double>(options.steps);
  const double rise = std::min(1.0, progress / 0.05);
  return options.rate * rise * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

// Channels are left out until the last part, in which batch norms see all of them.
double drop_at(const Options& options, std::uint64_t step) {
  constexpr double kWhole = 0.15;
  return static_cast<double>(step) < (1 - kWhole) * static_cast<double>(options.steps)
             ? options.drop
             : 0.0;
}

void train(shapes::Network& net, const Options& options) {
  torch::optim::AdamW optimiser(net->parameters(),
                                torch::optim::AdamWOptions(options.rate).weight_decay(1e-3));
  double loss_sum = 0.0;
  for (std::uint64_t step = 0; step < options.steps; ++step) {
    for (auto& group : optimiser.param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate_at(options, step));
    }
    const Batch batch = draw_batch(options.seed, step * options.batch, options.batch);
    optimiser.zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        net->forward(batch.images, drop_at(options, step)), batch.labels);
    loss.backward();
    optimiser.step();
    loss_sum += loss.item<double>();
    if ((step + 1) % 100 == 0) {
      std::printf("step %llu of %llu: loss %.4f\n", static_cast<unsigned long long>(step + 1),
                  static_cast<unsigned long long>(options.steps),
                  std::exchange(loss_sum, 0.0) / 100);
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains the demo's network on freshly drawn images and writes it as ONNX.");
  app.add_option("-o,--output", options.output, "the model to write")->capture_default_str();
  app.add_option("--widen", options.widen, "inner channels of a block for each that leaves it")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--from", options.from,
                 "a network that this wrote, as wide or narrower, to go on from");
  app.add_option("--steps", options.steps, "batches")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "images a batch")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app.add_option("--rate", options.rate, "highest learning rate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--drop", options.drop, "share of a block's inner channels left out in training")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of weights and training images")
      ->capture_default_str();
  app.add_option("--held-out-seed", options.held_out_seed,
                 "seed of the images that it is tested on")
      ->capture_default_str();
  app.add_option("--held-out", options.held_out, "how many of them")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "threads")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.seed == options.held_out_seed) {
    std::fprintf(stderr, "shapes_train: both seeds are %llu; the images have to differ\n",
                 static_cast<unsigned long long>(options.seed));
    return 2;
  }

  torch::set_num_threads(options.threads);
  torch::manual_seed(options.seed);
  shapes::Network net(options.widen);
  if (!options.from.empty()) {
    const auto narrow = shapes::read_onnx(options.from);
    if (!narrow) {
      std::fprintf(stderr, "shapes_train: %s\n", narrow.error().text().c_str());
      return 2;
    }
    net->adopt(*narrow, draw_batch(options.seed, 0, kToMeasure).images);
    std::printf("begun with %.2f %%\n", 100.0 * accuracy(net, options.held_out_seed, 1000));
  }
  train(net, options);
  std::printf("held-out accuracy: %.2f %% of %llu images\n",
              100.0 * accuracy(net, options.held_out_seed, options.held_out),
              static_cast<unsigned long long>(options.held_out));

  net->eval();
  const shapes::FoldedNet folded = net->folded();
  if (const auto status = shapes::write_onnx(folded, shapes::kSide, options.output); !status) {
    std::fprintf(stderr, "shapes_train: %s\n", status.error().text().c_str());
    return 1;
  }
  std::printf("%s: %zu parameters\n", options.output.c_str(), folded.parameters());
  return 0;
}
