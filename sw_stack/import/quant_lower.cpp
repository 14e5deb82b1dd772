#include "import/quant_lower.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/lowering.hpp"
#include "ir/verify.hpp"

namespace espalier::import_ {

Result<ir::QuantGraph> Lowering::run(const std::string& name) {
  graph_.name = name;
  graph_.host_ops = work_.host_ops;
  states_.resize(static_cast<std::size_t>(work_.tensors()));
  uses_.assign(static_cast<std::size_t>(work_.tensors()), 0);
  for (const WorkNode& node : work_.nodes()) {
    if (node.dead) continue;
    for (const int input : node.inputs) ++uses_[input];
  }
  ++uses_[work_.output];
  for (const WorkNode& node : work_.nodes()) {
    if (node.dead) continue;
    if (const Status status = lower(node); !status) return status.error();
  }
  if (const Status status = take_output(); !status) return status.error();
  if (const Status status = ir::verify(graph_); !status) return status.error();
  return std::move(graph_);
}

Status Lowering::lower(const WorkNode& node) {
  if (const auto* q = std::get_if<Quantise>(&node.op)) return quantise(node, *q);
  if (const auto* d = std::get_if<Dequantise>(&node.op)) return dequantise(node, *d);
  return state(node.inputs[0]).kind == State::kStored ? lower_stored(node) : lower_real(node);
}

Status Lowering::lower_real(const WorkNode& node) {
  const State& first = state(node.inputs[0]);
  State& out = state(node.output);
  if (std::holds_alternative<ir::FloatSoftmax>(node.op) && first.kind == State::kReal) {
    out.kind = State::kSoftmax;
    out.id = first.id;
    return {};
  }
  const auto* clamp = std::get_if<ir::FloatClamp>(&node.op);
  if (clamp != nullptr && first.kind == State::kPending && sole(node.inputs[0]) &&
      !std::holds_alternative<ir::FloatConcat>(first.maker->op)) {
    out = first;
    out.lo = std::clamp(clamp->lo, out.lo, out.hi);
    out.hi = std::clamp(clamp->hi, out.lo, out.hi);
    return {};
  }
  if (const auto* select = pending_select(node); select != nullptr) {
    out = first;
    out.maker = &node;
    out.source = select->source;
    return {};
  }
  State pending;
  pending.kind = State::kPending;
  pending.maker = &node;
  for (const int input : node.inputs) {
    const State& x = state(input);
    if (x.kind != State::kReal) return island(node, input, x);
    pending.inputs.push_back(x.id);
  }
  if (clamp != nullptr) {
    pending.lo = clamp->lo;
    pending.hi = clamp->hi;
  }
  out = std::move(pending);
  return {};
}

const Select* Lowering::pending_select(const WorkNode& node) const {
  const State& x = state(node.inputs[0]);
  if (!std::holds_alternative<Border>(node.op) || x.kind != State::kPending || x.clamped() ||
      !sole(node.inputs[0])) {
    return nullptr;
  }
  const auto* select = std::get_if<Select>(&x.maker->op);
  return select != nullptr && all_pixels(*select, x) ? select : nullptr;
}

bool Lowering::all_pixels(const Select& select, const State& x) const {
  const ir::Shape& shape = graph_.tensors[x.inputs[0]].shape;
  return select.rows.count == shape.h && select.columns.count == shape.w;
}

Diagnostic Lowering::island(const WorkNode& node, int tensor, const State& x) const {
  const std::string& name = work_.name(tensor);
  if (x.kind == State::kStored) {
    return work_error(node, ErrorCode::kUnsupported,
                      fmt::format("computes with '{}' as it is stored, without its scale", name));
  }
  return work_error(
      node, ErrorCode::kUnsupported,
      fmt::format("reads '{}', which {}: a float island in a quantised model is not supported",
                  name,
                  x.kind == State::kInput     ? "is the model's input in float"
                  : x.kind == State::kSoftmax ? "is a softmax"
                                              : "no QuantizeLinear stores"));
}

Status Lowering::lower_stored(const WorkNode& node) {
  const State first = state(node.inputs[0]);
  std::vector<int> inputs;
  for (const int input : node.inputs) {
    const State& x = state(input);
    if (x.kind != State::kStored || x.type != first.type) return island(node, input, x);
    inputs.push_back(x.id);
  }
  const ir::Quant y = quant(first.id);
  State made = first;
  if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op)) {
    const float shift = first.type == Stored::kUint8 ? -128.0F : 0.0F;
    const auto bound = [&](float value) {
      return static_cast<int>(std::clamp(std::nearbyint(value) + shift, -128.0F, 127.0F));
    };
    const auto id = clamp_stored(node, first, {bound(clamp->lo), bound(clamp->hi)});
    if (!id) return id.error();
    made.id = *id;
  } else if (const auto* pool = std::get_if<ir::FloatPool>(&node.op);
             pool != nullptr && pool->kind == ir::PoolKind::kMax) {
    ir::QuantPool op;
    op.window = pool->window;
    made.id = emit(node, node.output, std::move(inputs), y, op);
  } else if (std::holds_alternative<ir::FloatConcat>(node.op)) {
    made.id = emit(node, node.output, std::move(inputs), y, ir::QuantConcat{});
  } else {
    return island(node, node.inputs[0], first);
  }
  made.alone = sole(node.output);
  state(node.output) = made;
  return {};
}

