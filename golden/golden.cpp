#include "golden/golden.hpp"

#include <algorithm>
#include <optional>

#include "golden/layers.hpp"
#include "base/parallel.hpp"
#include "base/result.hpp"

namespace espalier::golden {
namespace {

constexpr int kBatch = 8;  // images in one matrix product: enough for layers of a few pixels

/// One node on a batch of images. The convolution is ready where the node is one.
Tensor run_op(const ir::QuantGraph& graph, const ir::QuantNode& node,
              const std::optional<PreparedConv>& conv, std::span<const Tensor* const> inputs,
              int images) {
  const auto side = [&graph](int id) {
    const ir::QuantTensor& t = graph.tensors[std::size_t(id)];
    return Side{t.shape, t.quant};
  };
  const Side x = side(node.inputs[0]);
  const Side y = side(node.output);
  Tensor out(std::size_t(y.shape.count()) * images);
  if (conv) {
    conv->run(inputs[0]->data(), images, out.data());
  } else if (const auto* pool_op = std::get_if<ir::QuantPool>(&node.op)) {
    pool(*pool_op, x, y, inputs[0]->data(), images, out.data());
  } else if (const auto* add_op = std::get_if<ir::QuantAdd>(&node.op)) {
    const std::size_t b = inputs.size() - 1;  // the only input where b is absent, times mb = 0
    add(*add_op, x.quant, side(node.inputs[b]).quant, y.quant, *inputs[0], *inputs[b], out.data());
  } else if (const auto* gate_op = std::get_if<ir::QuantGate>(&node.op)) {
    gate(*gate_op, *inputs[0], *inputs[1], out.data());
  } else if (std::holds_alternative<ir::QuantScore>(node.op)) {
    score(x.shape, side(node.inputs[1]).quant, *inputs[0], *inputs[1], images, out.data());
  } else if (const auto* slice_op = std::get_if<ir::QuantSlice>(&node.op)) {
    slice(*slice_op, x.shape, y.shape, inputs[0]->data(), images, out.data());
  } else if (const auto* interleave_op = std::get_if<ir::QuantInterleave>(&node.op)) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ir::Shape& phase = side(node.inputs[i]).shape;
      interleave(*interleave_op, i, phase, y.shape, inputs[i]->data(), images, out.data());
    }
  } else {
    std::vector<const std::int8_t*> parts;
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      parts.push_back(inputs[i]->data());
      sizes.push_back(std::size_t(side(node.inputs[i]).shape.count()));
    }
    concat(parts, sizes, images, out.data());
  }
  return out;
}

std::optional<PreparedConv> prepare(const ir::QuantGraph& graph, const ir::QuantNode& node) {
  const auto* conv = std::get_if<ir::QuantConv>(&node.op);
  if (conv == nullptr) return std::nullopt;
  const ir::QuantTensor& x = graph.tensors[std::size_t(node.inputs[0])];
  const ir::QuantTensor& y = graph.tensors[std::size_t(node.output)];
  return PreparedConv(*conv, {x.shape, x.quant}, {y.shape, y.quant});
}

}  // namespace

namespace {

/// The graph without its convolutions' arrays: those lie in PreparedConv.
ir::QuantGraph frame_of(const ir::QuantGraph& graph) {
  ir::QuantGraph out;
  out.tensors = graph.tensors;
  out.input = graph.input;
  out.output = graph.output;
  out.more_inputs = graph.more_inputs;
  for (const ir::QuantNode& node : graph.nodes) {
    const bool conv = std::holds_alternative<ir::QuantConv>(node.op);
    out.nodes.push_back({node.name, node.inputs, node.output, ir::QuantConv{}});
    if (!conv) out.nodes.back().op = node.op;
  }
  return out;
}

}  // namespace

struct Runner::Impl {
  ir::QuantGraph graph;                            ///< its frame
  std::vector<std::optional<PreparedConv>> convs;  ///< by node
  std::vector<std::size_t> last_use;               ///< by tensor: the last node that reads it

  ir::ChannelMask mask;

  Impl(const ir::QuantGraph& g, ir::ChannelMask m)
      : graph(frame_of(g)), last_use(g.tensors.size(), 0), mask(std::move(m)) {
    ESP_CHECK(mask.empty() || mask.size() == g.tensors.size());
    for (std::size_t i = 0; i < g.nodes.size(); ++i) {
      convs.push_back(prepare(g, g.nodes[i]));
      for (const int id : g.nodes[i].inputs) last_use[std::size_t(id)] = i;
    }
    last_use[std::size_t(g.output)] = g.nodes.size();
  }

  [[nodiscard]] std::size_t count(int id) const {
    return std::size_t(graph.tensors[std::size_t(id)].shape.count());
  }

