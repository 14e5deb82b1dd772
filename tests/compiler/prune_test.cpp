// Channel classes, masks, and hard pruning against the golden model of the dense graph with the
// mask.

#include "masks/prune.hpp"

#include <algorithm>
#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "iss/run.hpp"
#include "mask_kinds.hpp"
#include "masks/choose.hpp"
#include "seed.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

/// The live channels of a dense tensor, one behind the other.
golden::Tensor live_part(const golden::Tensor& dense, const std::vector<bool>& live) {
  golden::Tensor out;
  const std::size_t pixels = dense.size() / live.size();
  for (std::size_t c = 0; c < live.size(); ++c) {
    if (!live[c]) continue;
    const auto from = dense.begin() + static_cast<std::ptrdiff_t>(c * pixels);
    out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(pixels));
  }
  return out;
}

/// Empty, or the first tensor of the pruned graph that is not the dense one's live part.
std::string difference(const ir::QuantGraph& graph, const ir::ChannelMask& mask,
                       const masks::Pruned& pruned, const std::vector<std::int8_t>& image) {
  const auto dense = golden::Runner(graph, mask).run(image);
  const auto light = golden::run(pruned.graph, image);
  for (std::size_t t = 0; t < light.size(); ++t) {
    const std::size_t from = index(pruned.origin[t]);
    if (light[t] != live_part(dense[from], mask[from]))
      return "tensor " + graph.tensors[from].name + " differs";
  }
  return {};
}

/// Whether a convolution has no live input channel. Of a group with live channels one tensor may
/// have none: a concatenation's parts are tied to several others.
bool starves(const ir::QuantGraph& graph, const masks::Channels& channels,
             const masks::Mask& mask) {
  return std::ranges::any_of(graph.nodes, [&](const ir::QuantNode& node) {
    return std::holds_alternative<ir::QuantConv>(node.op) &&
           std::ranges::none_of(channels.of_tensor[index(node.inputs[0])],
                                [&](int c) { return mask.live[index(c)]; });
  });
}

/// x -> a -> add(b(a), a) -> concat(c, d) -> pool -> e, and f -> output.
struct Branches {
  ir::QuantGraph graph;
  int a, b, sum, c, d, joined, pooled, e;
};
Branches branches() {
  GraphBuilder g(11);
  g.share_quants(1);
  const int x = g.input(3, 9, 9);
  Branches out{};
  out.a = g.conv(x, 12, 3);
  out.b = g.conv(out.a, 12, 3);
  out.sum = g.add(out.b, out.a);
  out.c = g.conv(out.sum, 7, 1);
  out.d = g.conv(out.sum, 10, 1);
  out.joined = g.concat({out.c, out.d});
  ir::Window w;
  w.kh = w.kw = 3;
  w.stride_h = w.stride_w = 2;
  out.pooled = g.pool(out.joined, ir::PoolKind::kMax, w);
  out.e = g.conv(out.pooled, 9, 3);
  out.graph = g.finish(g.conv(out.e, 5, 1));
  return out;
}

void set(const masks::Channels& channels, masks::Mask& mask, int tensor, std::size_t channel,
         bool live) {
  mask.live[index(channels.of_tensor[index(tensor)][channel])] = live;
}

}  // namespace

TEST_CASE("prune: random graphs give the dense graph's live channels, whatever the mask") {
  const std::uint64_t base = seed(1);
  int pruned_graphs = 0, refused = 0;
  for (int i = 0; i < rounds(300); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const ir::QuantGraph graph = random_graph(s);
    const masks::Channels channels = masks::find_channels(graph);
    const masks::Mask mask = random_kinds(channels, s);
    const auto pruned = masks::prune(graph, channels, mask);
    if (!pruned) {
      // Only a convolution without input may stop it.
      REQUIRE(starves(graph, channels, mask));
      REQUIRE(pruned.error().text().find("needs a live input channel") != std::string::npos);
      ++refused;
      continue;
    }
    const ir::ChannelMask tensors = masks::by_tensor(channels, mask);
    REQUIRE(difference(graph, tensors, *pruned, random_image(graph, s)) == "");
    const auto file = masks::to_file(graph, channels, mask);
    const auto again = masks::parse_mask(masks::to_text(file), "text");
    REQUIRE(again.ok());
    const auto same = masks::from_file(*again, graph, channels, "text");
    REQUIRE(same.ok());
    REQUIRE(same->live == mask.live);
    pruned_graphs += channels.groups.empty() ? 0 : 1;
  }
  CHECK(pruned_graphs > 100);
  CHECK(refused > 10);
}

