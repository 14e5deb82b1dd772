// Overlays: their files, which weights they keep, where their bits lie in a dense image, and what
// programs compute with them.

#include "masks/overlay.hpp"

#include <algorithm>
#include <catch.hpp>
#include <cmath>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/run.hpp"
#include "mask_kinds.hpp"
#include "program/apply_mask.hpp"
#include "program/apply_overlay.hpp"
#include "masks/prune.hpp"
#include "seed.hpp"
#include "base/bytes.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

Result<program::Program> compile(const ir::QuantGraph& graph, const char* machine,
                                 std::uint64_t vary, bool maskable = true) {
  compiler::Options options;
  options.vary = vary;
  options.maskable = maskable;
  options.relay_input = vary % 3 != 1;
  return compiler::compile(graph, *isa::find_config(machine), options);
}

masks::Overlay choose(const ir::QuantGraph& graph, double keep, masks::WeightRank rank,
                      std::uint64_t seed = 1, const std::string& layers = "*") {
  auto overlay = masks::choose_weights(graph, {keep, rank, seed, layers});
  if (!overlay) FAIL(overlay.error().text());
  return std::move(*overlay);
}

ir::WeightMask bits_of(const masks::Overlay& overlay, const ir::QuantGraph& graph) {
  auto mask = masks::from_overlay(overlay, graph, "u");
  if (!mask) FAIL(mask.error().text());
  return std::move(*mask);
}

const ir::QuantConv& conv(const ir::QuantGraph& graph, std::size_t node) {
  return std::get<ir::QuantConv>(graph.nodes[node].op);
}

/// Empty, or what is wrong with a run of the simulator against golden.
std::string difference(const program::Program& program, const ir::QuantGraph& graph,
                       const ir::ChannelMask& live, std::uint64_t seed) {
  const auto masked = program::apply_mask(program, live);
  if (!masked) return masked.error().text();
  const auto image = random_image(graph, seed);
  const auto outputs = iss::run(program, image, {}, &*masked);
  if (!outputs) return outputs.error().text();
  const auto expected = golden::Runner(graph, live).run(image);
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    const std::size_t tensor = index(program.placements[i].tensor);
    if (masked->stored[tensor] && outputs->stored[i] != expected[tensor])
      return "tensor " + graph.tensors[tensor].name + " differs";
  }
  return "";
}

}  // namespace

TEST_CASE("overlay: of each layer the share that is asked for stays, the largest real weights") {
  GraphBuilder g(3);
  const int x = g.conv(g.input(5, 6, 6), 7, 3);
  const ir::QuantGraph graph = g.finish(g.conv(x, 9, 1));
  for (const double keep : {0.0, 0.3, 0.5, 1.0}) {
    const auto overlay = choose(graph, keep, masks::WeightRank::kMagnitude);
    REQUIRE(overlay.layers.size() == 2);
    const ir::WeightMask mask = bits_of(overlay, graph);
    for (std::size_t n = 0; n < 2; ++n) {
      const ir::QuantConv& c = conv(graph, n);
      const auto count = static_cast<double>(c.weights.size());
      CHECK(overlay.layers[n].count() == c.weights.size());
      CHECK(overlay.layers[n].live() == static_cast<std::uint64_t>(std::llround(keep * count)));
      double least = 1e9, most = 0;  // that stays, that goes
      for (std::size_t i = 0; i < c.weights.size(); ++i) {
        const double real =
            std::abs(int{c.weights[i]}) * double{c.scale[i / overlay.layers[n].weights]};
        (ir::get_bit(mask[n], i) ? least : most) =
            ir::get_bit(mask[n], i) ? std::min(least, real) : std::max(most, real);
      }
      CHECK(least >= most);
    }
  }
  const auto bytes = [&](std::uint64_t seed) {
    return masks::serialise(choose(graph, 0.5, masks::WeightRank::kRandom, seed));
  };
  CHECK(bytes(1) == bytes(1));
  CHECK(bytes(1) != bytes(2));
  const auto some = choose(graph, 0.5, masks::WeightRank::kRandom, 1, "*1");
  REQUIRE(some.layers.size() == 1);
  CHECK(some.layers[0].name == "n1");
  const auto none = masks::choose_weights(graph, {0.5, masks::WeightRank::kRandom, 1, "fc*"});
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().text() == "--layers: `fc*` names no convolution of 'test'");
}

