#include "compiler/dump.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

namespace espalier::compiler {
namespace {

class Text {
 public:
  template <typename... Values>
  void line(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
    text_ += '\n';
  }
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  std::string text_;
};

const std::string& tensor_name(const State& s, int tensor) {
  return at(s.graph.tensors, tensor).name;
}

std::string range(const Span& span) { return fmt::format("[{}, {})", span.low, span.high); }

std::string flags(std::initializer_list<std::pair<bool, const char*>> list) {
  std::string text;
  for (const auto& [set, name] : list) {
    if (set) text += std::string(" ") + name;
  }
  return text;
}

}  // namespace

std::string dump_graph(const State& s) {
  Text text;
  for (std::size_t n = 0; n < s.graph.nodes.size(); ++n) {
    const ir::QuantNode& node = s.graph.nodes[n];
    std::vector<std::string> inputs;
    for (const int input : node.inputs) inputs.push_back(tensor_name(s, input));
    const ir::Shape& shape = at(s.graph.tensors, node.output).shape;
    text.line("node {}: {} '{}': {} -> {} ({} x {} x {})", n, ir::op_name(node.op), node.name,
              fmt::join(inputs, ", "), tensor_name(s, node.output), shape.c, shape.h, shape.w);
  }
  return std::move(text).take();
}

std::string dump_nodes(const State& s) {
  Text text;
  for (std::size_t l = 0; l < s.nodes.size(); ++l) {
    const LayerNodes& nodes = s.nodes[l];
    text.line("layer {}: nodes {}: {} {}-> {}", l, fmt::join(nodes.nodes, ", "),
              tensor_name(s, nodes.input),
              nodes.operand < 0 ? "" : "with " + tensor_name(s, nodes.operand) + " ",
              tensor_name(s, nodes.output));
  }
  return std::move(text).take();
}

std::string dump_layout(const State& s) {
  Text text;
  for (std::size_t r = 0; r < s.layout.roots.size(); ++r) {
    const Root& root = s.layout.roots[r];
    text.line("root {}: {}: {} blocks x {} x {}, {} bytes at {}{}", r, tensor_name(s, root.tensor),
              root.blocks, root.h, root.w, bytes_of(root, s.config.lanes), root.offset,
              flags({{root.is_input, "input"}, {root.is_output, "output"}, {root.keep, "keep"}}));
  }
  for (std::size_t t = 0; t < s.layout.spots.size(); ++t) {
    const Spot& spot = s.layout.spots[t];
    if (spot.root < 0) continue;
    text.line("tensor {}: root {}, block {} of {}{}", tensor_name(s, static_cast<int>(t)),
              spot.root, spot.block, spot.channels.blocks,
              flags({{spot.strided(), "strided"}, {!spot.channels.canonical(), "gaps"}}));
  }
  for (const PoolWindow& window : s.windows)
    text.line("pool of layer {}: beside convolutions {} to {}", window.layer, window.from,
              window.to);
  return std::move(text).take();
}

std::string dump_input(const State& s) {
  Text text;
  const program::InputLayout& input = s.input;
  text.line("input: {} blocks x {} x {}, steps {} x {}", input.blocks, input.h, input.w,
            input.stride_y, input.stride_x);
  if (s.relayed >= 0)
    text.line("for layer {}: {} x {} taps in lanes", s.relayed, s.relay.fy, s.relay.fx);
  for (std::size_t lane = 0; lane < input.lanes.size(); ++lane) {
    const auto& source = input.lanes[lane];
    if (source.c < 0) continue;
    text.line("lane {}: channel {}, {} down, {} right", lane, source.c, source.dy, source.dx);
  }
  return std::move(text).take();
}

std::string dump_tiles(const State& s) {
  Text text;
  for (std::size_t l = 0; l < s.layers.size(); ++l) {
    const Layer& layer = s.layers[l];
    if (layer.is_pool()) {
      const PoolPlan& p = layer.pool_plan;
      text.line(
          "layer {}: pool '{}': tile {} x {} x {} blocks, {} slots of {} words from {}, {:.0f} "
          "cycles; {} choices",
          l, layer.name, p.rows, p.cols, p.blocks, p.slots, p.slot_words, p.base, p.cycles,
          at(s.choices, static_cast<int>(l)).pool.size());
      continue;
    }
    const ConvGeometry& g = layer.conv;
    const ConvPlan& p = layer.conv_plan;
    text.line(
        "layer {}: conv '{}': {} x {} taps, {} k blocks to {} n blocks; tile {} x {} x {}, "
        "chunk {} x {} x {}, {} slots of {} words{}, {:.0f} cycles; {} choices",
        l, layer.name, g.y.kernel, g.x.kernel, g.kb, g.nb, p.rows, p.cols, p.nb, p.tap_rows,
        p.tap_cols, p.kc, p.slots, p.slot_words,
        flags({{p.by_group, "by_group"},
               {p.hold, "hold"},
               {p.weights_stay, "weights_stay"},
               {p.tapwise, "tapwise"},
               {p.params_stay, "params_stay"}}),
        p.cycles, at(s.choices, static_cast<int>(l)).conv.size());
  }
  text.line("pools: {}{}; weights ahead: {} words, {} parameter blocks (0: all)",
            s.how.order.settle ? "a tile later" : "at once", s.how.order.spread ? ", spread" : "",
            s.how.room.weight_words, s.how.room.param_blocks);
  return std::move(text).take();
}

std::string dump_constants(const State& s) {
  Text text;
  for (std::size_t l = 0; l < s.layers.size(); ++l) {
    const ConstantPlaces& p = s.constants.places[l];
    if (s.layers[l].is_pool()) {
      text.line("layer {}: table of {} words at {}", l, p.table_words, p.table);
    } else {
      text.line("layer {}: weights at {} in {} units{}, parameters at {}", l, p.weights,
                p.units.size(), p.sparse ? " without tiles of zeros" : "", p.params);
    }
  }
  text.line("{} bytes", s.constants.bytes.size());
  return std::move(text).take();
}

std::string dump_order(const State& s) {
  Text text;
  for (std::size_t i = 0; i < s.schedule.order.size(); ++i) {
    const Need& place = s.schedule.order[i];
    const Step& step = at(at(s.schedule.by_layer, place.layer), place.step);
    text.line("step {}: layer {}, tile {}, group {}, chunk {}: rows {}, columns {}, blocks {}{}", i,
              step.layer, step.tile, step.group, step.chunk, range(step.rows), range(step.cols),
              range(step.blocks),
              flags({{step.load_weights, "loads_weights"},
                     {step.release_weights, "releases_weights"},
                     {step.first, "first"},
                     {step.last, "last"},
                     {step.stores, "stores"}}));
  }
  return std::move(text).take();
}

std::string dump_instructions(const State& s) {
  Text text;
  for (std::size_t i = 0; i < s.emitted.instructions.size(); ++i)
    text.line("{}: {}", i, isa::disassemble(s.emitted.instructions[i]));
  return std::move(text).take();
}

std::string dump_program(const State& s) {
  Text text;
  const program::Program& p = s.program;
  text.line(
      "{} for {}: {} layers, {} bytes of instructions, {} of constants, {} of activations, "
      "{} of input, {} of output{}",
      p.graph.name, p.config.name.view(), p.layers.size(), p.instructions.size(),
      p.constants.size(), p.activation_bytes, p.input_bytes, p.output_bytes,
      flags({{p.maskable.has_value(), "(takes masks)"}}));
  for (const program::Placement& place : p.placements)
    text.line("tensor {}: region {} at {}, whole after {} STOREs",
              at(p.graph.tensors, place.tensor).name, static_cast<int>(place.region), place.offset,
              place.stores);
  return std::move(text).take();
}

}  // namespace espalier::compiler