TEST_CASE("prune: programs of pruned graphs give golden's outputs with the mask") {
  const std::uint64_t base = seed(2);
  int compared = 0;
  for (int i = 0; i < compiled_rounds(30); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph graph = random_graph(s);
    const masks::Channels channels = masks::find_channels(graph);
    const masks::Mask mask = random_kinds(channels, s);
    const auto pruned = masks::prune(graph, channels, mask);
    if (!pruned) continue;
    const auto image = random_image(graph, s);
    const auto expected =
        golden::Runner(graph, masks::by_tensor(channels, mask)).run(image)[index(graph.output)];
    for (const char* name : {"nano", "edge"}) {
      INFO("seed " << s << ", " << name);
      const auto program = compiler::compile(pruned->graph, *isa::find_config(name));
      REQUIRE(program.ok());
      const auto outputs = iss::run(*program, image);
      REQUIRE(outputs.ok());
      REQUIRE(outputs->output == expected);
      ++compared;
    }
  }
  CHECK(2 * compared > compiled_rounds(30));  // of twice as many
}

TEST_CASE("prune: the comparison sees a channel that is there and should not be") {
  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  masks::Mask mask = masks::all_live(channels);
  set(channels, mask, net.e, 4, false);
  const auto pruned = masks::prune(net.graph, channels, mask);
  REQUIRE(pruned.ok());
  const auto image = random_image(net.graph, 1);
  CHECK(difference(net.graph, masks::by_tensor(channels, mask), *pruned, image) == "");
  // The same channels, but another one's are absent in golden.
  masks::Mask other = masks::all_live(channels);
  set(channels, other, net.e, 5, false);
  CHECK(difference(net.graph, masks::by_tensor(channels, other), *pruned, image) != "");
}

TEST_CASE("prune: finds groups, and ties what residual adds join") {
  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  const auto classes = [&](int tensor) { return channels.of_tensor[index(tensor)]; };
  CHECK(classes(net.a) == classes(net.b));
  CHECK(classes(net.sum) == classes(net.b));
  CHECK(classes(net.joined) == classes(net.pooled));
  std::vector<int> parts = classes(net.c);
  const std::vector<int> second = classes(net.d);
  parts.insert(parts.end(), second.begin(), second.end());
  CHECK(classes(net.joined) == parts);
  REQUIRE(channels.groups.size() == 4);  // a with b, c, d, e; not the input, not the output
  CHECK(channels.groups[0].residual);
  CHECK(channels.groups[0].tensors == std::vector<int>{net.a, net.b});
  for (std::size_t g = 1; g < 4; ++g) CHECK_FALSE(channels.groups[g].residual);
  CHECK_FALSE(channels.groups[0].joined);
  CHECK(channels.groups[1].joined);
  CHECK(channels.groups[2].joined);
  CHECK_FALSE(channels.groups[3].joined);
}

TEST_CASE("prune: a concatenation may lose a branch, a convolution not its input") {
  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  masks::Mask mask = masks::all_live(channels);
  for (std::size_t c = 0; c < 7; ++c) set(channels, mask, net.c, c, false);
  const auto image = random_image(net.graph, 2);
  const auto pruned = masks::prune(net.graph, channels, mask);
  REQUIRE(pruned.ok());
  CHECK(pruned->graph.nodes.size() == net.graph.nodes.size() - 2);  // c and the concatenation
  CHECK(difference(net.graph, masks::by_tensor(channels, mask), *pruned, image) == "");
  for (std::size_t c = 0; c < 10; ++c) set(channels, mask, net.d, c, false);
  const auto refused = masks::prune(net.graph, channels, mask);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kRange);
  CHECK(refused.error().text() ==
        "conv 'n7': needs a live input channel; the mask leaves none of tensor 't7'");
}

TEST_CASE("prune: a mask is for one model, whether its graph has the compiler's copies or not") {
  int with_copies = 0;
  for (std::uint64_t s = 0; s < 40; ++s) {
    const ir::QuantGraph graph = random_graph(s);
    const auto program = compiler::compile(graph, *isa::find_config("nano"), {.refine = false});
    REQUIRE(program.ok());
    with_copies += program->graph.nodes.size() > graph.nodes.size() ? 1 : 0;
    INFO("seed " << s);
    REQUIRE(masks::fingerprint(program->graph) == masks::fingerprint(graph));
    const masks::Channels channels = masks::find_channels(program->graph);
    const masks::Mask mask = random_kinds(channels, s);
    const masks::MaskFile file = masks::to_file(program->graph, channels, mask);
    const auto other = masks::from_file(file, graph, masks::find_channels(graph), "m");
    REQUIRE(other.ok());
    REQUIRE(other->live == mask.live);
  }
  CHECK(with_copies > 5);

  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  const masks::MaskFile file = masks::to_file(net.graph, channels, masks::all_live(channels));
  ir::QuantGraph changed = net.graph;
  ++std::get<ir::QuantConv>(changed.nodes[0].op).weights[0];
  const auto refused = masks::from_file(file, changed, masks::find_channels(changed), "m");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kMismatch);
  CHECK(refused.error().text().starts_with("m: is for another model"));
}

