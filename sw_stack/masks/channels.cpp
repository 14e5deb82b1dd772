#include "masks/channels.hpp"

#include <algorithm>
#include <numeric>

#include "base/bytes.hpp"
#include "base/integers.hpp"

namespace espalier::masks {
namespace {

/// Sets of numbers that are united; the smallest stands for each.
class Sets {
 public:
  int add() {
    parent_.push_back(static_cast<int>(parent_.size()));
    return parent_.back();
  }
  int find(int a) {
    while (parent_[index(a)] != a) {
      parent_[index(a)] = parent_[index(parent_[index(a)])];
      a = parent_[index(a)];
    }
    return a;
  }
  void unite(int a, int b) {
    a = find(a);
    b = find(b);
    parent_[index(std::max(a, b))] = std::min(a, b);
  }
  [[nodiscard]] std::size_t size() const { return parent_.size(); }

 private:
  std::vector<int> parent_;
};

class Finder {
 public:
  explicit Finder(const ir::QuantGraph& graph) : graph_(graph), channels_(graph.tensors.size()) {}

  Channels run() {
    fresh(graph_.input);
    for (const ir::QuantNode& node : graph_.nodes) visit(node);
    return number();
  }

 private:
  /// New channels.
  void fresh(int tensor) {
    for (int c = 0; c < graph_.tensors[index(tensor)].shape.c; ++c) {
      channels_[index(tensor)].push_back(classes_.add());
      source_.push_back(tensors_.add());
    }
    // All channels of a tensor are in one group.
    for (const int c : channels_[index(tensor)]) {
      tensors_.unite(source_[index(c)], source_[index(channels_[index(tensor)][0])]);
    }
    sources_.push_back(tensor);
  }

  void visit(const ir::QuantNode& node) {
    std::vector<int>& out = channels_[index(node.output)];
    const std::vector<int>& first = channels_[index(node.inputs[0])];
    if (std::holds_alternative<ir::QuantConv>(node.op) && !is_copy(graph_, node)) {
      fresh(node.output);
    } else if (std::holds_alternative<ir::QuantConcat>(node.op)) {
      for (const int input : node.inputs) {
        const auto& part = channels_[index(input)];
        out.insert(out.end(), part.begin(), part.end());
      }
    } else {
      out = first;
      if (node.inputs.size() < 2) return;
      const std::vector<int>& second = channels_[index(node.inputs[1])];
      for (std::size_t c = 0; c < first.size(); ++c) {
        classes_.unite(first[c], second[c]);
        tensors_.unite(source_[index(first[c])], source_[index(second[c])]);
      }
    }
  }

  /// Numbers the classes in the order of tensors and channels.
  Channels number() {
    Channels out;
    std::vector<int> name(classes_.size(), -1);
    out.of_tensor.resize(channels_.size());
    for (std::size_t t = 0; t < channels_.size(); ++t) {
      for (const int c : channels_[t]) {
        int& id = name[index(classes_.find(c))];
        if (id < 0) {
          id = static_cast<int>(out.prunable.size());
          out.prunable.push_back(true);
        }
        out.of_tensor[t].push_back(id);
      }
    }
    for (const int end : {graph_.input, graph_.output}) {
      for (const int c : out.of_tensor[index(end)]) out.prunable[index(c)] = false;
    }
    group(out);
    return out;
  }

  void group(Channels& out) {
    // By the group's representative.
    std::vector<bool> residual(classes_.size(), false), joined(classes_.size(), false);
    for (const ir::QuantNode& node : graph_.nodes) {
      const bool concat = std::holds_alternative<ir::QuantConcat>(node.op);
      if (node.inputs.size() < 2) continue;
      for (const int c : channels_[index(node.output)])
        (concat ? joined : residual)[index(tensors_.find(source_[index(c)]))] = true;
    }
    std::vector<int> group_of(classes_.size(), -1);
    std::vector<bool> seen(out.classes(), false);
    std::vector<Group> all;
    for (const int tensor : sources_) {
      const int root = tensors_.find(source_[index(channels_[index(tensor)][0])]);
      if (group_of[index(root)] < 0) {
        group_of[index(root)] = static_cast<int>(all.size());
        all.push_back({{}, {}, residual[index(root)], joined[index(root)]});
      }
      Group& group = all[index(group_of[index(root)])];
      if (tensor != graph_.input) group.tensors.push_back(tensor);
      for (const int c : out.of_tensor[index(tensor)]) {
        if (!out.prunable[index(c)] || seen[index(c)]) continue;
        seen[index(c)] = true;
        group.classes.push_back(c);
      }
    }
    for (Group& found : all) {
      if (!found.classes.empty()) out.groups.push_back(std::move(found));
    }
  }

