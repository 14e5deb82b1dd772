#include "masks/prune.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/integers.hpp"

namespace espalier::masks {
namespace {

class Pruner {
 public:
  Pruner(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask)
      : graph_(graph), live_(graph.tensors.size()), same_(graph.tensors.size()) {
    std::iota(same_.begin(), same_.end(), 0);
    for (std::size_t t = 0; t < live_.size(); ++t) {
      const std::vector<int>& classes = channels.of_tensor[t];
      for (std::size_t c = 0; c < classes.size(); ++c) {
        if (mask.live[index(classes[c])]) live_[t].push_back(static_cast<int>(c));
      }
    }
  }

  Result<Pruned> run() {
    find_needed();
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!needed_[n]) continue;
      if (Status status = add(graph_.nodes[n]); !status) return status.error();
    }
    Pruned out = number();
    if (Status status = ir::verify(out.graph); !status) return status.error();
    return out;
  }

 private:
  [[nodiscard]] bool empty(int tensor) const { return live_[index(tensor)].empty(); }

  /// Nodes from which live channels reach the output.
  void find_needed() {
    std::vector<bool> read(graph_.tensors.size(), false);
    read[index(graph_.output)] = true;
    needed_.assign(graph_.nodes.size(), false);
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const ir::QuantNode& node = graph_.nodes[n];
      if (!read[index(node.output)] || empty(node.output)) continue;
      needed_[n] = true;
      for (const int input : node.inputs) read[index(input)] = true;
    }
  }

  Status add(ir::QuantNode node) {
    if (std::holds_alternative<ir::QuantConcat>(node.op)) {
      std::erase_if(node.inputs, [this](int t) { return empty(t); });
    }
    // Live channels of a sum or a pool are those of its inputs: only a convolution can lack them.
    if (auto* conv = std::get_if<ir::QuantConv>(&node.op)) {
      if (empty(node.inputs[0])) {
        return fail(ErrorCode::kRange,
                    fmt::format("needs a live input channel; the mask leaves none of tensor '{}'",
                                graph_.tensors[index(node.inputs[0])].name),
                    fmt::format("conv '{}'", node.name));
      }
      take(*conv, live_[index(node.inputs[0])], live_[index(node.output)],
           graph_.tensors[index(node.inputs[0])].shape.c);
    }
    for (int& input : node.inputs) input = same_[index(input)];
    if (std::holds_alternative<ir::QuantConcat>(node.op) && node.inputs.size() == 1) {
      same_[index(node.output)] = node.inputs[0];
    } else {
      nodes_.push_back(std::move(node));
    }
    return {};
  }

  /// The rows `out` of a convolution and in them the lanes `in` of `channels`.
  static void take(ir::QuantConv& conv, const std::vector<int>& in, const std::vector<int>& out,
                   int channels) {
    const std::size_t taps = index(conv.window.kh) * index(conv.window.kw);
    std::vector<std::int8_t> weights;
    weights.reserve(out.size() * taps * in.size());
    std::vector<std::int32_t> bias;
    std::vector<float> scale;
    ir::Reads reads;
    const auto place = [&in](int channel) {  // among those that stay
      return static_cast<int>(std::ranges::lower_bound(in, channel) - in.begin());
    };
    for (const int n : out) {
      if (!conv.reads.empty()) {
        const ir::ChannelRange& range = conv.reads[index(n)];
        reads.push_back({place(range.first), place(range.last)});
      }
      bias.push_back(conv.bias[index(n)]);
      scale.push_back(conv.scale[index(n)]);
      for (std::size_t t = 0; t < taps; ++t) {
        const std::size_t row = (index(n) * taps + t) * index(channels);
        for (const int c : in) weights.push_back(conv.weights[row + index(c)]);
      }
    }
    conv.weights = std::move(weights);
    conv.bias = std::move(bias);
    conv.scale = std::move(scale);
    conv.reads = std::move(reads);
    conv.out_channels = static_cast<int>(out.size());
  }

  Pruned number() {
    Pruned out;
    out.graph.name = graph_.name;
    out.graph.preprocess = graph_.preprocess;
    out.graph.softmax = graph_.softmax;
    out.graph.host_ops = graph_.host_ops;
    std::vector<bool> made(graph_.tensors.size(), false);
    made[index(graph_.input)] = true;
    for (const ir::QuantNode& node : nodes_) made[index(node.output)] = true;
    std::vector<int> number(graph_.tensors.size(), -1);
    for (std::size_t t = 0; t < graph_.tensors.size(); ++t) {
      if (!made[t]) continue;
      number[t] = static_cast<int>(out.origin.size());
      out.origin.push_back(static_cast<int>(t));
      out.graph.tensors.push_back(graph_.tensors[t]);
      out.graph.tensors.back().shape.c = static_cast<int>(live_[t].size());
    }
    for (ir::QuantNode& node : nodes_) {
      for (int& input : node.inputs) input = number[index(input)];
      node.output = number[index(node.output)];
    }
    out.graph.nodes = std::move(nodes_);
    out.graph.input = number[index(graph_.input)];
    out.graph.output = number[index(graph_.output)];
    return out;
  }

  const ir::QuantGraph& graph_;
  std::vector<std::vector<int>> live_;  // by tensor: the channels that stay
  std::vector<int> same_;               // by tensor: the one that stands for it
  std::vector<bool> needed_;            // by node
  std::vector<ir::QuantNode> nodes_;
};

}  // namespace

Result<Pruned> prune(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask) {
  return Pruner(graph, channels, mask).run();
}

}  // namespace espalier::masks
