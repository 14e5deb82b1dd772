// The models in the shared data directory, imported, quantised and compiled.

#include <catch.hpp>
#include <filesystem>
#include <iostream>
#include <random>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "import/model.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "quantise/quantise.hpp"
#include "shared_file.hpp"
#include "timing/timing.hpp"

namespace espalier::tests {
namespace {

/// The model as a quantised graph; a float one is calibrated on noise.
Result<ir::QuantGraph> load(const std::string& path) {
  auto model = import_::load(path);
  if (!model) return model.error();
  if (auto* quantised = std::get_if<ir::QuantGraph>(&*model)) return *quantised;
  const auto& graph = std::get<ir::FloatGraph>(*model);
  quantise::Calibration calibration;
  calibration.count = 2;
  const auto size =
      static_cast<std::size_t>(graph.tensors[static_cast<std::size_t>(graph.input)].shape.count());
  calibration.image = [size](std::size_t index) -> Result<std::vector<float>> {
    std::mt19937 random(static_cast<unsigned>(index));
    std::normal_distribution<float> normal;
    std::vector<float> image(size);
    for (float& value : image) value = normal(random);
    return image;
  };
  return quantise::quantise(graph, calibration);
}

}  // namespace

TEST_CASE("compiler: the shared models give golden's tensors on every configuration") {
  std::vector<std::string> files{"mlperf_tiny_resnet8_int8.tflite",
                                 "mlperf_tiny_resnet8_float.tflite", "resnet20_cifar10_float.onnx",
                                 "resnet56_cifar10_float.onnx"};
  std::erase_if(files, [](const std::string& file) {
    return !std::filesystem::exists(shared_file("models/" + file));
  });
  if (files.empty()) return skip("no shared model is at hand");
  for (const std::string& file : files) {
    const auto graph = load(shared_file("models/" + file));
    if (!graph) FAIL(graph.error().text());
    for (const isa::Config& machine : isa::kConfigs) {
      INFO(file << ", " << machine.name);
      // The search takes most of the time.
      const auto program = compiler::compile(*graph, machine, {.refine = machine.name == "edge"});
      if (!program && machine.address_bits < 32 &&
          program.error().message.ends_with(std::to_string(1ULL << machine.address_bits))) {
        std::cout << file << " on " << machine.name << ": " << program.error().message << "\n";
        continue;
      }
      if (!program) FAIL(program.error().text());
      const Status ordered = iss::check_hazards(machine, program::decode_all(*program));
      if (!ordered) FAIL(ordered.error().text());
      const auto image = random_image(program->graph, 7);
      const auto outputs = iss::run(*program, image);
      if (!outputs) FAIL(outputs.error().text());
      const auto expected = golden::run(program->graph, image);
      REQUIRE_FALSE(program->placements.empty());
      for (std::size_t i = 0; i < program->placements.size(); ++i) {
        REQUIRE(outputs->stored[i] ==
                expected[static_cast<std::size_t>(program->placements[i].tensor)]);
      }
      if (machine.name == "edge") {
        const auto times = timing::estimate(*program);
        if (!times) FAIL(times.error().text());
        std::cout << file << " on edge: " << times->cycles << " cycles estimated, "
                  << 100 * timing::utilisation(*program, times->cycles)
                  << " % of the multipliers\n";
      }
    }
  }
}

}  // namespace espalier::tests