TEST_CASE("overlay: a file takes a bit a weight and a small header, and survives") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto overlay = choose(graph, 0.4, masks::WeightRank::kRandom);
  const auto bytes = masks::serialise(overlay);
  std::uint64_t weights = 0, header = 0;
  for (const auto& layer : overlay.layers) {
    weights += layer.count();
    header += 8 + layer.name.size() + 8 + 1;
  }
  CHECK(bytes.size() <= weights / 8 + header + 8 + 4 + 8 + 8 + graph.name.size() + 8 + 8);
  const auto again = masks::parse_overlay(bytes, "u");
  REQUIRE(again.ok());
  CHECK(masks::serialise(*again) == bytes);
  CHECK(again->layers[1].live() == overlay.layers[1].live());
  CHECK(again->model == graph.name);
}

TEST_CASE("overlay: a file that is not right is refused by name") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto overlay = choose(graph, 0.4, masks::WeightRank::kRandom);
  const auto bytes = masks::serialise(overlay);
  const auto complaint = [](std::span<const std::uint8_t> data) {
    const auto parsed = masks::parse_overlay(data, "u");
    return parsed.ok() ? std::string() : parsed.error().text();
  };
  CHECK(complaint(bytes) == "");
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    INFO(size << " bytes");
    const std::string text = complaint(std::span(bytes).first(size));
    CHECK((size < 8 ? text == "u: no overlay: it does not begin with `ESPOVLAY`"
                    : text.starts_with("u: truncated near byte ")));
  }
  auto other = bytes;
  other.push_back(0);
  CHECK(complaint(other) == "u: 1 bytes follow its end");
  other = bytes;
  other[8] = 2;
  CHECK(complaint(other) == "u: format version 2; this build reads 1");
  other = bytes;
  other[bytes.size() / 2] ^= 1;
  CHECK(complaint(other) == "u: corrupt: its hash does not match its contents");
  const auto with = [&](auto change) {
    masks::Overlay changed = overlay;
    change(changed);
    return changed;
  };
  GraphBuilder g(3);
  const ir::QuantGraph small = g.finish(g.conv(g.input(3, 4, 4), 3, 1));  // 9 weights
  auto odd = choose(small, 1, masks::WeightRank::kRandom);
  odd.layers[0].bits[1] = 3;
  CHECK(complaint(masks::serialise(odd)) == "u: layer 'n0': has bits past its last weight");

  const auto misfit = [&](const masks::Overlay& changed) {
    const auto mask = masks::from_overlay(changed, graph, "u");
    return mask.ok() ? std::string() : mask.error().text();
  };
  CHECK(misfit(overlay) == "");
  CHECK(misfit(with([](auto& o) { o.fingerprint ^= 1; })).find("u: is for another model: its") ==
        0);
  CHECK(misfit(with([](auto& o) { o.layers[1].name = "nothing"; })) ==
        "u: layer 'nothing': the model has no such convolution");
  CHECK(misfit(with([](auto& o) {
          o.layers[1].name = o.layers[0].name;
        })).find("has 16 channels") != std::string::npos);
  CHECK(misfit(with([](auto& o) { o.layers[1] = o.layers[0]; })).find(": is there twice") !=
        std::string::npos);
  ByteWriter raw;
  for (const char c : {'E', 'S', 'P', 'O', 'V', 'L', 'A', 'Y'}) raw.put(c);
  raw.put(std::uint32_t{1});
  raw.put(std::uint64_t{0});
  raw.put_string("m");
  raw.put(std::uint64_t{1});
  raw.put_string("n0");
  raw.put(std::uint32_t{1U << 20});
  raw.put(std::uint32_t{1U << 20});
  CHECK(complaint(raw.bytes()) ==
        "u: layer 'n0': has 1099511627776 weights; a layer has 1 to 268435456");
}

