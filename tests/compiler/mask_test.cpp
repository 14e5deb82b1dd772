// Programs that take masks, in the functional simulator: against golden with the mask, against
// hard-pruned programs, and what PACK writes against hard-pruned weights.

#include "program/apply_mask.hpp"

#include <algorithm>
#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "isa/clip.hpp"
#include "isa/maps.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "mask_kinds.hpp"
#include "masks/prune.hpp"
#include "seed.hpp"
#include "timing/timing.hpp"
#include "base/integers.hpp"

namespace espalier::tests {
namespace {

const isa::Config& config(std::string_view name) { return *isa::find_config(name); }

Result<program::Program> compile(const ir::QuantGraph& graph, const isa::Config& machine,
                                 std::uint64_t vary = 0, bool refine = true) {
  compiler::Options options;
  options.refine = refine;  // takes most of the time
  options.vary = vary;
  options.maskable = true;
  options.relay_input = vary % 3 != 1;
  return compiler::compile(graph, machine, options);
}

/// Empty, or the first stored tensor that is not golden's. Every tensor that reaches the output is
/// compared.
std::string difference(const program::Program& program, const iss::Outputs& outputs,
                       const std::vector<golden::Tensor>& expected, const program::Masked* masked) {
  for (std::size_t i = 0; i < program.placements.size(); ++i) {
    const std::size_t tensor = index(program.placements[i].tensor);
    if (masked != nullptr && !masked->stored[tensor]) continue;
    if (outputs.stored[i] != expected[tensor])
      return "tensor " + program.graph.tensors[tensor].name + " differs";
  }
  return outputs.output == expected[index(program.graph.output)] ? "" : "the output differs";
}

/// Empty, or what is wrong with the order of a mask's PACK program.
std::string check_packs(const program::Program& program, const program::Masked& masked) {
  const auto list = program::decode_list(masked.packs);
  if (!list) return "packs: " + list.error().text();
  const auto clipped = isa::clip_all(*list, masked.table, program.machine());
  if (!clipped) return "clip of packs: " + clipped.error().text();
  const Status s = iss::check_hazards(program.machine(), *clipped);
  return s ? "" : "hazard of packs: " + s.error().text();
}

/// Runs a program without a mask, or with one. Empty, or what is wrong.
std::string check(const program::Program& program, const ir::ChannelMask& live,
                  std::uint64_t seed) {
  const isa::Config& machine = program.machine();
  std::optional<program::Masked> masked;
  if (!live.empty()) {
    auto made = program::apply_mask(program, live);
    if (!made) return "mask: " + made.error().text();
    masked = std::move(*made);
    if (std::string trouble = check_packs(program, *masked); !trouble.empty()) return trouble;
  }
  const std::vector<isa::Instruction> list = program::decode_all(program);
  const auto clipped = isa::clip_all(list, masked ? masked->table : program.constants, machine);
  if (!clipped) return "clip: " + clipped.error().text();
  if (const Status s = iss::check_hazards(machine, *clipped); !s)
    return "hazard: " + s.error().text();
  const auto image = random_image(program.graph, seed);
  iss::Options order;
  order.order_seed = seed % 2 == 0 ? 0 : seed;
  const program::Masked* mask = masked ? &*masked : nullptr;
  const auto outputs = iss::run(program, image, order, mask);
  if (!outputs) return "run: " + outputs.error().text();
  return difference(program, *outputs, golden::Runner(program.graph, live).run(image), mask);
}

}  // namespace

TEST_CASE("mask: without a mask random graphs give golden's tensors") {
  const std::uint64_t base = seed(1);
  for (int i = 0; i < compiled_rounds(60); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph graph = random_graph(s);
    for (const char* name : {"nano", "tiny", "edge", "wide"}) {
      INFO("seed " << s << ", " << name);
      const auto program = compile(graph, config(name), i % 2 == 0 ? 0 : s, i % 8 == 0);
      REQUIRE(program.ok());
      CHECK(check(*program, {}, s) == "");
    }
  }
}

TEST_CASE("mask: clipped by dense rows every instruction is as compiled") {
  const std::uint64_t base = seed(2);
  for (int i = 0; i < compiled_rounds(40); ++i) {
    const std::uint64_t s = base * 1000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const auto program = compile(random_graph(s), config("nano"), s);
    REQUIRE(program.ok());
    std::vector<isa::Instruction> list = program::decode_all(*program);
    const auto clipped = isa::clip_all(list, program->constants, program->machine());
    REQUIRE(clipped.ok());
    std::size_t words = 0;
    for (std::size_t n = 0; n < list.size(); ++n) {
      std::visit(
          [&words](auto& x) {
            if constexpr (requires { x.clip.reset(); }) {
              words += x.clip.has_value() ? 1 : 0;
              x.clip.reset();
            }
          },
          list[n]);
      REQUIRE(isa::disassemble((*clipped)[n]) == isa::disassemble(list[n]));
    }
    CHECK(words > 0);
  }
}

TEST_CASE("mask: random graphs give golden's tensors, whatever the mask and the tiles") {
  const std::uint64_t base = seed(3);
  int run = 0, refused = 0;
  for (int i = 0; i < compiled_rounds(150); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    const char* name = i % 5 == 0 ? "tiny" : i % 7 == 0 ? "edge" : "nano";
    INFO("seed " << s << ", " << name);
    const auto program = compile(random_graph(s), config(name), i % 3 == 0 ? 0 : s, i % 9 == 0);
    REQUIRE(program.ok());
    const masks::Channels channels = masks::find_channels(program->graph);
    const masks::Mask mask = random_kinds(channels, s);
    const std::string trouble = check(*program, masks::by_tensor(channels, mask), s);
    if (!masks::prune(program->graph, channels, mask)) {
      REQUIRE(trouble.find("needs a live input channel; the mask leaves none of tensor") !=
              std::string::npos);
      ++refused;
      continue;
    }
    REQUIRE(trouble == "");
    run += channels.groups.empty() ? 0 : 1;
  }
  CHECK(run > compiled_rounds(50));
  CHECK(refused > 3);
}

TEST_CASE("mask: one program takes any mask, and gives what each compiled in gives") {
  const std::uint64_t base = seed(4);
  int compared = 0;
  for (int i = 0; i < compiled_rounds(20); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    const ir::QuantGraph graph = random_graph(s);
    const auto program = compile(graph, config("nano"), s);
    REQUIRE(program.ok());
    const masks::Channels dense = masks::find_channels(graph);
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto image = random_image(graph, s);
    for (std::uint64_t m = 0; m < 4; ++m) {
      INFO("seed " << s << ", mask " << m);
      const masks::Mask mask = random_kinds(dense, s + m);
      const auto pruned = masks::prune(graph, dense, mask);
      if (!pruned) continue;
      const auto light = compiler::compile(pruned->graph, config("nano"));
      REQUIRE(light.ok());
      const auto wanted = iss::run(*light, image);
      REQUIRE(wanted.ok());
      // A mask goes by names of tensors, and so from the model's graph to the program's.
      const auto same =
          masks::from_file(masks::to_file(graph, dense, mask), program->graph, channels, "m");
      REQUIRE(same.ok());
      const auto masked = program::apply_mask(*program, masks::by_tensor(channels, *same));
      REQUIRE(masked.ok());
      const auto outputs = iss::run(*program, image, {}, &*masked);
      REQUIRE(outputs.ok());
      REQUIRE(outputs->output == wanted->output);
      ++compared;
    }
  }
  CHECK(compared > compiled_rounds(20));  // of four times as many
}

namespace {

/// Packed lanes of a tensor's live channels, in their order.
std::vector<std::size_t> packed_lanes(const program::Program& program,
                                      const program::Masked& masked, int tensor) {
  const std::size_t lanes = index(program.machine().lanes);
  const auto& spots = program.maskable->spots;
  const auto spot = std::ranges::find(spots, tensor, &program::Maskable::Spot::tensor);
  std::vector<std::size_t> list;
  std::size_t channel = 0, lane = 0;
  for (const int size : spot->segments) {
    for (int c = 0; c < size; ++c, ++channel) {
      if (masked.live[index(tensor)][channel]) list.push_back(lane++);
    }
    lane = (lane + lanes - 1) / lanes * lanes;
  }
  return list;
}

/// Byte of a weight in a packed image of `width` k blocks.
std::size_t place(const program::Maskable::Weights& w, std::size_t lanes, std::size_t width,
                  std::size_t row, std::size_t tap, std::size_t lane) {
  // Parts and n blocks lie where dense ones do.
  const std::size_t taps = index(w.part_taps());
  const std::size_t block = lanes * taps * index(w.k_blocks);
  std::size_t word = row / lanes * block + row % lanes * taps * width + lane / lanes;
  word += w.tapwise ? tap * index(w.n_blocks) * block : tap * width;
  return w.weights + word * lanes + lane % lanes;
}

}  // namespace

TEST_CASE("mask: PACK writes the weights and parameters of the hard-pruned graph") {
  const std::uint64_t base = seed(5);
  std::size_t compared = 0;
  for (int i = 0; i < compiled_rounds(40); ++i) {
    const std::uint64_t s = base * 100000 + static_cast<std::uint64_t>(i);
    INFO("seed " << s);
    const auto program = compile(random_graph(s), config("nano"), s);
    REQUIRE(program.ok());
    const std::size_t lanes = index(program->machine().lanes);
    const masks::Channels channels = masks::find_channels(program->graph);
    const masks::Mask mask = random_kinds(channels, s);
    const auto pruned = masks::prune(program->graph, channels, mask);
    if (!pruned) continue;
    const auto masked = program::apply_mask(*program, masks::by_tensor(channels, mask));
    REQUIRE(masked.ok());
    iss::Regions regions;
    regions[0] = program->constants;
    REQUIRE(iss::pack(*program, *masked, regions).ok());
    REQUIRE(check_packs(*program, *masked) == "");
    std::size_t packs = 0;
    for (std::size_t l = 0; l < program->layers.size(); ++l) {
      const auto& layer = program->maskable->layers[l];
      const auto counts = isa::decode_row(masked->table, l);
      REQUIRE(counts.ok());
      if (counts->dense != 0) continue;
      ++packs;
      if (layer.whole_input) continue;
      const program::Maskable::Weights& w = *layer.weights;
      const auto& names = program->layers[l].nodes;
      const ir::QuantNode* dense = nullptr;
      for (const int n : names) {
        const ir::QuantNode& node = program->graph.nodes[index(n)];
        if (std::holds_alternative<ir::QuantConv>(node.op)) dense = &node;
      }
      REQUIRE(dense != nullptr);
      const auto light = std::ranges::find(pruned->graph.nodes, dense->name, &ir::QuantNode::name);
      REQUIRE(light != pruned->graph.nodes.end());
      const auto& conv = std::get<ir::QuantConv>(light->op);
      const auto rows = packed_lanes(*program, *masked, layer.output);
      const auto columns = packed_lanes(*program, *masked, layer.input);
      REQUIRE(rows.size() == conv.bias.size());
      const std::size_t width = columns.back() / lanes + 1;
      const std::vector<std::uint8_t>& packed = regions[4];
      const std::int8_t* weight = conv.weights.data();
      for (const std::size_t row : rows) {
        for (std::size_t tap = 0; tap < index(w.taps); ++tap) {
          for (const std::size_t lane : columns) {
            const std::uint8_t byte = packed[place(w, lanes, width, row, tap, lane)];
            REQUIRE(static_cast<std::int8_t>(byte) == *weight++);
            ++compared;
          }
        }
      }
      for (std::size_t n = 0; n < rows.size(); ++n) {
        const auto at = packed.begin() + static_cast<std::ptrdiff_t>(w.params + rows[n] * 8);
        std::int32_t bias = 0;
        for (std::ptrdiff_t b = 3; b >= 0; --b) bias = bias << 8 | at[b];
        REQUIRE(bias == conv.bias[n]);
      }
    }
    REQUIRE(masked->pack_count() == packs);
  }
  CHECK(compared > 10000);
}

TEST_CASE("mask: a PACK program takes its words' cycles, and needs its dependencies") {
  const auto program = compile(resnet8(), config("edge"));
  REQUIRE(program.ok());
  const isa::Config& machine = program->machine();
  const masks::Channels channels = masks::find_channels(program->graph);
  const auto live =
      masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 3));
  const auto masked = program::apply_mask(*program, live);
  REQUIRE(masked.ok());
  const auto list = program::decode_list(masked->packs);
  REQUIRE(list.ok());
  std::int64_t beats = 0;
  int found = 0, loads = 0, squeezed = 0;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto* load = std::get_if<isa::Load>(&(*list)[i]);
    if (load == nullptr) continue;
    ++loads;
    if (static_cast<isa::LoadTarget>(load->target) == isa::LoadTarget::kSqueezer) {
      beats += std::int64_t{load->x_words} * load->y_count * load->z_count * machine.lanes /
               machine.bus_bytes;
      ++squeezed;
    }
    auto clipped = isa::clip_all(*list, masked->table, machine);
    REQUIRE(clipped.ok());
    REQUIRE(iss::check_hazards(machine, *clipped).ok());
    isa::set_dependencies((*clipped)[i], {});
    found += iss::check_hazards(machine, *clipped) ? 0 : 1;
  }
  // Words wait for maps, and a layer's first map for the STOREs before, but for the first layer's.
  const auto layers = static_cast<int>(masked->pack_count());
  CHECK(layers > 5);
  CHECK(loads == 3 * layers + squeezed);
  CHECK(found == squeezed + layers - 1);
  const auto cycles = timing::estimate_pack(*program, *masked);
  REQUIRE(cycles.ok());
  CHECK(*cycles > beats);
  CHECK(*cycles < beats * 3 / 2 + 20000);
  const auto slow = timing::estimate_pack(*program, *masked, {600, 400});
  REQUIRE(slow.ok());
  CHECK(*slow > *cycles);
}

