// peers_check: compares golden with ONNX Runtime, on models and on random graphs.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <random>

#include "export/onnx_writer.hpp"
#include "images/dataset.hpp"
#include "images/input.hpp"
#include "import/model.hpp"
#include "base/whole_file.hpp"
#include "tests/compiler/graphs.hpp"
#include "tests/peers/compare.hpp"

namespace {

using namespace espalier;

struct Options {
  peers::Places places;
  std::string model, images;
  std::vector<float> mean, std;
  std::uint64_t count = 1, first = 0, random = 0, seed = 1;
};

int complain(const Diagnostic& error) {
  fmt::print(stderr, "peers_check: {}\n", error.text());
  return 2;
}

/// Network inputs from the images. Errors: those of the images.
Result<std::vector<float>> load_inputs(const Options& options, const ir::Shape& shape) {
  const auto dataset = images::Dataset::open(options.images, shape);
  if (!dataset) return dataset.error();
  std::vector<float> inputs;
  for (std::uint64_t i = options.first; i < options.first + options.count && i < dataset->size();
       ++i) {
    const auto pixels = dataset->load(i);
    if (!pixels) return pixels.error();
    const auto values =
        images::preprocess_input({options.mean, options.std}, shape, *pixels, dataset->raw_float());
    inputs.insert(inputs.end(), values.begin(), values.end());
  }
  return inputs;
}

int check_model(const Options& options) {
  const auto model = import_::load(options.model);
  if (!model) return complain(model.error());
  const auto* graph = std::get_if<ir::QuantGraph>(&*model);
  if (graph == nullptr) return complain(fail(ErrorCode::kUsage, "is not quantised", options.model));
  const auto inputs =
      load_inputs(options, graph->tensors[static_cast<std::size_t>(graph->input)].shape);
  if (!inputs) return complain(inputs.error());
  const auto bytes = read_file(options.model);
  if (!bytes) return complain(bytes.error());
  const std::string label = std::filesystem::path(options.model).stem().string();
  const auto result = peers::compare(options.places, label, *bytes, *inputs);
  if (!result) return complain(result.error());
  result->print(label);
  return result->within_bounds() && result->same_top == result->images ? 0 : 1;
}

/// Scales as training leaves them: those of random graphs are short fractions, whose sums lie
/// half-way between integers so often that the rounding of fp32 would show. Equal ones stay equal,
/// but not across an average: a mean of 4 in its own scale is half-way one time in 4.
void blur_scales(ir::QuantGraph& graph, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::pair<float, int>, float> blurred;
  std::vector<bool> shares(graph.tensors.size(), false), averages(graph.tensors.size(), false);
  for (const ir::QuantNode& node : graph.nodes) {
    const auto* pool = std::get_if<ir::QuantPool>(&node.op);
    const bool average = pool != nullptr && pool->kind == ir::PoolKind::kAverage;
    averages[static_cast<std::size_t>(node.output)] = average;
    if (!std::holds_alternative<ir::QuantConcat>(node.op) && (pool == nullptr || average)) continue;
    for (const int t : node.inputs) shares[static_cast<std::size_t>(t)] = true;
  }
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    ir::QuantTensor& tensor = graph.tensors[t];
    if (averages[t] && !shares[t]) {
      tensor.quant.scale *= std::uniform_real_distribution<float>(0.9F, 1.1F)(random);
      continue;
    }
    const auto [at, added] = blurred.try_emplace({tensor.quant.scale, tensor.quant.zero}, 0.0F);
    if (added) {
      at->second = tensor.quant.scale * std::uniform_real_distribution<float>(0.9F, 1.1F)(random);
    }
    tensor.quant.scale = at->second;
  }
}

/// Random graphs cover windows, pads and scales that the networks do not have.
int check_random(const Options& options) {
  int code = 0;
  for (const auto form : {export_::Form::kQdq, export_::Form::kQoperator}) {
    peers::Comparison total;
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < options.random; ++i) {
      const std::uint64_t seed = options.seed * 1000 + i;
      ir::QuantGraph graph = tests::random_graph(seed);
      blur_scales(graph, seed);
      tests::derive_multipliers(graph);
      const auto model = export_::write_onnx(graph, {form, false});
      if (!model) {  // windows that ONNX cannot say
        ++refused;
        continue;
      }
      const ir::QuantTensor& input = graph.tensors[static_cast<std::size_t>(graph.input)];
      std::vector<float> values;
      for (const std::int8_t q : tests::random_image(graph, seed)) {
        values.push_back(static_cast<float>(q - input.quant.zero) * input.quant.scale);
      }
      const auto result = peers::compare(options.places, "random", *model, values);
      if (!result) {
        fmt::print(stderr, "seed {}: ", seed);
        return complain(result.error());
      }
      for (const auto& [kind, tally] : result->kinds) {
        if (tally.differ > 0) {
          fmt::print("  seed {}: {} of {} values of '{}' ({}) differ\n", seed, tally.differ,
                     tally.values, tally.first, kind);
        }
      }
      total.add(*result);
    }
    total.print(fmt::format("random graphs, {} (ONNX has no word for {} of {})",
                            form == export_::Form::kQdq ? "qdq" : "qoperator", refused,
                            options.random));
    if (!total.within_bounds() || 2 * refused > options.random) code = 1;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares the golden model with ONNX Runtime.", "peers_check");
  Options options;
  app.add_option("--modules", options.places.modules, "folder with node_modules")->required();
  app.add_option("--script", options.places.script, "run_ort.mjs")->required();
  app.add_option("--work", options.places.work, "folder for files in between")->required();
  app.add_option("--model", options.model, "quantised ONNX model");
  app.add_option("--images", options.images, "images for it: .npy, CIFAR .bin, or a folder");
  app.add_option("--count", options.count, "how many images");
  app.add_option("--first", options.first, "the first of them");
  app.add_option("--mean", options.mean, "of each channel")->delimiter(',');
  app.add_option("--std", options.std, "of each channel")->delimiter(',');
  app.add_option("--random", options.random, "compare this many random graphs instead");
  app.add_option("--seed", options.seed, "of the random graphs");
  CLI11_PARSE(app, argc, argv);
  return options.random > 0 ? check_random(options) : check_model(options);
}
