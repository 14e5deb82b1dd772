// From a work graph with Quantise and Dequantise nodes to a QuantGraph: float operators between
// them become the integer ones that have the same scales.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "import/onnx/quant_layers.hpp"
#include "import/onnx/quant_nodes.hpp"
#include "ir/numerics.hpp"

namespace espalier::import_ {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What a tensor of the work graph is.
struct State {
  enum Kind {
    kInput,    ///< the model's input in float
    kStored,   ///< int8 in the graph
    kReal,     ///< the real numbers that a stored tensor stands for
    kPending,  ///< made by a float operator, not stored yet
    kSoftmax,  ///< softmax of a stored tensor, for the host
  } kind = kInput;
  int id = -1;                      ///< tensor of the graph
  Stored type = Stored::kInt8;      ///< of kStored
  const WorkNode* maker = nullptr;  ///< of kPending
  std::vector<int> inputs;          ///< of kPending: tensors of the graph
  float lo = -kInfinity, hi = kInfinity;
};

struct Clamp {
  int lo = -128, hi = 127;
};

class Lowering {
 public:
  explicit Lowering(const Context& context) : context_(context), work_(context.work) {}

  Result<ir::QuantGraph> run(const std::string& name) {
    graph_.name = name;
    graph_.host_ops = work_.host_ops;
    states_.resize(static_cast<std::size_t>(work_.tensors()));
    uses_.assign(static_cast<std::size_t>(work_.tensors()), 0);
    for (const WorkNode& node : work_.nodes()) {
      for (const int input : node.inputs) ++uses_[input];
    }
    ++uses_[work_.output];
    state(work_.input)->kind = State::kInput;
    for (const WorkNode& node : work_.nodes()) {
      if (const Status status = lower(node); !status) return status.error();
    }
    if (const Status status = take_output(); !status) return status.error();
    if (const Status status = ir::verify(graph_); !status) return status.error();
    return std::move(graph_);
  }

 private:
  std::optional<State>& state(int tensor) {
    auto& found = states_[static_cast<std::size_t>(tensor)];
    if (!found) found.emplace();
    return found;
  }