TEST_CASE("mask: a wrong bit in a map shows") {
  const ir::QuantGraph graph = cifar_resnet(1);
  const auto program = compile(graph, config("tiny"));
  REQUIRE(program.ok());
  const masks::Channels channels = masks::find_channels(program->graph);
  const auto live =
      masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 3));
  auto masked = program::apply_mask(*program, live);
  REQUIRE(masked.ok());
  const auto image = random_image(program->graph, 3);
  const auto expected = golden::Runner(program->graph, live).run(image);
  const auto good = iss::run(*program, image, {}, &*masked);
  REQUIRE(good.ok());
  REQUIRE(difference(*program, *good, expected, &*masked) == "");
  // Another channel of the first map that is live and not the only one goes for one that is not.
  auto byte = masked->maps.begin();  // of the eight lanes of a block
  const auto between = [](std::uint8_t b) { return b != 0xFF && (b & (b - 1)) != 0; };
  while (byte != masked->maps.end() && !between(*byte)) byte += isa::kMapBytes;
  REQUIRE(byte != masked->maps.end());
  const auto low = static_cast<std::uint8_t>(*byte & -*byte);
  const auto dead = static_cast<std::uint8_t>(~*byte & (*byte + 1));
  *byte = static_cast<std::uint8_t>((*byte & ~low) | dead);
  const auto bad = iss::run(*program, image, {}, &*masked);
  REQUIRE(bad.ok());
  CHECK(difference(*program, *bad, expected, &*masked) != "");
}

