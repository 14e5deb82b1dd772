#include "import/tflite/judge.hpp"

#include <algorithm>

namespace espalier::import_ {
namespace {

/// Multiply-accumulates of an operator with weights; 0 for others.
std::int64_t macs(const LiteGraph& graph, const LiteOp& op) {
  if (op.inputs.size() < 2 || op.inputs[0] < 0 || op.inputs[1] < 0) return 0;
  const auto tensor = [&graph](int id) -> const LiteTensor& {
    return graph.tensors[static_cast<std::size_t>(id)];
  };
  const LiteTensor &x = tensor(op.inputs[0]), &w = tensor(op.inputs[1]), &y = tensor(op.outputs[0]);
  if (w.dims.empty() || w.dims[0] < 1 || x.count() < 1 || y.count() < 1) return 0;
  switch (op.code) {
    case lite::BuiltinOperator_CONV_2D:
    case lite::BuiltinOperator_FULLY_CONNECTED:  // weights [out][...]
      return y.count() * (w.count() / w.dims[0]);
    case lite::BuiltinOperator_DEPTHWISE_CONV_2D:  // weights [1][kh][kw][out]
      return w.dims.back() < 1 ? 0 : y.count() * (w.count() / w.dims.back());
    default:
      break;
  }
  // Nodes that no importer takes multiply too.
  if (op.code == lite::BuiltinOperator_TRANSPOSE_CONV) {  // weights [out][kh][kw][in], image third
    const bool whole = op.inputs.size() > 2 && op.inputs[2] >= 0 && w.dims.back() > 0;
    return whole ? tensor(op.inputs[2]).count() * (w.count() / w.dims.back()) : 0;
  }
  if (op.code == lite::BuiltinOperator_BATCH_MATMUL) {
    return x.dims.empty() ? 0 : y.count() * x.dims.back();
  }
  return 0;
}

}  // namespace

Status import_all(const LiteGraph& graph, Refusals* refusals,
                  const std::function<Status(const LiteOp&)>& import,
                  const std::function<bool(int tensor)>& stand_in) {
  std::set<int> unknown;
  for (const LiteOp& op : graph.ops) {
    if (refusals == nullptr) {
      if (const Status status = import(op); !status) return status;
      continue;
    }
    Refusals::Node note{op.type(), op.name, macs(graph, op), {}, true};
    note.judged = std::ranges::none_of(op.inputs, [&](int id) { return unknown.count(id) != 0; });
    Status status;
    if (note.judged) status = import(op);
    if (!status) {
      if (!Refusals::goes_on(status.error())) return status;
      note.refused = status.error();
    }
    if (!status || !note.judged) {
      for (const int id : op.outputs) {
        if (!note.judged || !stand_in(id)) unknown.insert(id);
      }
    }
    refusals->note(std::move(note));
  }
  if (refusals != nullptr && refusals->any()) return *refusals->first();
  return {};
}

}  // namespace espalier::import_
