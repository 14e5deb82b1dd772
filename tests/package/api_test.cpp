// The public interface, by its header alone; images for it are those of the demo.

#include <espalier/espalier.hpp>

#include <catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "examples/shapes/files.hpp"
#include "scratch.hpp"

namespace {

const std::string kModel = std::string(ESPALIER_SOURCE_DIR) + "/examples/shapes/shapes.onnx";
constexpr std::size_t kPixels = 3 * 32 * 32;

/// Images of the demo, in CIFAR-10's form.
std::string drawn(const espalier::tests::Scratch& scratch, std::uint64_t seed,
                  std::uint64_t count) {
  std::string file = scratch.path("drawn" + std::to_string(seed) + ".bin");
  REQUIRE(espalier::shapes::write_records(file, seed, count).ok());
  return file;
}

std::vector<float> grey() {
  std::vector<float> image(kPixels);
  for (std::size_t p = 0; p < kPixels; ++p) image[p] = static_cast<float>(p % 256);
  return image;
}

/// The demo's network for a small machine, which takes masks.
struct Compiled {
  espalier::tests::Scratch scratch;
  espalier::Result<espalier::Program> program = make();

  espalier::Result<espalier::Program> make() const {
    espalier::CompileOptions options;
    options.configuration = "tiny";
    options.maskable = true;
    options.images = drawn(scratch, 2, 8);
    options.mean = {0.5F, 0.5F, 0.5F};
    options.std = {0.25F, 0.25F, 0.25F};
    return espalier::compile(kModel, options);
  }
};

}  // namespace

TEST_CASE("api: a compiled program says what it is, and comes back from its file") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const espalier::Program& program = *compiled.program;
  CHECK(program.configuration() == "tiny");
  CHECK(program.maskable());
  CHECK(program.input().count() == kPixels);
  CHECK(program.output().count() > 1);
  CHECK(program.macs() > 0);
  CHECK_FALSE(program.layers().empty());
  const std::string file = compiled.scratch.path("p.espl");
  REQUIRE(program.save(file).ok());
  const auto loaded = espalier::Program::load(file);
  REQUIRE(loaded.ok());
  CHECK(loaded->network() == program.network());
  CHECK(loaded->layers() == program.layers());
}

TEST_CASE("api: engines give the same scores, with masks and without") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const espalier::Program& program = *compiled.program;
  const auto half = espalier::Mask::random(program, 0.5, 3);
  REQUIRE(half.ok());
  CHECK(half->live() < half->channels());
  using espalier::Engine;
  for (const std::vector<espalier::Mask>& masks : {std::vector<espalier::Mask>{}, {*half}}) {
    std::vector<float> first;
    int compared = 0;
    for (const Engine engine : {Engine::kGolden, Engine::kSimulator, Engine::kVerilated}) {
      if (!espalier::has(engine, program)) continue;
      auto machine = espalier::Machine::open(program, engine, masks);
      REQUIRE(machine.ok());
      const auto answer = machine->run(grey());
      REQUIRE(answer.ok());
      CHECK(answer->cycles.has_value() == (engine == Engine::kVerilated));
      CHECK(answer->best() < answer->scores.size());
      if (first.empty()) first = answer->scores;
      CHECK(answer->scores == first);
      ++compared;
    }
    CHECK(compared >= 2);
  }
}

TEST_CASE("api: a profile adds up, and half of the channels take fewer cycles") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const auto whole = espalier::profile(*compiled.program);
  REQUIRE(whole.ok());
  CHECK(whole->layers.size() == compiled.program->layers().size());
  std::int64_t sum = 0;
  for (const auto& layer : whole->layers) {
    CHECK(layer.cycles == layer.compute + layer.ragged + layer.waits + layer.rest);
    sum += layer.cycles;
  }
  CHECK(sum == whole->cycles);
  CHECK(whole->bound > 0);
  const auto half = espalier::Mask::magnitude(*compiled.program, 0.5, espalier::Mask::Scope::kAll);
  REQUIRE(half.ok());
  const auto less = espalier::profile(*compiled.program, &*half);
  REQUIRE(less.ok());
  CHECK(less->cycles < whole->cycles);
}

TEST_CASE("api: masks go to files and come back, for their own network alone") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const auto mask = espalier::Mask::random(*compiled.program, 0.3);
  REQUIRE(mask.ok());
  const std::string file = compiled.scratch.path("u.mask");
  REQUIRE(mask->save(file).ok());
  const auto loaded = espalier::Mask::load(*compiled.program, file);
  REQUIRE(loaded.ok());
  CHECK(loaded->live() == mask->live());
  // The same network quantised on other images has other numbers: masks are not for it.
  espalier::CompileOptions options;
  options.images =
      compiled.scratch.write("grey.bin", std::string(1, '\0') + std::string(kPixels, '\x40'));
  options.maskable = true;
  const auto other = espalier::compile(kModel, options);
  REQUIRE(other.ok());
  CHECK(espalier::Mask::load(*other, file).error().code == espalier::ErrorCode::kMismatch);
  const auto machine = espalier::Machine::open(*other, espalier::Engine::kSimulator, {*mask});
  REQUIRE_FALSE(machine.ok());
  CHECK(machine.error().code == espalier::ErrorCode::kMismatch);
}

TEST_CASE("api: what makes no sense is refused with its place") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const espalier::Program& program = *compiled.program;
  using espalier::ErrorCode;
  CHECK(espalier::compile("none.onnx").error().code == ErrorCode::kIo);
  CHECK(espalier::Program::load(kModel).error().code == ErrorCode::kMalformed);
  espalier::CompileOptions huge;
  huge.configuration = "huge";
  CHECK(espalier::compile(kModel, huge).error().code == ErrorCode::kUsage);
  for (const double keep : {0.0, -1.0, 1.5, std::nan("")})
    CHECK(espalier::Mask::random(program, keep).error().code == ErrorCode::kRange);
  auto machine = espalier::Machine::open(program, espalier::Engine::kGolden);
  REQUIRE(machine.ok());
  CHECK(machine->run(std::vector<float>(7)).error().code == ErrorCode::kShape);
  CHECK(machine->run(grey(), 1).error().code == ErrorCode::kRange);
  CHECK(program.save(compiled.scratch.path("no") + "/such/p.espl").error().code == ErrorCode::kIo);
}

TEST_CASE("api: personalise writes a user's mask and program, and refuses files named twice") {
  const Compiled compiled;
  REQUIRE(compiled.program.ok());
  const std::string generic = compiled.scratch.path("generic.espl");
  REQUIRE(compiled.program->save(generic).ok());
  espalier::PersonaliseOptions options;
  options.images = drawn(compiled.scratch, 3, 200);
  options.labels = "given";
  options.classes = {1, 4, 7};
  options.count = 24;
  options.held_back = 24;
  options.cycles = 0.8;
  options.mask = compiled.scratch.path("own.mask");
  options.program = compiled.scratch.path("own.espl");
  const auto made = espalier::personalise(generic, options);
  INFO((made.ok() ? std::string() : made.error().text()));
  REQUIRE(made.ok());
  REQUIRE(made->cycles_after.has_value());
  CHECK(static_cast<double>(*made->cycles_after) <=
        0.8 * static_cast<double>(*made->cycles_before));
  CHECK(espalier::Program::load(options.program).ok());
  CHECK(espalier::Mask::load(*compiled.program, options.mask).ok());
  options.program = options.mask;
  const auto refused = espalier::personalise(generic, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == espalier::ErrorCode::kUsage);
  CHECK(refused.error().place == "the user's program");
}
