// Environments: their files, and what a graph computes with one.

#include "environment/environment.hpp"
#include "environment/recognise.hpp"

#include <algorithm>
#include <catch.hpp>
#include <cmath>
#include <random>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "random_environment.hpp"
#include "iss/run.hpp"
#include "scratch.hpp"
#include "seed.hpp"
#include "base/bytes.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

using environment::Environment;
using environment::Kind;

std::string complaint(std::span<const std::uint8_t> bytes) {
  const auto parsed = environment::parse(bytes, "u");
  return parsed.ok() ? std::string() : parsed.error().text();
}

std::string misfit(const Environment& environment, const ir::QuantGraph& graph) {
  const auto applied = environment::apply(environment, graph, "u");
  return applied.ok() ? std::string() : applied.error().text();
}

}  // namespace

TEST_CASE("environment: a file takes a bit a masked weight and 8 bytes a channel, and survives") {
  const ir::QuantGraph graph = cifar_resnet(1);
  for (const Kind kind : {Kind::kDense, Kind::kTwoOfFour, Kind::kWeights}) {
    const Environment environment = random_environment(graph, kind, 1);
    const auto bytes = environment::serialise(environment);
    std::uint64_t weights = 0, rest = 8 + 4 + 8 + 8 + graph.name.size() + 8 + 12 + 12 + 16 + 8 + 8;
    for (const auto& layer : environment.layers) {
      weights += layer.kind == Kind::kDense ? 0 : ir::bit_bytes(layer.count());
      rest += 8 + layer.name.size() + 1 + 12 + 8 * layer.channels;
    }
    CHECK(bytes.size() == weights + rest);
    const auto again = environment::parse(bytes, "u");
    REQUIRE(again.ok());
    CHECK(environment::serialise(*again) == bytes);
    CHECK(again->pictures.count == 100);
    if (kind == Kind::kTwoOfFour) CHECK(2 * again->live() == again->count());
    const Scratch scratch;
    const std::string path = scratch.path("u.env");
    REQUIRE(environment::save(environment, path).ok());
    const auto loaded = environment::load(path);
    REQUIRE(loaded.ok());
    CHECK(environment::serialise(*loaded) == bytes);
  }
  CHECK_FALSE(environment::load("/nowhere/u.env").ok());
  CHECK_FALSE(environment::save(random_environment(graph, Kind::kDense, 1), "/dev/full").ok());
}

TEST_CASE("environment: a file that is not right is refused by name") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const Environment environment = random_environment(graph, Kind::kTwoOfFour, 1);
  const auto bytes = environment::serialise(environment);
  CHECK(complaint(bytes) == "");
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    INFO(size << " bytes");
    const std::string text = complaint(std::span(bytes).first(size));
    CHECK((size < 8 ? text == "u: no environment: it does not begin with `ESPENVIR`"
                    : text.starts_with("u: truncated near byte ")));
  }
  auto other = bytes;
  other.push_back(0);
  CHECK(complaint(other) == "u: 1 bytes follow its end");
  other = bytes;
  other[8] = 3;
  CHECK(complaint(other) == "u: format version 3; this build reads 2");
  other = bytes;
  other[12] ^= 1;
  CHECK(complaint(other) == "u: corrupt: its hash does not match its contents");
  const auto with = [&](auto change) {
    Environment changed = environment;
    change(changed);
    return environment::serialise(changed);
  };
  const std::string name = environment.layers[2].name;
  // Channel 1, tap 0, the group of inputs 4 to 7.
  const std::size_t group = environment.layers[2].taps * environment.layers[2].inputs + 4;
  const auto fill = [&](std::size_t count) {
    return with([&](Environment& e) {
      auto& bits = e.layers[2].bits;
      bits[group / 8] = static_cast<std::uint8_t>(bits[group / 8] & 0x0F);
      for (std::size_t i = 0; i < count; ++i) ir::set_bit(bits, group + i);
    });
  };
  REQUIRE(group % 8 == 4);
  CHECK(complaint(fill(2)) == "");
  for (const std::size_t count : {0, 1, 3, 4}) {
    CHECK(complaint(fill(count)) == "u: layer '" + name + "': channel 1, tap 0, inputs 4 to 7: " +
                                        std::to_string(count) + " of 4 weights stay; 2 do");
  }
  CHECK(complaint(with([](auto& e) {
          e.layers[1].scale[3] = 0;
        })).find("multiplier of channel 3") != std::string::npos);
  CHECK(complaint(with([](auto& e) { e.layers[1].scale[3] = NAN; })) != "");
  CHECK(complaint(with([](auto& e) {
          e.layers[0].inputs = 0;
        })).find(" weights; a layer has 1 to") != std::string::npos);
}