TEST_CASE("mask: the rows of networks deeper than the layer table come while it runs") {
  for (const char* name : {"nano", "tiny", "edge", "zynq", "wide"}) {
    const isa::Config& machine = config(name);
    const int layers = name == std::string("nano") ? 150 : 2 * machine.mask_layers + 20;
    INFO(name << ", " << layers << " layers");
    auto program = compile(deep_graph(layers), machine, 0, name == std::string("nano"));
    REQUIRE(program.ok());
    REQUIRE(program->layers.size() > 2 * index(machine.mask_layers));
    const masks::Channels channels = masks::find_channels(program->graph);
    const auto live =
        masks::by_tensor(channels, masks::random_mask(channels, {0.5, masks::Scope::kAll, 1}, 3));
    CHECK(check(*program, {}, 1) == "");
    CHECK(check(*program, live, 2) == "");
    // A LOAD that nobody waits for in time is found.
    auto list = program::decode_all(*program);
    const auto late = std::ranges::find_if(list, [&](const isa::Instruction& x) {
      const auto* load = std::get_if<isa::Load>(&x);
      return load != nullptr &&
             static_cast<isa::LoadTarget>(load->target) == isa::LoadTarget::kLayerTable &&
             load->layer >= static_cast<std::uint32_t>(machine.mask_layers);
    });
    REQUIRE(late != list.end());
    auto& load = std::get<isa::Load>(*late);
    const auto refusal = [&] {
      program->instructions.clear();
      for (const isa::Instruction& x : list) isa::encode(x, program->instructions);
      const Status status = program::verify(*program);
      return status.ok() ? std::string() : status.error().text();
    };
    CHECK(refusal() == "");
    const std::string row = "the row of layer " + std::to_string(load.layer);
    ++load.layer;
    CHECK_THAT(refusal(), Catch::Matchers::Contains(row + " is not in the layer table"));
    --load.layer;
    load.offset += isa::kRowBytes;
    CHECK_THAT(refusal(), Catch::Matchers::Contains(row + " is not in the layer table"));
    list.erase(late);
    CHECK_THAT(refusal(), Catch::Matchers::Contains(row + " is not in the layer table"));
  }
}