  const ir::QuantGraph& graph_;
  std::vector<std::vector<int>> channels_;  // by tensor: a number for each channel
  std::vector<int> sources_;                // tensors with channels of their own
  std::vector<int> source_;                 // by channel: its tensor among tensors_
  Sets classes_, tensors_;
};

}  // namespace

Channels find_channels(const ir::QuantGraph& graph) { return Finder(graph).run(); }

bool is_copy(const ir::QuantGraph& graph, const ir::QuantNode& node) {
  const auto* conv = std::get_if<ir::QuantConv>(&node.op);
  if (conv == nullptr || conv->window != ir::Window{} || conv->lo != -128 || conv->hi != 127)
    return false;
  const ir::QuantTensor& x = graph.tensors[index(node.inputs[0])];
  const ir::QuantTensor& y = graph.tensors[index(node.output)];
  if (x.shape != y.shape || x.quant.zero != y.quant.zero || x.quant.scale != y.quant.scale)
    return false;
  const auto zero = [](std::int32_t b) { return b == 0; };
  const auto one = [](float s) { return s == 1.0F; };
  if (!std::ranges::all_of(conv->bias, zero) || !std::ranges::all_of(conv->scale, one))
    return false;
  const auto channels = index(x.shape.c);
  for (std::size_t i = 0; i < conv->weights.size(); ++i) {
    if (conv->weights[i] != (i % (channels + 1) == 0 ? 1 : 0)) return false;
  }
  return true;
}

ir::QuantGraph without_copies(const ir::QuantGraph& graph) {
  // What each tensor is a copy of.
  std::vector<int> original(graph.tensors.size());
  std::iota(original.begin(), original.end(), 0);
  ir::QuantGraph out = graph;
  out.nodes.clear();
  for (ir::QuantNode node : graph.nodes) {
    for (int& input : node.inputs) input = original[index(input)];
    // A graph's output cannot be its input.
    const bool ends = node.output == graph.output && node.inputs[0] == graph.input;
    if (is_copy(graph, node) && !ends) {
      original[index(node.output)] = node.inputs[0];
    } else {
      out.nodes.push_back(std::move(node));
    }
  }
  std::vector<int> number(graph.tensors.size(), -1);
  out.tensors.clear();
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    if (original[t] != static_cast<int>(t)) continue;
    number[t] = static_cast<int>(out.tensors.size());
    out.tensors.push_back(graph.tensors[t]);
  }
  for (ir::QuantNode& node : out.nodes) {
    for (int& input : node.inputs) input = number[index(input)];
    node.output = number[index(node.output)];
  }
  out.input = number[index(graph.input)];
  out.output = number[index(original[index(graph.output)])];
  return out;
}

std::uint64_t fingerprint(const ir::QuantGraph& graph) {
  ir::QuantGraph plain = without_copies(graph);
  plain.name.clear();
  plain.preprocess = {};
  plain.softmax = false;
  plain.host_ops.clear();
  for (ir::QuantNode& node : plain.nodes) {  // follows from the weights, save for zeros by chance
    if (auto* conv = std::get_if<ir::QuantConv>(&node.op)) conv->reads.clear();
  }
  return fnv1a(ir::serialise(plain));
}

std::uint64_t fingerprint(const ir::QuantGraph& graph, Known known) {
  return known ? *known : fingerprint(graph);
}

}  // namespace espalier::masks