TEST_CASE("overlay: bits lie in the image where the compiler puts their weights") {
  const std::uint64_t base = seed(6);
  int folded = 0, flat = 0, segmented = 0, tapwise = 0;
  const auto check = [&](const ir::QuantGraph& graph, const char* machine, std::uint64_t s) {
    INFO("seed " << s << ", " << machine);
    const auto program = compile(graph, machine, s);
    INFO((program.ok() ? std::string() : program.error().text()));
    REQUIRE(program.ok());
    const auto mask = bits_of(choose(graph, 0.5, masks::WeightRank::kRandom, s), program->graph);
    // The same graph with weights of 1 where a bit is 1, and of 0 elsewhere.
    ir::QuantGraph ones = program->graph;
    for (std::size_t n = 0; n < mask.size(); ++n) {
      if (!mask[n].empty())
        std::ranges::fill(std::get<ir::QuantConv>(ones.nodes[n].op).weights, std::int8_t{1});
    }
    ir::zero_weights(ones, mask);
    const auto wanted = compile(ones, machine, s);
    REQUIRE(wanted.ok());
    REQUIRE(wanted->constants.size() == program->constants.size());
    for (std::size_t l = 0; l < program->layers.size(); ++l) {
      const auto& layer = program->maskable->layers[l];
      if (!layer.weights) continue;
      const auto node = std::ranges::find_if(program->layers[l].nodes, [&](int n) {
        return std::holds_alternative<ir::QuantConv>(program->graph.nodes[index(n)].op);
      });
      if (mask[index(*node)].empty()) continue;  // a copy
      const auto bits = program::image_bits(*program, l, mask[index(*node)]);
      REQUIRE(bits.ok());
      for (std::size_t i = 0; i < bits->size() * 8; ++i)
        REQUIRE(int{wanted->constants[layer.weights->weights + i]} ==
                (ir::get_bit(*bits, i) ? 1 : 0));
      const bool first = layer.input == program->graph.input;
      folded += layer.whole_input && first ? 1 : 0;
      flat += layer.whole_input && !first ? 1 : 0;
      tapwise += layer.weights->tapwise ? 1 : 0;
      const auto spot = std::ranges::find(program->maskable->spots, layer.input,
                                          &program::Maskable::Spot::tensor);
      segmented += spot->segments.size() > 1 ? 1 : 0;
    }
  };
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    for (const char* machine : {"nano", "edge"}) check(random_graph(s), machine, s);
  }
  // Too many pixels for taps: the fully connected layer reads them as channels.
  GraphBuilder wide(4);
  const int inner = wide.conv(wide.input(2, 16, 16), 4, 1);
  ir::Window whole;
  whole.kh = whole.kw = 16;
  check(wide.finish(wide.conv(inner, 3, whole)), "nano", 0);
  check(cifar_resnet(1), "edge", 0);
  CHECK(folded > 0);
  CHECK(flat > 0);
  CHECK(segmented > 0);
  CHECK(tapwise > 0);
}

