#include <algorithm>

#include "compiler/layers.hpp"

namespace espalier::compiler {
namespace {

/// Builds the new graph node by node; tensor ids of the old graph stay what they are.
class Rewriter {
 public:
  Rewriter(const ir::QuantGraph& graph, int lanes) : old_(graph), lanes_(lanes) {
    out_ = graph;
    out_.nodes.clear();
  }

  ir::QuantGraph run() {
    const auto old_readers = consumers(old_);
    const auto old_producers = producers(old_);
    placed_.assign(old_.tensors.size(), false);
    for (const ir::QuantNode& node : old_.nodes) {
      ir::QuantNode copy = node;
      if (std::holds_alternative<ir::QuantAdd>(node.op)) {
        const bool joins = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int t) {
          return fusable_conv(old_, old_readers, old_producers, t) >= 0;
        });
        if (!joins) copy.inputs[0] = add_copy(copy.inputs[0], node.name);
      } else if (takes_product(node)) {
        if (fusable_conv(old_, old_readers, old_producers, node.inputs[0]) < 0)
          copy.inputs[0] = add_copy(node.inputs[0], node.name);
      } else if (std::holds_alternative<ir::QuantInterleave>(node.op)) {
        for (int& tensor : copy.inputs) {
          const int maker = at(old_producers, tensor);
          if (at(old_readers, tensor).size() != 1 || stays(old_, tensor) || maker < 0 ||
              !made_by_post(at(old_.nodes, maker))) {
            tensor = add_copy(tensor, node.name);
          }
        }
      } else if (const auto* slice = std::get_if<ir::QuantSlice>(&node.op)) {
        if (slice->first % lanes_ != 0 || stays(old_, node.output) ||
            !lanes_of()[static_cast<std::size_t>(node.inputs[0])]) {
          copy.op = selection(at(out_.tensors, node.inputs[0]).shape.c, slice->first,
                              at(out_.tensors, node.output).shape.c);
        } else {
          at(placed_, node.output) = true;  // it lies in its input
        }
      } else if (std::holds_alternative<ir::QuantConcat>(node.op)) {
        for (int& tensor : copy.inputs) {
          if (at(old_producers, tensor) < 0 || stays(old_, tensor) || at(placed_, tensor)) {
            tensor = add_copy(tensor, node.name);
          } else {
            at(placed_, tensor) = true;
          }
        }
      }
      out_.nodes.push_back(std::move(copy));
    }
    if (!lanes_of()[static_cast<std::size_t>(out_.output)]) {
      out_.output = add_copy(out_.output, "output");
    }
    return std::move(out_);
  }

  [[nodiscard]] const Status& status() const { return status_; }

 private:
  /// Appends a convolution that copies a tensor, and returns the copy.
  int add_copy(int tensor, const std::string& reason) {
    const ir::QuantTensor source = at(out_.tensors, tensor);
    const int channels = source.shape.c;
    constexpr int kMaxCopied = 1 << 13;
    if (channels > kMaxCopied) {
      status_ = fail(ErrorCode::kUnsupported,
                     std::to_string(channels) + " channels must be copied for '" + reason +
                         "'; the limit is " + std::to_string(kMaxCopied),
                     "tensor '" + source.name + "'");
      return tensor;
    }
    ir::QuantConv conv = selection(channels, 0, channels);
    const int copy = static_cast<int>(out_.tensors.size());
    std::string name = reason;
    name += ".copy" + std::to_string(copies_++);
    out_.tensors.push_back({name, source.shape, source.quant});
    out_.nodes.push_back({name, {tensor}, copy, std::move(conv)});
    return copy;
  }

  /// A convolution that takes `count` of its input's channels, from `first` on.
  static ir::QuantConv selection(int channels, int first, int count) {
    ir::QuantConv conv;
    conv.out_channels = count;
    conv.weights.assign(static_cast<std::size_t>(count) * channels, 0);
    for (int c = 0; c < count; ++c) {
      conv.weights[static_cast<std::size_t>(c) * channels + first + c] = 1;
    }
    conv.bias.assign(static_cast<std::size_t>(count), 0);
    conv.scale.assign(static_cast<std::size_t>(count), 1.0F);
    conv.reads.resize(static_cast<std::size_t>(count));  // nothing is multiplied
    return conv;
  }
  /// Words of such a node come from post, in one layer of its own.
  static bool made_by_post(const ir::QuantNode& node) {
    return std::holds_alternative<ir::QuantConv>(node.op) ||
           std::holds_alternative<ir::QuantAdd>(node.op) ||
           std::holds_alternative<ir::QuantGate>(node.op);
  }

  /// For every tensor whether its channels lie at their own lanes, without gaps. Operands of an add
  /// agree because the convolution takes the operand's lanes.
  [[nodiscard]] std::vector<bool> lanes_of() const {
    std::vector<bool> canonical(out_.tensors.size(), true);
    const auto readers = consumers(out_);
    const auto writers = producers(out_);
    for (const ir::QuantNode& node : out_.nodes) {
      bool whole = true;
      if (std::holds_alternative<ir::QuantConcat>(node.op)) {
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
          const bool last = i + 1 == node.inputs.size();
          const int channels = at(out_.tensors, node.inputs[i]).shape.c;
          whole = whole && at(canonical, node.inputs[i]) && (last || channels % lanes_ == 0);
        }
      } else if (!std::holds_alternative<ir::QuantConv>(node.op) &&
                 !std::holds_alternative<ir::QuantSlice>(node.op) &&
                 !(std::holds_alternative<ir::QuantAdd>(node.op) && node.inputs.size() == 1)) {
        for (const int tensor : node.inputs) whole = whole && at(canonical, tensor);
      }
      at(canonical, node.output) = whole;
    }
    return canonical;
  }

  const ir::QuantGraph& old_;
  ir::QuantGraph out_;
  int lanes_;
  int copies_ = 0;
  std::vector<bool> placed_;  // tensors that lie in a concatenation
  Status status_;
};

}  // namespace

Result<ir::QuantGraph> rewrite(const ir::QuantGraph& graph, int lanes) {
  Rewriter rewriter(graph, lanes);
  ir::QuantGraph out = rewriter.run();
  if (!rewriter.status().ok()) return rewriter.status().error();
  if (const Status status = ir::verify(out); !status) return status.error();
  return out;
}

}  // namespace espalier::compiler