TEST_CASE("environment: one for another model, or with layers that it lacks, is refused by name") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const Environment environment = random_environment(graph, Kind::kTwoOfFour, 1);
  const auto with = [&](auto change) {
    Environment changed = environment;
    change(changed);
    return misfit(changed, graph);
  };
  CHECK(misfit(environment, graph) == "");
  CHECK(misfit(environment, resnet8()).starts_with("u: is for another model: its fingerprint is "));
  CHECK(with([](auto& e) { e.layers[1].name = "nothing"; }) ==
        "u: layer 'nothing': the model has no such convolution");
  CHECK(with([](auto& e) { e.layers[1] = e.layers[0]; }).find(": is there twice") !=
        std::string::npos);
  CHECK(with([](auto& e) { e.layers[1].name = e.layers[0].name; }).find("is there twice") !=
        std::string::npos);
  CHECK(with([](auto& e) {
          e.layers[1].taps = 3;
        }).find(" x 16 weights; the model's has 16 of 9") != std::string::npos);
  // What int32 sums cannot hold is the graph's own complaint.
  CHECK(with([](auto& e) { e.layers[1].bias[0] = INT32_MAX; }).starts_with("u: "));
}

TEST_CASE("environment: what stays is multiplied, added and scaled, as plain sums have it") {
  GraphBuilder g(5);
  const int first = g.conv(g.input(6, 5, 5), 8, 1);
  const int second = g.conv(first, 7, ir::Window{3, 3});
  const ir::QuantGraph graph = g.finish(second);
  for (const Kind kind : {Kind::kTwoOfFour, Kind::kWeights}) {
    const Environment environment = random_environment(graph, kind, 2);
    const auto applied = environment::apply(environment, graph, "u");
    REQUIRE(applied.ok());
    const auto tensors = golden::run(*applied, random_image(graph, 3));
    const auto& x = tensors[index(first)];
    const auto& y = tensors[index(second)];
    const auto& conv = std::get<ir::QuantConv>(graph.nodes[1].op);
    const environment::Layer& layer = environment.layers[1];
    const int zx = at(graph.tensors, first).quant.zero, zy = at(graph.tensors, second).quant.zero;
    for (int n = 0; n < 7; ++n) {
      for (int oy = 0; oy < 3; ++oy) {
        for (int ox = 0; ox < 3; ++ox) {
          std::int32_t sum = layer.bias[index(n)];
          for (int t = 0; t < 9; ++t) {
            for (int c = 0; c < 8; ++c) {
              const auto w = index((n * 9 + t) * 8 + c);
              if (!ir::get_bit(layer.bits, w)) continue;
              sum += conv.weights[w] * (x[index((c * 5 + oy + t / 3) * 5 + ox + t % 3)] - zx);
            }
          }
          const float scaled = static_cast<float>(sum) * layer.scale[index(n)];
          const int wanted =
              std::clamp(static_cast<int>(std::nearbyintf(scaled)) + zy, conv.lo, conv.hi);
          REQUIRE(int{y[index((n * 3 + oy) * 3 + ox)]} == wanted);
        }
      }
    }
  }
}

TEST_CASE("environment: the probe is the model's first convolution, and features are its sums") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto probe = environment::probe(graph);
  REQUIRE(probe.ok());
  const auto image = random_image(graph, 3);
  const auto whole = golden::run(graph, image);
  const auto part = golden::run(*probe, image);
  const int first = graph.nodes[0].output;
  REQUIRE(part[index(probe->output)] == whole[index(first)]);

  ir::QuantTensor tensor;
  tensor.shape = {1, 2, 2};
  tensor.quant = {0.5F, 1};
  const std::vector<std::int8_t> y{3, 5, 7, -1};
  const auto found = environment::features(tensor, y);
  REQUIRE(found.size() == 3);
  CHECK(found[0] == Approx(0.5 * (3.5 - 1)));
  // Squares 9, 25, 49, 1; differences 2 and 8 in the rows, 4 and 6 between them.
  CHECK(found[1] == Approx(std::log(0.25 * (21 - 3.5 * 3.5) + 1e-3)));
  CHECK(found[2] == Approx(std::log(0.5 * 5 + 1e-3)));
}