  /// Absent channels hold the zero point.
  void apply_mask(int id, int images, Tensor& values) const {
    if (mask.empty() || mask[std::size_t(id)].empty()) return;
    const ir::QuantTensor& tensor = graph.tensors[std::size_t(id)];
    const std::vector<bool>& live = mask[std::size_t(id)];
    const std::size_t pixels = std::size_t(tensor.shape.h) * tensor.shape.w;
    for (std::size_t c = 0; c < std::size_t(images) * live.size(); ++c) {
      if (live[c % live.size()]) continue;
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(c * pixels), pixels,
                  static_cast<std::int8_t>(tensor.quant.zero));
    }
  }

  /// Every tensor, for a batch; without `keep`, only those still to be read.
  [[nodiscard]] std::vector<Tensor> run(std::span<const std::int8_t> input, int images,
                                        bool keep) const {
    std::vector<Tensor> tensors(graph.tensors.size());
    ESP_CHECK(graph.more_inputs.empty() || images == 1);
    const auto first = input.subspan(0, count(graph.input) * std::size_t(images));
    tensors[std::size_t(graph.input)].assign(first.begin(), first.end());
    std::size_t at = first.size();
    for (const int id : graph.more_inputs) {
      const auto part = input.subspan(at, count(id));
      tensors[std::size_t(id)].assign(part.begin(), part.end());
      at += part.size();
    }
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const ir::QuantNode& node = graph.nodes[i];
      std::vector<const Tensor*> inputs;
      for (const int id : node.inputs) inputs.push_back(&tensors[std::size_t(id)]);
      tensors[std::size_t(node.output)] = run_op(graph, node, convs[i], inputs, images);
      apply_mask(node.output, images, tensors[std::size_t(node.output)]);
      if (keep) continue;
      for (const int id : node.inputs) {
        if (last_use[std::size_t(id)] == i) Tensor().swap(tensors[std::size_t(id)]);
      }
    }
    return tensors;
  }
};

Runner::Runner(const ir::QuantGraph& graph, ir::ChannelMask mask)
    : impl_(std::make_unique<Impl>(graph, std::move(mask))) {}
Runner::~Runner() = default;
Runner::Runner(Runner&&) noexcept = default;
Runner& Runner::operator=(Runner&&) noexcept = default;

void Runner::rescale(const ir::QuantGraph& graph) {
  Impl& own = *impl_;
  ESP_CHECK(graph.nodes.size() == own.convs.size());
  ESP_CHECK(graph.tensors.size() == own.graph.tensors.size());
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    ir::Quant& quant = own.graph.tensors[t].quant;
    ESP_CHECK(graph.tensors[t].quant.zero == quant.zero);
    quant.scale = graph.tensors[t].quant.scale;
  }
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const ir::QuantNode& node = graph.nodes[n];
    if (const auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      own.convs[n]->rescale(conv->scale);
    } else {
      own.graph.nodes[n].op = node.op;
    }
  }
}

std::vector<Tensor> Runner::run(std::span<const std::int8_t> input) const {
  ESP_CHECK(std::int64_t(input.size()) == ir::input_elements(impl_->graph));
  return impl_->run(input, 1, true);
}

std::vector<std::int8_t> Runner::run_batch(std::span<const std::int8_t> inputs, int threads) const {
  const auto in_count = std::size_t(ir::input_elements(impl_->graph));
  const std::size_t out_count = impl_->count(impl_->graph.output);
  ESP_CHECK(inputs.size() % in_count == 0);
  const std::size_t images = inputs.size() / in_count;
  std::vector<std::int8_t> outputs(images * out_count);
  const std::size_t most = impl_->graph.more_inputs.empty() ? kBatch : 1;
  for_each((images + most - 1) / most, threads, [&](std::size_t i) {
    const std::size_t first = i * most, batch = std::min(most, images - first);
    const std::vector<Tensor> tensors = impl_->run(
        inputs.subspan(first * in_count, batch * in_count), static_cast<int>(batch), false);
    std::ranges::copy(tensors[std::size_t(impl_->graph.output)],
                      outputs.begin() + static_cast<std::ptrdiff_t>(first * out_count));
  });
  return outputs;
}

std::vector<std::vector<std::int8_t>> run(const ir::QuantGraph& graph,
                                          std::span<const std::int8_t> input) {
  return Runner(graph).run(input);
}

Tensor run_node(const ir::QuantGraph& graph, const ir::QuantNode& node,
                std::span<const Tensor> inputs) {
  ESP_CHECK(inputs.size() == node.inputs.size());
  std::vector<const Tensor*> pointers;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ir::QuantTensor& wanted = graph.tensors[std::size_t(node.inputs[i])];
    ESP_CHECK(std::int64_t(inputs[i].size()) == wanted.shape.count());
    pointers.push_back(&inputs[i]);
  }
  return run_op(graph, node, prepare(graph, node), pointers, 1);
}

std::vector<std::int8_t> run_batch(const ir::QuantGraph& graph, std::span<const std::int8_t> inputs,
                                   int threads) {
  return Runner(graph).run_batch(inputs, threads);
}

}  // namespace espalier::golden