TEST_CASE("overlay: programs compute what golden does, whatever the mask and the overlay") {
  const std::uint64_t base = seed(7);
  int run = 0;
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    const char* machine = i % 4 == 0 ? "edge" : "nano";
    INFO("seed " << s << ", " << machine);
    const ir::QuantGraph graph = random_graph(s);
    auto program = compile(graph, machine, s);
    REQUIRE(program.ok());
    const auto overlay = choose(
        graph, 0.5, i % 2 == 0 ? masks::WeightRank::kRandom : masks::WeightRank::kMagnitude, s);
    // Golden by definition, on the graph; the program by its image.
    ir::QuantGraph zeroed = program->graph;
    ir::zero_weights(zeroed, bits_of(overlay, zeroed));
    const masks::Channels channels = masks::find_channels(program->graph);
    const masks::Mask mask = random_kinds(channels, s);
    const ir::ChannelMask live = masks::by_tensor(channels, mask);
    const ir::ChannelMask all = masks::by_tensor(channels, masks::all_live(channels));
    const Status applied = program::apply_overlay(*program, bits_of(overlay, program->graph));
    REQUIRE(applied.ok());
    CHECK(difference(*program, zeroed, all, s) == "");
    if (masks::prune(zeroed, channels, mask)) {
      CHECK(difference(*program, zeroed, live, s) == "");
      ++run;
    }
    // The image is that of a model whose weights were zero from the start.
    ir::QuantGraph model = graph;
    ir::zero_weights(model, bits_of(overlay, model));
    const auto before = compile(model, machine, s);
    REQUIRE(before.ok());
    CHECK(before->constants == program->constants);
    const auto plain = compile(model, machine, 0, false);
    REQUIRE(plain.ok());
    const auto image = random_image(graph, s);
    const auto wanted = iss::run(*plain, image), outputs = iss::run(*program, image);
    REQUIRE(wanted.ok());
    REQUIRE(outputs.ok());
    CHECK(outputs->output == wanted->output);
  }
  CHECK(run > compiled_rounds(20));
}

TEST_CASE("overlay: the comparison sees another overlay's weights") {
  const ir::QuantGraph graph = resnet8();
  auto program = compile(graph, "nano", 0);
  REQUIRE(program.ok());
  ir::QuantGraph other = program->graph;
  ir::zero_weights(other, bits_of(choose(graph, 0.5, masks::WeightRank::kRandom, 1), other));
  const auto overlay = choose(graph, 0.5, masks::WeightRank::kRandom, 2);
  const ir::WeightMask bits = bits_of(overlay, program->graph);
  REQUIRE(program::apply_overlay(*program, bits).ok());
  const masks::Channels channels = masks::find_channels(graph);
  const auto all = masks::by_tensor(masks::find_channels(program->graph),
                                    masks::all_live(masks::find_channels(program->graph)));
  CHECK(difference(*program, program->graph, all, 1) == "");
  CHECK(difference(*program, other, all, 1).find("differs") != std::string::npos);
}

TEST_CASE("overlay: programs without masks, and those whose masks contradict their graph") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto overlay = choose(graph, 0.5, masks::WeightRank::kRandom);
  auto plain = compile(graph, "nano", 0, false);
  REQUIRE(plain.ok());
  const Status status = program::apply_overlay(*plain, bits_of(overlay, plain->graph));
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().text().find("does not say where its weights lie; compile with --maskable") !=
        std::string::npos);

  const auto program = compile(graph, "nano", 0);
  REQUIRE(program.ok());
  const ir::WeightMask bits = bits_of(overlay, program->graph);
  using Weights = program::Maskable::Weights;
  const auto complaint = [&](auto change) {
    program::Program wrong = *program;
    change(*wrong.maskable->layers[1].weights, wrong);
    const Status refused = program::apply_overlay(wrong, bits);
    return refused.ok() ? std::string() : refused.error().text();
  };
  const std::string wanted =
      "conv '" + program->layers[1].name + "': what is said of its weights contradicts them";
  CHECK(complaint([](Weights&, program::Program&) {}) == "");
  CHECK(complaint([](Weights& p, program::Program&) { p.taps = 8; }) == wanted);
  CHECK(complaint([](Weights& p, program::Program&) { p.k_blocks = 1; }) == wanted);
  CHECK(complaint([](Weights& p, program::Program&) { p.k_blocks += 1000; }) == wanted);
  CHECK(complaint([](Weights& p, program::Program& wrong) {
          p.weights = static_cast<std::uint32_t>(wrong.constants.size());
        }) == wanted);
  CHECK(complaint([](Weights& p, program::Program&) { p.weights = 0x7FFFFFC0; }) == wanted);
}

}  // namespace espalier::tests