TEST_CASE("environment: of three kinds the right one is picked, soon and without flutter") {
  std::mt19937_64 random(seed(9));
  std::normal_distribution<float> normal;
  constexpr std::size_t kKinds = 3, kFeatures = 12, kStretch = 40;
  const auto draw = [&](std::size_t kind) {
    std::vector<float> f(kFeatures);
    for (std::size_t i = 0; i < kFeatures; ++i)
      f[i] = normal(random) + (i % kKinds == kind ? 1.0F : 0.0F);
    return f;
  };
  std::vector<environment::Looks> looks;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    environment::LooksMeter meter;
    for (int i = 0; i < 500; ++i) meter.add(draw(kind));
    looks.push_back(meter.looks());
    CHECK(looks[kind].mean[kind] == Approx(1.0).margin(0.2));
    CHECK(looks[kind].deviation[0] == Approx(1.0).margin(0.15));
  }
  environment::Recogniser recogniser(looks);
  std::size_t right = 0, sure = 0;
  const std::vector<std::size_t> stretches{0, 1, 2, 1, 0};
  for (const std::size_t kind : stretches) {
    for (std::size_t i = 0; i < kStretch; ++i) {
      const auto pick = recogniser.next(draw(kind));
      if (i < 10) continue;  // it takes some pictures to change
      right += pick.environment == kind ? 1 : 0;
      sure += pick.sure > 0.5 ? 1 : 0;
    }
  }
  const std::size_t all = stretches.size() * (kStretch - 10);
  CHECK(right >= all * 95 / 100);
  CHECK(sure >= all * 8 / 10);
  CHECK(recogniser.switches() >= 4);
  CHECK(recogniser.switches() <= 8);
}

TEST_CASE("environment: files say what their pictures look like, and those before them are read") {
  const ir::QuantGraph graph = random_graph(3);
  Environment made = random_environment(graph, Kind::kTwoOfFour, 3);
  made.pictures.looks = {{1.5F, -2, 0}, {0.25F, 1, 3}};
  const auto bytes = environment::serialise(made);
  const auto again = environment::parse(bytes, "u");
  REQUIRE(again.ok());
  CHECK(again->pictures.looks == made.pictures.looks);
  // The same in version 1: without the two lists.
  std::vector<std::uint8_t> old(bytes.begin(), bytes.end() - 8);
  const std::size_t lists = 8 + 4 + 8 + (8 + made.model.size()) + 8 + 2 * 8 +
                            4 * (made.pictures.mean.size() + made.pictures.deviation.size());
  old.erase(old.begin() + static_cast<std::ptrdiff_t>(lists),
            old.begin() + static_cast<std::ptrdiff_t>(lists + 2 * (8 + 3 * 4)));
  old[8] = 1;
  ByteWriter seal;
  seal.put(fnv1a(old));
  const auto hash = seal.take();
  old.insert(old.end(), hash.begin(), hash.end());
  const auto before = environment::parse(old, "u");
  if (!before) FAIL(before.error().text());
  CHECK(before->pictures.looks.mean.empty());
  CHECK(before->layers.size() == made.layers.size());
  made.pictures.looks.deviation.pop_back();
  CHECK(complaint(environment::serialise(made)).find("no list of numbers") != std::string::npos);
}

TEST_CASE("environment: programs compute what golden does with it") {
  const std::uint64_t base = seed(8);
  int compared = 0;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const ir::QuantGraph graph = random_graph(s);
    const Environment environment =
        random_environment(graph, i % 2 == 0 ? Kind::kTwoOfFour : Kind::kWeights, s);
    // Some random biases leave too little room in int32 as they are.
    const auto applied = environment::apply(environment, graph, "u");
    if (!applied) continue;
    const auto program = compiler::compile(*applied, *isa::find_config("nano"), {});
    if (!program) continue;
    const auto image = random_image(graph, s);
    const auto outputs = iss::run(*program, image);
    REQUIRE(outputs.ok());
    const auto expected = golden::run(program->graph, image);
    for (std::size_t p = 0; p < program->placements.size(); ++p)
      REQUIRE(outputs->stored[p] == expected[index(program->placements[p].tensor)]);
    // The shared program's graph, with its copies, takes the same environment.
    const auto shared = compiler::compile(graph, *isa::find_config("nano"), {});
    REQUIRE(shared.ok());
    const auto again = environment::apply(environment, shared->graph, "u");
    REQUIRE(again.ok());
    CHECK(golden::run(*again, image)[index(again->output)] ==
          golden::run(*applied, image)[index(applied->output)]);
    ++compared;
  }
  CHECK(compared > 10);
}

}  // namespace espalier::tests