Result<int> Lowering::store_input(const WorkNode& node, const ir::Quant& quant) {
  if (graph_.input < 0) {
    graph_.input = add_tensor(node.output, work_.shape(node.inputs[0]), quant);
  } else if (!(this->quant(graph_.input) == quant)) {
    return work_error(node, ErrorCode::kUnsupported, "stores the model's input in a second scale");
  }
  return graph_.input;
}

Result<int> Lowering::store_once(const WorkNode& node, const State& x, const ir::Quant& quant) {
  const int from = node.inputs[0];
  const auto again = std::ranges::find_if(stored_, [&](const auto& entry) {
    return entry.first == from && this->quant(entry.second) == quant;
  });
  if (again != stored_.end()) return again->second;
  const auto id = store(node, x, quant);
  if (id) stored_.emplace_back(from, *id);
  return id;
}

Status Lowering::quantise(const WorkNode& node, const Quantise& q) {
  const ir::Quant quant{q.scale, q.type == Stored::kUint8 ? q.zero - 128 : q.zero};
  const int from = node.inputs[0];
  const State& x = state(from);
  if (x.kind == State::kSoftmax) {  // the host has real numbers
    state(node.output) = x;
    return {};
  }
  if (x.kind == State::kStored)
    return work_error(node, ErrorCode::kUnsupported, "quantises what is quantised already");
  const bool same = x.kind == State::kReal && this->quant(x.id) == quant;
  const auto id = x.kind == State::kInput     ? store_input(node, quant)
                  : x.kind == State::kPending ? store_once(node, x, quant)
                  : same                      ? Result<int>(x.id)
                                              : rescale(node, x.id, quant, {});
  if (!id) return id.error();
  State made;
  made.kind = State::kStored;
  made.id = *id;
  made.type = q.type;
  made.alone = sole(node.output) && (same ? x.alone : x.kind == State::kReal || sole(from));
  state(node.output) = std::move(made);
  return {};
}

Status Lowering::dequantise(const WorkNode& node, const Dequantise& d) {
  State& x = state(node.inputs[0]);
  if (x.kind == State::kSoftmax) {
    state(node.output) = x;
    return {};
  }
  const bool raw = x.kind == State::kInput && node.inputs[0] == work_.input;
  if (!raw && x.kind != State::kStored) {
    return work_error(
        node, ErrorCode::kUnsupported,
        fmt::format("dequantises '{}', which is not quantised", work_.name(node.inputs[0])));
  }
  const Stored known = raw ? Stored::kUint8 : x.type;
  const Stored type = d.type == Stored::kUnknown ? known : d.type;
  const ir::Quant read{d.scale, type == Stored::kUint8 ? d.zero - 128 : d.zero};
  if (raw) {  // the model takes integers
    if (graph_.input < 0) graph_.input = add_tensor(work_.input, work_.shape(work_.input), read);
    x.kind = State::kStored;
    x.type = type;
    x.id = graph_.input;
  }
  const ir::Quant& stored = quant(x.id);
  if (type != x.type || !(stored == read)) {
    return work_error(
        node, ErrorCode::kUnsupported,
        fmt::format("reads with scale {} and zero point {} what is stored with {} and {}",
                    read.scale, read.zero, stored.scale, stored.zero));
  }
  State real;
  real.kind = State::kReal;
  real.id = x.id;
  real.alone = x.alone && sole(node.output);
  state(node.output) = std::move(real);
  return {};
}

Status Lowering::take_output() {
  const State& x = state(work_.output);
  if (x.kind == State::kPending || x.kind == State::kInput) {
    return fail(ErrorCode::kUnsupported,
                "no QuantizeLinear stores it: a float island in a quantised model is not supported",
                "output '" + work_.name(work_.output) + "'");
  }
  graph_.output = x.id;
  graph_.softmax = x.kind == State::kSoftmax;
  return {};
}

bool is_quantised(const WorkGraph& work) {
  return std::ranges::any_of(work.nodes(), [](const WorkNode& node) {
    return std::holds_alternative<Quantise>(node.op) || std::holds_alternative<Dequantise>(node.op);
  });
}

Result<ir::QuantGraph> lower_quantised(WorkGraph work, const StoredConstants& constants,
                                       const Producer& producer, const std::string& name) {
  work.fold_borders();
  return Lowering(work, constants, producer).run(name);
}

}  // namespace espalier::import_