TEST_CASE("prune: mask files that contradict the model are refused by name") {
  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  const auto complaint = [&](const std::vector<masks::MaskFile::Entry>& entries) {
    const masks::MaskFile file{"", masks::fingerprint(net.graph), entries};
    const auto mask = masks::from_file(file, net.graph, channels, "m");
    return mask.ok() ? std::string() : mask.error().text();
  };
  const auto name = [&](int tensor) { return net.graph.tensors[index(tensor)].name; };
  std::vector<bool> all(12, true), one(12, true);
  one[3] = false;
  CHECK(complaint({{name(net.a), "", one}, {name(net.sum), "", one}}) == "");
  CHECK(complaint({{name(net.a), "", one}, {name(net.b), "", all}}) ==
        "m: tensor 't2': channel 3 stays; tensor 't1', with which it is added, says otherwise");
  CHECK(complaint({{name(net.a), "", std::vector<bool>(11, true)}}) ==
        "m: tensor 't1': has 11 channels; the model's has 12");
  CHECK(complaint({{"nowhere", "", one}}) == "m: tensor 'nowhere': the model has no such tensor");
  CHECK(complaint({{name(net.graph.output), "", {true, false, true, true, true}}}) ==
        "m: tensor 't9': channel 1 is the network's input or output, and is masked; these must "
        "stay");
}

TEST_CASE("prune: malformed mask files are refused by name") {
  const Branches net = branches();
  const masks::Channels channels = masks::find_channels(net.graph);
  const std::string good =
      masks::to_text(masks::to_file(net.graph, channels, masks::random_mask(channels, {}, 1)));
  REQUIRE(masks::parse_mask(good, "m").ok());
  const auto complaint = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const auto mask = masks::parse_mask(text, "m");
    return mask.ok() ? std::string() : mask.error().text();
  };
  CHECK(complaint("{", "<") == "m: is no JSON");
  CHECK(complaint("espalier mask", "png") == "m: no mask: `format` is not `espalier mask`");
  CHECK(complaint("\"version\": 1", "\"version\": 9") == "m: format version 9; this build reads 1");
  CHECK(complaint("\"live\": 12", "\"live\": 11") ==
        "m: entry 0: `live` is 11; `mask` leaves 12 channels");
  CHECK(complaint("\"mask\": \"fff\"", "\"mask\": \"ffff\"") ==
        "m: entry 0: `mask` has 4 digits; 12 channels need 3");
  CHECK(complaint("\"mask\": \"fff\"", "\"mask\": \"ffG\"") ==
        "m: entry 0: `mask` has `G`; digits are 0-9 and a-f");
  CHECK(complaint("\"channels\": 12", "\"channels\": 11") ==
        "m: entry 0: `mask` says something of channel 11; there are 11");
  CHECK(complaint("\"tensor\"", "\"tensr\"") == "m: entry 0: `tensor` is missing");
  CHECK(complaint("\"fingerprint\": \"", "\"fingerprint\": \"zz") ==
        "m: model: `fingerprint` must have 16 digits of 0-9 and a-f");
  for (std::size_t cut = 0; cut + 2 < good.size(); cut += 7)
    CHECK_FALSE(masks::parse_mask(good.substr(0, cut), "m").ok());
}

TEST_CASE("prune: random masks keep their share of every tensor, in whole blocks") {
  const ir::QuantGraph graph = resnet50(32);
  const masks::Channels channels = masks::find_channels(graph);
  const auto live = [&](const masks::Group& group, const masks::Mask& mask) {
    return static_cast<std::size_t>(
        std::ranges::count_if(group.classes, [&](int c) -> bool { return mask.live[index(c)]; }));
  };
  for (const double keep : {0.01, 0.3, 0.7, 1.0}) {
    const masks::Mask inside = masks::random_mask(channels, {keep, masks::Scope::kInternal, 16}, 5);
    const masks::Mask all = masks::random_mask(channels, {keep, masks::Scope::kAll, 1}, 5);
    for (const masks::Group& group : channels.groups) {
      const std::size_t size = group.classes.size();
      const auto exact = static_cast<std::size_t>(std::llround(keep * static_cast<double>(size)));
      CHECK(live(group, all) == std::max<std::size_t>(1, exact));
      const std::size_t blocks = std::max<std::size_t>(16, (exact + 15) / 16 * 16);
      CHECK(live(group, inside) == (group.residual ? size : std::min(size, blocks)));
    }
    CHECK(masks::random_mask(channels, {keep, masks::Scope::kAll, 1}, 5).live == all.live);
  }
  CHECK(masks::random_mask(channels, {}, 5).live != masks::random_mask(channels, {}, 6).live);
}

