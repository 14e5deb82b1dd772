// The integer operators that a lowering emits.

#include <fmt/format.h>

#include <algorithm>

#include "import/lowering.hpp"
#include "import/quant_layers.hpp"
#include "ir/numerics.hpp"

namespace espalier::import_ {
namespace {

template <typename Op, typename Clamp>
Op clamped(Op op, Clamp clamp) {
  op.lo = clamp.lo;
  op.hi = clamp.hi;
  return op;
}

Diagnostic too_steep(const WorkNode& node, double ratio) {
  return work_error(node, ErrorCode::kRange,
                    fmt::format("scales its operand by {}; the limit is 512", ratio));
}

}  // namespace

Result<int> Lowering::store(const WorkNode& node, const State& x, const ir::Quant& y) {
  const WorkNode& maker = *x.maker;
  const Clamp clamp{ir::stored(x.lo, y, producer_.bounds), ir::stored(x.hi, y, producer_.bounds)};
  const int to = node.output;
  if (const auto* conv = std::get_if<ir::FloatConv>(&maker.op))
    return store_dense(*conv, x, to, y, clamp);
  if (std::holds_alternative<ir::FloatAdd>(maker.op)) return store_sum(x, to, y, clamp);
  if (const auto* pool = std::get_if<ir::FloatPool>(&maker.op))
    return store_pool(node, *pool, x, y, clamp);
  if (std::holds_alternative<ir::FloatConcat>(maker.op)) return store_concat(x, to, y);
  if (std::holds_alternative<ir::FloatClamp>(maker.op)) {
    return quant(x.inputs[0]) == y ? clamp_stored(node, state(maker.inputs[0]), clamp)
                                   : rescale(node, x.inputs[0], y, clamp);
  }
  if (const auto* affine = std::get_if<Affine>(&maker.op)) {
    auto op = quantised_affine(maker, *affine, quant(x.inputs[0]), y);
    if (!op) return op.error();
    return emit(maker, to, x.inputs, y, clamped(std::move(*op), clamp));
  }
  if (const auto* border = std::get_if<Border>(&maker.op))
    return store_border(*border, x, to, y, clamp);
  if (const auto* select = std::get_if<Select>(&maker.op);
      select != nullptr && all_pixels(*select, x)) {
    return copy(maker, x.inputs[0], select->source, {}, to, y, clamp);
  }
  return work_error(maker, ErrorCode::kUnsupported, "is not supported on quantised activations");
}

Result<int> Lowering::store_dense(const ir::FloatConv& conv, const State& x, int to,
                                  const ir::Quant& y, Clamp clamp) {
  const auto stored = constants_.find(x.maker->output);
  auto op = quantised_dense(*x.maker, conv, stored == constants_.end() ? nullptr : &stored->second,
                            quant(x.inputs[0]), y);
  if (!op) return op.error();
  return emit(*x.maker, to, x.inputs, y, clamped(std::move(*op), clamp));
}

Result<int> Lowering::store_sum(const State& x, int to, const ir::Quant& y, Clamp clamp) {
  const double ratio[2] = {static_cast<double>(quant(x.inputs[0]).scale) / y.scale,
                           static_cast<double>(quant(x.inputs[1]).scale) / y.scale};
  const auto m = ir::add_multipliers(ratio[0], ratio[1]);
  if (!m) return too_steep(*x.maker, std::max(ratio[0], ratio[1]));
  return emit(*x.maker, to, x.inputs, y, ir::QuantAdd{m->ma, m->mb, m->shift, clamp.lo, clamp.hi});
}

Result<int> Lowering::store_pool(const WorkNode& node, const ir::FloatPool& pool, const State& x,
                                 const ir::Quant& y, Clamp clamp) {
  ir::QuantPool op;
  op.kind = pool.kind;
  op.window = pool.window;
  op.count_include_pad = pool.count_include_pad;
  const ir::Quant own = quant(x.inputs[0]);
  if (op.kind == ir::PoolKind::kAverage || own == y)
    return emit(*x.maker, node.output, x.inputs, y, clamped(op, clamp));
  return rescale(node, emit(*x.maker, x.maker->output, x.inputs, own, op), y, clamp);
}

Result<int> Lowering::store_concat(const State& x, int to, const ir::Quant& y) {
  std::vector<int> parts;
  for (const int input : x.inputs) {
    const auto part = quant(input) == y ? Result<int>(input) : rescale(*x.maker, input, y, {});
    if (!part) return part.error();
    parts.push_back(*part);
  }
  return emit(*x.maker, to, std::move(parts), y, ir::QuantConcat{});
}

Result<int> Lowering::store_border(const Border& border, const State& x, int to, const ir::Quant& y,
                                   Clamp clamp) {
  if (border.value != 0) {
    return work_error(
        *x.maker, ErrorCode::kUnsupported,
        fmt::format("pads a quantised activation with {}; 0 is supported", border.value));
  }
  return copy(*x.maker, x.inputs[0], x.source, border, to, y, clamp);
}

Result<int> Lowering::clamp_stored(const WorkNode& node, const State& x, Clamp clamp) {
  const auto narrow = [clamp](auto& op) {
    if constexpr (requires { op.lo; }) {
      op.lo = std::clamp(clamp.lo, op.lo, op.hi);
      op.hi = std::clamp(clamp.hi, op.lo, op.hi);
      return true;
    } else {
      return false;
    }
  };
  const auto maker = std::ranges::find(graph_.nodes, x.id, &ir::QuantNode::output);
  if (!x.alone || maker == graph_.nodes.end() || !std::visit(narrow, maker->op))
    return rescale(node, x.id, quant(x.id), clamp);
  graph_.tensors[x.id].name = tensor_names_.take(work_.name(node.output), "tensor");
  return x.id;
}

Result<int> Lowering::rescale(const WorkNode& node, int from, const ir::Quant& y, Clamp clamp) {
  if (producer_.move == Producer::Move::kConvolution)
    return copy(node, from, {}, {}, node.output, y, clamp);
  const double ratio = static_cast<double>(quant(from).scale) / y.scale;
  const auto m = ir::add_multipliers(ratio, 0);
  if (!m) return too_steep(node, ratio);
  return emit(node, node.output, {from}, y, ir::QuantAdd{m->ma, 0, m->shift, clamp.lo, clamp.hi});
}

Result<int> Lowering::copy(const WorkNode& node, int from, const std::vector<int>& source,
                           const Border& border, int to, const ir::Quant& y, Clamp clamp) {
  const int channels = graph_.tensors[from].shape.c;
  auto op =
      quantised_copy(node, source.empty() ? every_channel(channels) : source, channels, border);
  if (!op) return op.error();
  op->scale.assign(op->scale.size(), quant(from).scale / y.scale);
  return emit(node, to, {from}, y, clamped(std::move(*op), clamp));
}

int Lowering::emit(const WorkNode& node, int to, std::vector<int> inputs, const ir::Quant& quant,
                   ir::QuantOp op) {
  const bool joins = std::holds_alternative<ir::QuantConcat>(op);
  const bool step = !joins && std::holds_alternative<ir::FloatConcat>(node.op);
  const ir::Shape shape = step ? graph_.tensors[inputs[0]].shape : work_.shape(to);
  const int id = add_tensor(to, shape, quant);
  graph_.nodes.push_back(
      {node_names_.take(node.name, "node"), std::move(inputs), id, std::move(op)});
  return id;
}

int Lowering::add_tensor(int tensor, const ir::Shape& shape, const ir::Quant& quant) {
  graph_.tensors.push_back({tensor_names_.take(work_.name(tensor), "tensor"), shape, quant});
  return static_cast<int>(graph_.tensors.size()) - 1;
}

}  // namespace espalier::import_
