// Patches: their files, where their weights lie in a dense image, and what programs compute with
// them.

#include "masks/patch.hpp"

#include <algorithm>
#include <catch.hpp>
#include <random>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/run.hpp"
#include "mask_kinds.hpp"
#include "program/apply_mask.hpp"
#include "seed.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

Result<program::Program> compile(const ir::QuantGraph& graph, std::uint64_t vary) {
  compiler::Options options;
  options.vary = vary;
  options.maskable = true;
  options.relay_input = vary % 3 != 1;
  return compiler::compile(graph, *isa::find_config("nano"), options);
}

/// The graph with other weights, biases and multipliers in about two convolutions of three.
ir::QuantGraph changed(ir::QuantGraph graph, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (ir::QuantNode& node : graph.nodes) {
    auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr || random() % 3 == 0) continue;
    for (std::int8_t& w : conv->weights) w = static_cast<std::int8_t>(int(random() % 255) - 127);
    for (std::int32_t& b : conv->bias) b += int(random() % 200) - 100;
    for (float& s : conv->scale) s *= 1.0F + 0.25F * float(random() % 3);
  }
  return graph;
}

/// A user of a graph: a mask, and what is theirs.
struct User {
  masks::Channels channels;
  masks::Mask mask;
  masks::Pruned pruned;
  ir::QuantGraph own;  ///< pruned
  masks::Patch patch;
};

/// Nothing where the graph cannot have the mask.
std::optional<User> make_user(const ir::QuantGraph& graph, std::uint64_t seed) {
  User user;
  user.channels = masks::find_channels(graph);
  user.mask = random_kinds(user.channels, seed);
  auto pruned = masks::prune(graph, user.channels, user.mask);
  if (!pruned) return {};
  user.pruned = std::move(*pruned);
  user.own = changed(user.pruned.graph, seed);
  auto patch = masks::make_patch(graph, user.channels, user.mask, user.pruned, user.own);
  if (!patch) FAIL(patch.error().text());
  user.patch = std::move(*patch);
  return user;
}

/// The program's graph with the user's patch, by way of its file.
ir::QuantGraph with_patch(const User& user, const ir::QuantGraph& graph) {
  const auto read = masks::parse_patch(masks::serialise(user.patch), "u");
  if (!read) FAIL(read.error().text());
  const masks::Channels channels = masks::find_channels(graph);
  const auto mask =
      masks::from_file(masks::to_file(graph, channels, user.mask), graph, channels, "u");
  if (!mask) FAIL(mask.error().text());
  auto out = masks::patched(*read, graph, channels, *mask, "u");
  if (!out) FAIL(out.error().text());
  return std::move(*out);
}

}  // namespace

TEST_CASE("patch: a patched graph, pruned, is the user's own") {
  const std::uint64_t base = seed(3);
  int users = 0;
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const ir::QuantGraph graph = random_graph(s);
    const auto user = make_user(graph, s);
    if (!user) continue;
    ++users;
    const auto pruned = masks::prune(with_patch(*user, graph), user->channels, user->mask);
    REQUIRE(pruned.ok());
    CHECK(ir::serialise(pruned->graph) == ir::serialise(user->own));
    if (!user->patch.layers.empty())
      CHECK(ir::serialise(pruned->graph) != ir::serialise(user->pruned.graph));
  }
  CHECK(users > 20);
}

TEST_CASE("patch: its weights lie where the compiler puts them, whatever the tiles") {
  const std::uint64_t base = seed(4);
  int layers = 0;
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const auto program = compile(random_graph(s), s);
    REQUIRE(program.ok());
    const ir::QuantGraph own = changed(program->graph, s);
    for (std::size_t l = 0; l < program->layers.size(); ++l) {
      if (!program->maskable->layers[l].weights) continue;
      const int node = program::conv_node(*program, program->layers[l]);
      const auto image = [&](const ir::QuantGraph& graph) {
        auto parts =
            program::layer_image(*program, l, std::get<ir::QuantConv>(graph.nodes[index(node)].op));
        if (!parts) FAIL(parts.error().text());
        return std::move(*parts);
      };
      const auto before = image(program->graph), now = image(own);
      for (std::size_t part = 0; part < 2; ++part) {
        const auto from = program->constants.begin() + before[part].offset;
        CHECK(std::ranges::equal(before[part].bytes, std::span(from, before[part].bytes.size())));
      }
      const bool same = ir::serialise(own) == ir::serialise(program->graph);
      layers += !same && now[0].bytes != before[0].bytes ? 1 : 0;
    }
  }
  CHECK(layers > 50);
}

