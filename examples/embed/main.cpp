// A program that has Espalier inside: it compiles a network, answers an image on the machine, then
// on a machine with half of the network's channels, and says what that is worth.
//
//   embed MODEL IMAGES      MODEL: .onnx or .tflite for images of 3 x 32 x 32
//                           IMAGES: a file of CIFAR-10's form: a byte for the label, 3072 of pixels

#include <espalier/espalier.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

/// The value, or the end of the program with what is wrong.
template <typename T>
T take(espalier::Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "embed: %s\n", result.error().text().c_str());
    std::exit(2);
  }
  return std::move(result).value();
}

std::vector<float> first_image(const std::string& file, std::size_t pixels) {
  std::ifstream in(file, std::ios::binary);
  in.ignore(1);  // the label
  std::vector<char> bytes(pixels);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(pixels))) {
    std::fprintf(stderr, "embed: %s: holds no image\n", file.c_str());
    std::exit(2);
  }
  std::vector<float> image;
  for (const char byte : bytes) image.push_back(static_cast<unsigned char>(byte));
  return image;
}

void answer(espalier::Machine machine, const std::vector<float>& image, const char* what) {
  const espalier::Answer answer = take(machine.run(image));
  std::printf("%s: class %zu, score %.3f", what, answer.best(), answer.scores[answer.best()]);
  if (answer.cycles) std::printf(", %llu cycles", static_cast<unsigned long long>(*answer.cycles));
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: embed MODEL IMAGES\n");
    return 2;
  }
  espalier::CompileOptions options;
  options.maskable = true;
  options.images = argv[2];
  options.count = 16;
  options.mean = {0.5F, 0.5F, 0.5F};
  options.std = {0.25F, 0.25F, 0.25F};
  const espalier::Program program = take(espalier::compile(argv[1], options));
  const espalier::Profile whole = take(espalier::profile(program));
  std::printf("%s for %s: %zu layers, about %lld cycles an image\n", program.network().c_str(),
              program.configuration().c_str(), whole.layers.size(),
              static_cast<long long>(whole.cycles));

  const auto engine = espalier::has(espalier::Engine::kVerilated, program)
                          ? espalier::Engine::kVerilated
                          : espalier::Engine::kSimulator;
  const std::vector<float> image = first_image(argv[2], program.input().count());
  answer(take(espalier::Machine::open(program, engine)), image, "all channels");

  const espalier::Mask half = take(espalier::Mask::magnitude(program, 0.5));
  const espalier::Profile less = take(espalier::profile(program, &half));
  std::printf("%zu of %zu channels that could go stay: about %lld cycles\n", half.live(),
              half.channels(), static_cast<long long>(less.cycles));
  answer(take(espalier::Machine::open(program, engine, {half})), image, "half of them");
  return 0;
}