  Status lower(const WorkNode& node) {
    if (const auto* q = std::get_if<Quantise>(&node.op)) return quantise(node, *q);
    if (const auto* d = std::get_if<Dequantise>(&node.op)) return dequantise(node, *d);
    const State& first = *state(node.inputs[0]);
    if (first.kind == State::kStored) return on_stored(node);
    if (std::holds_alternative<ir::FloatSoftmax>(node.op) && first.kind == State::kReal) {
      state(node.output)->kind = State::kSoftmax;
      state(node.output)->id = first.id;
      return {};
    }
    if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op);
        clamp != nullptr && first.kind == State::kPending && uses_[node.inputs[0]] == 1 &&
        !std::holds_alternative<ir::FloatConcat>(first.maker->op)) {
      State& out = *state(node.output);
      out = first;
      out.lo = std::clamp(clamp->lo, out.lo, out.hi);
      out.hi = std::clamp(clamp->hi, out.lo, out.hi);
      return {};
    }
    State pending;
    pending.kind = State::kPending;
    pending.maker = &node;
    for (const int input : node.inputs) {
      const State& x = *state(input);
      if (x.kind != State::kReal) return island(node, input, x);
      pending.inputs.push_back(x.id);
    }
    if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op)) {
      pending.lo = clamp->lo;
      pending.hi = clamp->hi;
    }
    *state(node.output) = std::move(pending);
    return {};
  }

  [[nodiscard]] Diagnostic island(const WorkNode& node, int tensor, const State& x) const {
    if (x.kind == State::kStored) {
      return work_error(
          node, ErrorCode::kUnsupported,
          fmt::format("computes with '{}' as it is stored, without its scale", work_.name(tensor)));
    }
    return work_error(
        node, ErrorCode::kUnsupported,
        fmt::format("reads '{}', which {}: a float island in a quantised model is not supported",
                    work_.name(tensor),
                    x.kind == State::kInput     ? "is the model's input in float"
                    : x.kind == State::kSoftmax ? "is a softmax"
                                                : "no QuantizeLinear stores"));
  }

  /// Operators that mean the same on stored integers as on real numbers.
  Status on_stored(const WorkNode& node) {
    const State first = *state(node.inputs[0]);
    std::vector<int> inputs;
    for (const int input : node.inputs) {
      const State& x = *state(input);
      if (x.kind != State::kStored || x.type != first.type) return island(node, input, x);
      inputs.push_back(x.id);
    }
    const ir::Quant quant = graph_.tensors[first.id].quant;
    State made = first;
    if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op)) {
      const float shift = first.type == Stored::kUint8 ? -128.0F : 0.0F;
      const auto bound = [&](float value) {
        return static_cast<int>(std::clamp(std::nearbyint(value) + shift, -128.0F, 127.0F));
      };
      made.id = clamp_stored(node, first.id, {bound(clamp->lo), bound(clamp->hi)});
    } else if (const auto* pool = std::get_if<ir::FloatPool>(&node.op);
               pool != nullptr && pool->kind == ir::PoolKind::kMax) {
      ir::QuantPool op;
      op.window = pool->window;
      made.id = emit(node, node.output, std::move(inputs), quant, op);
    } else if (std::holds_alternative<ir::FloatConcat>(node.op)) {
      made.id = emit(node, node.output, std::move(inputs), quant, ir::QuantConcat{});
    } else {
      return island(node, node.inputs[0], first);
    }
    *state(node.output) = made;
    return {};
  }

  /// The tensor clamped where it is made, if nothing else reads it unclamped, or else after it.
  int clamp_stored(const WorkNode& node, int id, Clamp clamp) {
    const bool sole =
        uses_[node.inputs[0]] == 1 && !graph_.nodes.empty() && graph_.nodes.back().output == id;
    if (sole) {
      const bool narrowed = std::visit(
          [&](auto& op) {
            if constexpr (requires { op.lo; }) {
              op.lo = std::clamp(clamp.lo, op.lo, op.hi);
              op.hi = std::clamp(clamp.hi, op.lo, op.hi);
              return true;
            } else {
              return false;
            }
          },
          graph_.nodes.back().op);
      if (narrowed) {
        graph_.tensors[id].name = unique(tensor_names_, work_.name(node.output), "tensor");
        return id;
      }
    }
    const auto m = ir::add_multipliers(1, 0);
    return emit(node, node.output, {id}, graph_.tensors[id].quant,
                ir::QuantAdd{m->ma, 0, m->shift, clamp.lo, clamp.hi});
  }

  Status quantise(const WorkNode& node, const Quantise& q) {
    const ir::Quant quant{q.scale, q.type == Stored::kUint8 ? q.zero - 128 : q.zero};
    const int from = node.inputs[0];
    State& x = *state(from);
    State made;
    made.kind = State::kStored;
    made.type = q.type;
    switch (x.kind) {
      case State::kInput: {
        if (graph_.input >= 0) {
          if (!(graph_.tensors[graph_.input].quant == quant)) {
            return work_error(node, ErrorCode::kUnsupported,
                              "stores the model's input in a second scale");
          }
        } else {
          graph_.input = add_tensor(node.output, work_.shape(from), quant);
        }
        made.id = graph_.input;
        break;
      }
      case State::kReal: {
        made.id = x.id;
        if (graph_.tensors[x.id].quant == quant) break;
        const auto id = rescale(node, x.id, quant, {});
        if (!id) return id.error();
        made.id = *id;
        break;
      }
      case State::kPending: {
        if (uses_[from] > 1) {
          // The same numbers stored again are the tensor that is there already.
          const auto again = std::find_if(stored_.begin(), stored_.end(), [&](const auto& entry) {
            return entry.first == from && graph_.tensors[entry.second].quant == quant;
          });
          if (again != stored_.end()) {
            made.id = again->second;
            break;
          }
        }
        const auto id = store(node, x, quant);
        if (!id) return id.error();
        made.id = *id;
        stored_.emplace_back(from, made.id);
        break;
      }
      case State::kSoftmax:
        *state(node.output) = x;
        return {};
      default:
        return work_error(node, ErrorCode::kUnsupported, "quantises what is quantised already");
    }
    *state(node.output) = std::move(made);
    return {};
  }

  Status dequantise(const WorkNode& node, const Dequantise& d) {
    State& x = *state(node.inputs[0]);
    if (x.kind == State::kSoftmax) {
      *state(node.output) = x;
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
    const ir::Quant quant{d.scale, type == Stored::kUint8 ? d.zero - 128 : d.zero};
    if (raw) {  // the model takes integers
      if (graph_.input < 0) graph_.input = add_tensor(work_.input, work_.shape(work_.input), quant);
      x.kind = State::kStored;
      x.type = type;
      x.id = graph_.input;
    }
    const ir::Quant& stored = graph_.tensors[x.id].quant;
    if (type != x.type || !(stored == quant)) {
      return work_error(
          node, ErrorCode::kUnsupported,
          fmt::format("reads with scale {} and zero point {} what is stored with {} and "
                      "{}",
                      quant.scale, quant.zero, stored.scale, stored.zero));
    }
    State real;
    real.kind = State::kReal;
    real.id = x.id;
    *state(node.output) = std::move(real);
    return {};
  }

  /// Emits the operator that makes a pending tensor, with its result stored.
  Result<int> store(const WorkNode& node, const State& x, const ir::Quant& y) {
    const WorkNode& maker = *x.maker;
    const Clamp clamp{ir::stored(x.lo, y, ir::Ties::kEven), ir::stored(x.hi, y, ir::Ties::kEven)};
    const int to = node.output;
    if (const auto* conv = std::get_if<ir::FloatConv>(&maker.op)) {
      auto op = quantised_dense(context_, maker, *conv, quant(x.inputs[0]), y);
      if (!op) return op.error();
      return emit(maker, to, x.inputs, y, clamped(std::move(*op), clamp));
    }
    if (std::holds_alternative<ir::FloatAdd>(maker.op)) {
      const double ratio[2] = {static_cast<double>(quant(x.inputs[0]).scale) / y.scale,
                               static_cast<double>(quant(x.inputs[1]).scale) / y.scale};
      const auto m = ir::add_multipliers(ratio[0], ratio[1]);
      if (!m) return too_steep(maker, std::max(ratio[0], ratio[1]));
      return emit(maker, to, x.inputs, y, ir::QuantAdd{m->ma, m->mb, m->shift, clamp.lo, clamp.hi});
    }
    if (const auto* pool = std::get_if<ir::FloatPool>(&maker.op)) {
      ir::QuantPool op;
      op.kind = pool->kind;
      op.window = pool->window;
      op.count_include_pad = pool->count_include_pad;
      const ir::Quant own = quant(x.inputs[0]);
      if (op.kind == ir::PoolKind::kMax && !(own == y)) {
        const int id = emit(maker, maker.output, x.inputs, own, op);
        return rescale(node, id, y, clamp);
      }
      return emit(maker, to, x.inputs, y, clamped(op, clamp));
    }
    if (std::holds_alternative<ir::FloatConcat>(maker.op)) {
      std::vector<int> parts;
      for (std::size_t i = 0; i < x.inputs.size(); ++i) {
        const bool same = quant(x.inputs[i]) == y;
        const auto part = same ? Result<int>(x.inputs[i]) : rescale(maker, x.inputs[i], y, {});
        if (!part) return part.error();
        parts.push_back(*part);
      }
      return emit(maker, to, std::move(parts), y, ir::QuantConcat{});
    }
    if (std::holds_alternative<ir::FloatClamp>(maker.op)) {
      return rescale(node, x.inputs[0], y, clamp);
    }
    if (const auto* affine = std::get_if<Affine>(&maker.op)) {
      auto op = quantised_affine(maker, *affine, quant(x.inputs[0]), y);
      if (!op) return op.error();
      return emit(maker, to, x.inputs, y, clamped(std::move(*op), clamp));
    }
    if (const auto* border = std::get_if<Border>(&maker.op))
      return bordered(maker, *border, x, to, y);
    return work_error(maker, ErrorCode::kUnsupported, "is not supported on quantised activations");
  }

  template <typename Op>
  static Op clamped(Op op, Clamp clamp) {
    op.lo = clamp.lo;
    op.hi = clamp.hi;
    return op;
  }

  [[nodiscard]] static Diagnostic too_steep(const WorkNode& node, double ratio) {
    return work_error(node, ErrorCode::kRange,
                      fmt::format("scales its operand by {}; the limit is 512", ratio));
  }

  /// A tensor in another scale, or clamped: the residual adder with b absent.
  Result<int> rescale(const WorkNode& node, int from, const ir::Quant& y, Clamp clamp) {
    const double ratio = static_cast<double>(quant(from).scale) / y.scale;
    const auto m = ir::add_multipliers(ratio, 0);
    if (!m) return too_steep(node, ratio);
    return emit(node, node.output, {from}, y, ir::QuantAdd{m->ma, 0, m->shift, clamp.lo, clamp.hi});
  }

  /// Padding of its own: zeros around a copy.
  Result<int> bordered(const WorkNode& node, const Border& border, const State& x, int to,
                       const ir::Quant& y) {
    if (border.value != 0) {
      return work_error(
          node, ErrorCode::kUnsupported,
          fmt::format("pads a quantised activation with {}; 0 is supported", border.value));
    }
    auto op = quantised_copy(node, work_.shape(node.inputs[0]).c);
    if (!op) return op.error();
    op->scale.assign(op->scale.size(), quant(x.inputs[0]).scale / y.scale);
    op->window.pad_top = border.top;
    op->window.pad_left = border.left;
    op->window.pad_bottom = border.bottom;
    op->window.pad_right = border.right;
    return emit(node, to, x.inputs, y, std::move(*op));
  }

  Status take_output() {
    const State& x = *state(work_.output);
    const std::string place = "output '" + work_.name(work_.output) + "'";
    if (x.kind == State::kPending || x.kind == State::kInput) {
      return fail(
          ErrorCode::kUnsupported,
          "no QuantizeLinear stores it: a float island in a quantised model is not supported",
          place);
    }
    graph_.output = x.id;
    graph_.softmax = x.kind == State::kSoftmax;
    return {};
  }

  [[nodiscard]] const ir::Quant& quant(int id) const { return graph_.tensors[id].quant; }

  int add_tensor(int tensor, const ir::Shape& shape, const ir::Quant& quant) {
    graph_.tensors.push_back({unique(tensor_names_, work_.name(tensor), "tensor"), shape, quant});
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  /// Appends a node that makes tensor `to` of the work graph, or a step before it.
  int emit(const WorkNode& node, int to, std::vector<int> inputs, const ir::Quant& quant,
           ir::QuantOp op) {
    const bool joins = std::holds_alternative<ir::QuantConcat>(op);
    const bool step = !joins && std::holds_alternative<ir::FloatConcat>(node.op);
    ir::Shape shape = step ? graph_.tensors[inputs[0]].shape : work_.shape(to);
    const int id = add_tensor(to, shape, quant);
    graph_.nodes.push_back(
        {unique(node_names_, node.name, "node"), std::move(inputs), id, std::move(op)});
    return id;
  }

  static std::string unique(std::set<std::string>& used, const std::string& wanted,
                            const char* otherwise) {
    const std::string base = wanted.empty() ? otherwise : wanted;
    std::string name = base;
    for (int i = 2; !used.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
    return name;
  }

  const Context& context_;
  const WorkGraph& work_;
  ir::QuantGraph graph_;
  std::vector<std::optional<State>> states_;  ///< by tensor of the work graph
  std::vector<int> uses_;                     ///< of each tensor of the work graph
  std::vector<std::pair<int, int>> stored_;   ///< pending tensors and what stores them
  std::set<std::string> tensor_names_, node_names_;
};

}  // namespace

Result<ir::QuantGraph> make_quantised(const Context& context, const std::string& name) {
  return Lowering(context).run(name);
}

}  // namespace espalier::import_