TEST_CASE("patch: programs give golden's tensors of the user's graph, and others' stay theirs") {
  const std::uint64_t base = seed(5);
  int users = 0;
  for (int i = 0; i < compiled_rounds(80); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const ir::QuantGraph graph = random_graph(s);
    const auto user = make_user(graph, s);
    const auto program = compile(graph, s);
    REQUIRE(program.ok());
    if (!user || user->patch.layers.empty()) continue;
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto mask = masks::from_file(masks::to_file(graph, user->channels, user->mask),
                                       program->graph, channels, "u");
    REQUIRE(mask.ok());
    const auto live = masks::by_tensor(channels, *mask);
    const ir::QuantGraph own = with_patch(*user, program->graph);
    const auto masked = program::apply_mask(*program, live, &own);
    if (!masked) continue;  // a tensor that a layer reads whole
    ++users;
    CHECK(masked->patch.size() <= 2 * user->patch.layers.size());
    const auto image = random_image(graph, s);
    const auto outputs = iss::run(*program, image, {}, &*masked);
    if (!outputs) FAIL(outputs.error().text());
    const auto expected = golden::Runner(own, live).run(image);
    for (std::size_t p = 0; p < program->placements.size(); ++p) {
      const std::size_t tensor = index(program->placements[p].tensor);
      if (!masked->stored[tensor]) continue;
      INFO(program->graph.tensors[tensor].name);
      CHECK(outputs->stored[p] == expected[tensor]);
    }
    // Packing leaves the dense image as it was.
    iss::Regions regions = iss::make_regions(*program, image);
    const auto before = regions[0];
    REQUIRE(iss::pack(*program, *masked, regions, {}).ok());
    CHECK(regions[0] == before);
    // Without the patch the packed weights are others.
    const auto plain = program::apply_mask(*program, live);
    REQUIRE(plain.ok());
    iss::Regions other = iss::make_regions(*program, image);
    REQUIRE(iss::pack(*program, *plain, other, {}).ok());
    CHECK((other[4] != regions[4] || masked->patch.empty()));
  }
  CHECK(users > 25);
}

TEST_CASE("patch: a file that is not right is refused by name") {
  const ir::QuantGraph graph = cifar_resnet(1);
  std::optional<User> user;
  for (std::uint64_t s = 1; !user || user->patch.layers.size() < 3; ++s) user = make_user(graph, s);
  const auto bytes = masks::serialise(user->patch);
  const auto complaint = [](std::span<const std::uint8_t> data) {
    const auto parsed = masks::parse_patch(data, "u");
    return parsed.ok() ? std::string() : parsed.error().text();
  };
  CHECK(complaint(bytes) == "");
  for (std::size_t size = 0; size < bytes.size(); size += 101) {
    INFO(size << " bytes");
    const std::string text = complaint(std::span(bytes).first(size));
    CHECK((size < 8 ? text == "u: no patch: it does not begin with `ESPPATCH`"
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

  const auto misfit = [&](auto change) {
    masks::Patch patch = user->patch;
    change(patch);
    const auto out = masks::patched(patch, graph, user->channels, user->mask, "u");
    return out.ok() ? std::string() : out.error().text();
  };
  CHECK(misfit([](auto&) {}) == "");
  CHECK(misfit([](auto& p) { p.fingerprint ^= 1; }).starts_with("u: is for another model: its"));
  CHECK(misfit([](auto& p) { p.mask ^= 1; }) == "u: is for another mask of this model");
  CHECK(misfit([](auto& p) { p.layers[1].name = "nothing"; }) ==
        "u: layer 'nothing': the model has no such convolution");
  CHECK(misfit([](auto& p) { p.layers.push_back(p.layers[0]); }).ends_with("': is there twice"));
  CHECK(misfit([](auto& p) { p.layers[0].bias.pop_back(); }).find("; the mask leaves ") !=
        std::string::npos);
  CHECK(misfit([](auto& p) { p.layers[0].weights += 1; }).find(" weights; the mask leaves ") !=
        std::string::npos);
  CHECK(misfit([](auto& p) {
          p.layers[0].scale[0] = 0;
        }).ends_with(" is 0; it must be positive and normal"));
}

}  // namespace espalier::tests