TEST_CASE("mask: what programs and masks cannot do is refused by name") {
  const auto complaint = [](const program::Program& program, int tensor) {
    const masks::Channels channels = masks::find_channels(program.graph);
    masks::Mask mask = masks::all_live(channels);
    for (const int c : channels.of_tensor[index(tensor)]) mask.live[index(c)] = false;
    const auto masked = program::apply_mask(program, masks::by_tensor(channels, mask));
    return masked.ok() ? std::string() : masked.error().text();
  };
  GraphBuilder g(3);
  const int x = g.input(3, 8, 8);
  const int a = g.conv(x, 8, 3);
  const int b = g.conv(a, 8, 3);
  const ir::QuantGraph graph = g.finish(g.conv(b, 4, 1));
  const auto program = compile(graph, config("nano"));
  REQUIRE(program.ok());
  CHECK(complaint(*program, a) ==
        "conv 'n1': needs a live input channel; the mask leaves none of tensor 't1'");
  const auto plain = compiler::compile(graph, config("nano"));
  REQUIRE(plain.ok());
  CHECK(complaint(*plain, a) ==
        "program 'test': takes no masks; compile with --maskable, or the mask in with --prune");
  const auto small = compile(graph, config("pico"));
  REQUIRE_FALSE(small.ok());
  CHECK(small.error().text() == "test: configuration pico takes no masks");

  // Too many pixels for taps: the fully connected layer reads them as channels.
  GraphBuilder wide(4);
  const int in = wide.input(2, 16, 16);
  const int inner = wide.conv(in, 4, 1);
  ir::Window whole;
  whole.kh = whole.kw = 16;
  const auto flat = compile(wide.finish(wide.conv(inner, 3, whole)), config("nano"));
  REQUIRE(flat.ok());
  CHECK(check(*flat, {}, 1) == "");
  const masks::Channels channels = masks::find_channels(flat->graph);
  masks::Mask mask = masks::all_live(channels);
  mask.live[index(channels.of_tensor[index(inner)][1])] = false;
  const auto refused = program::apply_mask(*flat, masks::by_tensor(channels, mask));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text() ==
        "conv 'n1': reads all pixels of tensor 't1' as channels: a mask must keep them, or be "
        "compiled in (--prune)");

  GraphBuilder blocks(6);
  const auto many =
      compile(blocks.finish(blocks.conv(blocks.input(1200, 2, 2), 1200, 1)), config("nano"));
  REQUIRE_FALSE(many.ok());
  CHECK(many.error().text() ==
        "n0: 300 blocks of input and 300 of output channels; a program that takes masks has 256 "
        "of each");

  GraphBuilder large(5);
  ir::Window taps;
  taps.kh = taps.kw = 17;
  const auto refusal =
      compile(large.finish(large.conv(large.input(3, 40, 40), 4, taps)), config("nano"), 1);
  REQUIRE_FALSE(refusal.ok());
  CHECK(refusal.error().message == "a window of 289 taps; a program that takes masks has 255");
}