TEST_CASE("prune: internal channels stay inside a block, in no add and no concatenation") {
  const ir::QuantGraph graph = inception_v3(139);
  const masks::Channels channels = masks::find_channels(graph);
  const masks::Mask mask = masks::random_mask(channels, {0.5, masks::Scope::kInternal, 1}, 1);
  bool some = false;
  for (const ir::QuantNode& node : graph.nodes) {
    for (const int c : channels.of_tensor[index(node.output)]) {
      if (std::holds_alternative<ir::QuantConcat>(node.op)) {
        REQUIRE(mask.live[index(c)]);
      } else {
        some = some || !mask.live[index(c)];
      }
    }
  }
  CHECK(some);
}

TEST_CASE("prune: magnitude masks keep the heaviest channels of all tensors") {
  GraphBuilder g(5);
  const int x = g.input(2, 4, 4);
  const int a = g.conv(x, 8, 1);
  const int b = g.conv(a, 8, 1);
  ir::QuantGraph graph = g.finish(g.conv(b, 3, 1));
  // Channel n of a has weights n, those of b all 10 but for the last two, which are light.
  auto& first = std::get<ir::QuantConv>(graph.nodes[0].op);
  auto& second = std::get<ir::QuantConv>(graph.nodes[1].op);
  for (std::size_t i = 0; i < first.weights.size(); ++i)
    first.weights[i] = static_cast<std::int8_t>(i / 2);
  for (std::size_t i = 0; i < second.weights.size(); ++i)
    second.weights[i] = i / 8 < 6 ? std::int8_t{10} : std::int8_t{1};
  std::ranges::fill(first.scale, 0.01F);
  std::ranges::fill(second.scale, 0.02F);
  const masks::Channels channels = masks::find_channels(graph);
  const auto tensors = [&](double keep, int align) {
    return masks::by_tensor(
        channels, masks::magnitude_mask(graph, channels, {keep, masks::Scope::kAll, align}));
  };
  const auto heavy = tensors(0.625, 1);  // 10 of 16: six of b, and the four heaviest of a
  CHECK(heavy[index(a)] == std::vector<bool>{false, false, false, false, true, true, true, true});
  CHECK(heavy[index(b)] == std::vector<bool>{true, true, true, true, true, true, false, false});
  const auto least = tensors(0.01, 1);  // one of each
  CHECK(std::ranges::count(least[index(a)], true) == 1);
  CHECK(least[index(a)][7]);
  CHECK(std::ranges::count(least[index(b)], true) == 1);
  const auto blocks = tensors(0.5, 4);  // two blocks of four: one of each always stays
  CHECK(std::ranges::count(blocks[index(a)], true) == 4);
  CHECK(std::ranges::count(blocks[index(b)], true) == 4);
}

TEST_CASE("prune: channels that the model has zeroed are found") {
  Branches net = branches();
  const auto zero = [&](int tensor, std::size_t channel) {
    for (ir::QuantNode& node : net.graph.nodes) {
      auto* conv = std::get_if<ir::QuantConv>(&node.op);
      if (conv == nullptr || node.output != tensor) continue;
      const std::size_t depth = conv->weights.size() / conv->bias.size();
      std::fill_n(conv->weights.begin() + static_cast<std::ptrdiff_t>(channel * depth), depth,
                  std::int8_t{0});
      conv->bias[channel] = 0;
      conv->lo = -128;
    }
  };
  zero(net.e, 2);
  zero(net.c, 0);
  zero(net.a, 5);
  zero(net.b, 5);
  zero(net.a, 6);  // b's channel 6 has weights, and they are added: it stays
  const masks::Channels channels = masks::find_channels(net.graph);
  const auto tensors = masks::by_tensor(channels, masks::zeroed_mask(net.graph, channels));
  for (std::size_t c = 0; c < 12; ++c) CHECK(tensors[index(net.a)][c] == (c != 5));
  for (std::size_t c = 0; c < 9; ++c) CHECK(tensors[index(net.e)][c] == (c != 2));
  for (std::size_t c = 0; c < 17; ++c) CHECK(tensors[index(net.joined)][c] == (c != 0));
}

}  // namespace espalier::tests
