#include "import/work_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/names.hpp"
#include "ir/verify.hpp"

namespace espalier::import_ {

using ir::Shape;

int WorkGraph::add_tensor(std::string name, const Shape& shape) {
  tensors_.push_back({std::move(name), shape});
  return static_cast<int>(tensors_.size()) - 1;
}

int WorkGraph::add_node(std::string name, std::string output_name, WorkOp op,
                        std::vector<int> inputs, const Shape& shape) {
  const int tensor = add_tensor(std::move(output_name), shape);
  nodes_.push_back({std::move(name), type, std::move(inputs), tensor, std::move(op), false});
  return tensor;
}

Diagnostic work_error(const WorkNode& node, ErrorCode code, std::string message) {
  return fail(code, std::move(message), fmt::format("node '{}' ({})", node.name, node.type));
}

void WorkGraph::index() {
  producer_.assign(tensors_.size(), -1);
  consumers_.assign(tensors_.size(), {});
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].dead) continue;
    producer_[nodes_[i].output] = static_cast<int>(i);
    for (const int tensor : nodes_[i].inputs) consumers_[tensor].push_back(static_cast<int>(i));
  }
}

void WorkGraph::drop_dead() {
  std::vector<bool> needed(tensors_.size(), false);
  needed[output] = true;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (node->dead || !needed[node->output]) {
      node->dead = true;
      continue;
    }
    for (const int tensor : node->inputs) needed[tensor] = true;
  }
}

bool WorkGraph::sole_consumer(int tensor) const {
  return tensor != output && consumers_[tensor].size() == 1;
}

Status WorkGraph::check_softmax() const {
  for (const WorkNode& node : nodes_) {
    if (!node.dead && std::holds_alternative<ir::FloatSoftmax>(node.op) && node.output != output) {
      return work_error(node, ErrorCode::kUnsupported,
                        "softmax is supported as the last operator only");
    }
  }
  return {};
}

Status WorkGraph::check_finite() const {
  for (const WorkNode& node : nodes_) {
    const auto* conv = std::get_if<ir::FloatConv>(&node.op);
    if (node.dead || conv == nullptr) continue;
    if (!ir::all_finite(conv->weights) || !ir::all_finite(conv->bias)) {
      return work_error(node, ErrorCode::kRange, "a weight or bias is not a finite number");
    }
  }
  return {};
}

namespace {

template <typename... Lowered>
ir::FloatOp to_float_op(std::variant<Lowered...>&& op) {
  return std::visit(
      [](auto&& o) -> ir::FloatOp {
        using T = std::decay_t<decltype(o)>;
        if constexpr (std::is_constructible_v<ir::FloatOp, T>) {
          return std::move(o);
        } else {
          ESP_CHECK(false && "operator was not lowered");
          return ir::FloatAdd{};
        }
      },
      std::move(op));
}

}  // namespace

Result<ir::FloatGraph> WorkGraph::finish(std::string name) && {
  ESP_CHECK(input >= 0 && output >= 0);
  drop_dead();
  if (const Status status = check_softmax(); !status) return status.error();
  index();
  merge_channel_affines();
  drop_dead();
  index();
  merge_selects();
  merge_borders();
  if (const Status status = lower_selects(); !status) return status.error();
  if (const Status status = lower_borders(); !status) return status.error();
  index();
  fold_affines_back();
  fold_affines_forward();
  if (const Status status = lower_affines(); !status) return status.error();
  drop_dead();
  if (const Status status = check_finite(); !status) return status.error();

  ir::FloatGraph graph;
  graph.name = std::move(name);
  graph.host_ops = std::move(host_ops);
  std::vector<int> id(tensors_.size(), -1);
  Names tensor_names;
  Names node_names;
  const auto keep = [&](int tensor) {
    if (id[tensor] >= 0) return;
    id[tensor] = static_cast<int>(graph.tensors.size());
    graph.tensors.push_back(
        {tensor_names.take(tensors_[tensor].name, "tensor"), tensors_[tensor].shape});
  };
  keep(input);
  for (WorkNode& node : nodes_) {
    if (node.dead) continue;
    keep(node.output);
    ir::FloatNode kept;
    kept.name = node_names.take(node.name, "node");
    kept.output = id[node.output];
    for (const int tensor : node.inputs) {
      ESP_CHECK(id[tensor] >= 0);
      kept.inputs.push_back(id[tensor]);
    }
    kept.op = to_float_op(std::move(node.op));
    graph.nodes.push_back(std::move(kept));
  }
  if (graph.nodes.empty()) {
    return fail(ErrorCode::kUnsupported, "the model has no operator that computes anything");
  }
  graph.input = id[input];
  graph.output = id[output];
  if (const Status status = ir::verify(graph); !status) return status.error();
  return graph;
}

Result<int> extent(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                   std::int64_t dilation, std::int64_t pad_before, std::int64_t pad_after,
                   bool ceil_mode) {
  for (const auto& [value, what, least] : {std::tuple{size, "input extent", std::int64_t{1}},
                                           {kernel, "kernel extent", 1},
                                           {stride, "stride", 1},
                                           {dilation, "dilation", 1},
                                           {pad_before, "pad", 0},
                                           {pad_after, "pad", 0}}) {
    if (value < least || value > kMaxExtent) {
      return fail(ErrorCode::kRange, fmt::format("{} is {}; the limits are {} and {}", what, value,
                                                 least, kMaxExtent));
    }
  }
  const std::int64_t span = dilation * (kernel - 1) + 1;
  const std::int64_t room = size + pad_before + pad_after - span;
  if (room < 0) {
    return fail(ErrorCode::kShape, fmt::format("window spans {} pixels; the padded input has {}",
                                               span, size + pad_before + pad_after));
  }
  std::int64_t count = room / stride + 1;
  if (ceil_mode && room % stride != 0 && count * stride < size + pad_before) ++count;
  return static_cast<int>(count);
}

std::pair<int, int> same_pads(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                              std::int64_t dilation, bool lower) {
  if (stride < 1 || size < 1 || kernel < 1 || dilation < 1 || size > kMaxExtent ||
      kernel > kMaxExtent || stride > kMaxExtent || dilation > kMaxExtent) {
    return {0, 0};  // extent() reports it
  }
  const std::int64_t outputs = (size + stride - 1) / stride;
  const std::int64_t span = dilation * (kernel - 1) + 1;
  const std::int64_t total = std::max<std::int64_t>(0, (outputs - 1) * stride + span - size);
  const std::int64_t less = total / 2;
  const std::int64_t more = total - less;
  return lower ? std::pair{static_cast<int>(more), static_cast<int>(less)}
               : std::pair{static_cast<int>(less), static_cast<int>(more)};
}

}  // namespace espalier::import_