TEST_CASE("mask: program files with masks survive, and contradictions are refused by name") {
  const auto program = compile(cifar_resnet(1), config("nano"));
  REQUIRE(program.ok());
  const auto again = program::parse(program::serialise(*program), "p");
  REQUIRE(again.ok());
  CHECK(again->maskable == program->maskable);
  const auto complaint = [&](const auto& change) {
    program::Program other = *program;
    change(*other.maskable);
    const Status status = program::verify(other);
    return status.ok() ? std::string() : status.error().text();
  };
  using program::Maskable;
  CHECK(complaint([](Maskable&) {}) == "");
  CHECK(complaint([](Maskable& m) { m.spots[1].tensor = 9999; }) ==
        "masks: tensors: names tensor 9999");
  CHECK(complaint([](Maskable& m) { m.spots[1].tensor = m.spots[0].tensor; }) ==
        "masks: tensors: names a tensor twice");
  CHECK(complaint([](Maskable& m) { m.spots[1].segments = {0}; }) ==
        "masks: tensors: has an empty segment");
  CHECK(complaint([](Maskable& m) { m.spots[1].segments = {3}; }) ==
        "masks: tensors: segments have 3 channels");
  CHECK(complaint([](Maskable& m) { m.spots[1].root = -7; }) ==
        "masks: tensors: lies in tensor -7");
  CHECK(complaint([](Maskable& m) { m.spots[1].block = 1; }).find("lies ") != std::string::npos);
  CHECK(complaint([](Maskable& m) { m.layers.pop_back(); }).find("masks: layers: has ") == 0);
  CHECK(complaint([](Maskable& m) { m.layers[0].operand = 9999; }) ==
        "masks: layers: names a tensor that is not stored");
  const auto weights = [&](const auto& change) {
    return complaint([&](Maskable& m) { change(m.layers[0].weights); });
  };
  using Weights = std::optional<Maskable::Weights>;
  const std::string place = "masks: layer n0: ";
  CHECK(weights([](Weights& w) { w.reset(); }) ==
        place + "has weights and does not say where, or the other way round");
  CHECK(weights([](Weights& w) { w->taps = 256; }) ==
        place + "its weights have 256 taps, 7 and 4 blocks");
  CHECK(weights([](Weights& w) { ++w->n_blocks; }) ==
        place + "its weights have other blocks than its tensors");
  CHECK(weights([](Weights& w) { w->nb = 0; }).find("have groups of 0 blocks") !=
        std::string::npos);
  CHECK(weights([](Weights& w) { w->params = 0x7FFFFFF0; }).find("its weights lie at bytes ") !=
        std::string::npos);
  CHECK(weights([](Weights& w) { w->maps += 8; }).find("have their bit maps at byte ") !=
        std::string::npos);
}

TEST_CASE("mask: the networks give golden's tensors with masks of all scopes") {
  for (const auto& [name, graph] :
       {std::pair{"resnet8", resnet8()}, std::pair{"resnet50", resnet50(64)},
        std::pair{"inception_v3", inception_v3(139)}}) {
    const auto program = compile(graph, config("edge"));
    REQUIRE(program.ok());
    const masks::Channels channels = masks::find_channels(program->graph);
    for (const masks::Scope scope : {masks::Scope::kInternal, masks::Scope::kAll}) {
      for (const int align : {1, 16}) {
        INFO(name << ", align " << align);
        const masks::Mask mask = masks::random_mask(channels, {0.4, scope, align}, 9);
        CHECK(check(*program, masks::by_tensor(channels, mask), 2) == "");
      }
    }
  }
}

}  // namespace espalier::tests
