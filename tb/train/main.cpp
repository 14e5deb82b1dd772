// train MODEL.onnx: one image of random pixels through the model of this build that counts which of
// its branches are taken; the counts go where LLVM_PROFILE_FILE says.

#include <cstdio>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "compiler/compiler.hpp"
#include "import/model.hpp"
#include "quantise/quantise.hpp"
#include "runtime/rtl_host.hpp"
#include "tb/models.hpp"

using namespace espalier;

namespace {

/// Returns the cycles.
Result<std::uint64_t> train(const std::string& path) {
  const auto model = import_::load(path);
  if (!model) return model.error();
  const auto* graph = std::get_if<ir::FloatGraph>(&*model);
  if (graph == nullptr) return fail(ErrorCode::kUnsupported, "is quantised already", path);
  std::mt19937_64 random(1);
  const quantise::Calibration noise = {
      1, [&](std::size_t) -> Result<std::vector<float>> {
        const auto count = static_cast<std::size_t>(graph->tensors[graph->input].shape.count());
        std::vector<float> image(count);
        for (float& value : image) value = std::uniform_real_distribution<float>(-1, 1)(random);
        return image;
      }};
  const auto network = quantise::quantise(*graph, noise);
  if (!network) return network.error();
  const auto program = compiler::compile(*network, *isa::find_config(tb::models().front().config));
  if (!program) return program.error();
  auto host = runtime::RtlHost::open(*program, {}, {});
  if (!host) return host.error();
  std::vector<std::int8_t> image(static_cast<std::size_t>(ir::input_elements(*network)));
  for (std::int8_t& value : image) value = static_cast<std::int8_t>(random());
  (*host)->put_image(image);
  const auto run = (*host)->run({});
  if (!run) return run.error();
  return run->cycles;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: train MODEL.onnx\n");
    return 2;
  }
  const auto cycles = train(argv[1]);
  if (!cycles) {
    std::fprintf(stderr, "train: %s\n", cycles.error().text().c_str());
    return 1;
  }
  std::printf("train: %llu cycles\n", static_cast<unsigned long long>(*cycles));
  return 0;
}
