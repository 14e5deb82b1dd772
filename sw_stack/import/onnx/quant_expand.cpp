// Operators on stored integers, taken apart.

#include <fmt/format.h>

#include <algorithm>

#include "import/onnx/operators.hpp"
#include "import/onnx/quant_nodes.hpp"

namespace espalier::import_ {
namespace {

class Expander {
 public:
  Expander(Context& context, const OnnxNode& node) : context_(context), node_(node) {}

  Result<std::vector<onnx::NodeProto>> run(const StoredForm& form) {
    onnx::NodeProto core;
    core.set_op_type(form.type);
    core.set_name(node_.name());
    for (const auto& attribute : node_.proto.attribute()) *core.add_attribute() = attribute;
    std::vector<int> inputs;
    std::ranges::copy_if(form.inputs, std::back_inserter(inputs), [](int i) { return i >= 0; });
    if (inputs.empty()) {
      for (int i = 2; i + 2 < node_.proto.input_size(); i += 3) inputs.push_back(i);
      if (inputs.empty() || node_.proto.input_size() % 3 != 2) {
        return node_.fail(ErrorCode::kMalformed,
                          fmt::format("has {} inputs", node_.proto.input_size()));
      }
    }
    for (const int i : inputs) {
      if (!node_.has_input(i) || !node_.has_input(i + 1)) {
        return node_.fail(ErrorCode::kMalformed, fmt::format("input {} is missing", i));
      }
      core.add_input(dequantise(i, weight_axis(i)));
    }
    if (form.bias >= 0 && node_.has_input(form.bias)) {
      if (const Status status = add_bias(form.bias, core); !status) return status.error();
    }
    if (!node_.has_input(form.result)) {
      return node_.unsupported("makes floats; only results with a scale are supported");
    }
    const std::string real = value("result");
    core.add_output(real);
    nodes_.push_back(std::move(core));
    onnx::NodeProto& last = nodes_.emplace_back();
    last.set_op_type("QuantizeLinear");
    last.set_name(node_.name());
    last.add_input(real);
    last.add_input(node_.proto.input(form.result));
    if (node_.has_input(form.result + 1)) last.add_input(node_.proto.input(form.result + 1));
    last.add_output(node_.proto.output_size() > 0 ? node_.proto.output(0) : value("stored"));
    return std::move(nodes_);
  }

 private:
  /// A name for a value that the model does not have.
  [[nodiscard]] std::string value(const std::string& what) const {
    return node_.proto.output(0) + ".real." + what;
  }

  /// The axis of output channels where the input is a weight with scales of its own.
  [[nodiscard]] std::int64_t weight_axis(int input) const {
    if (input != 3) return 0;
    if (node_.type() == "QLinearConv") return 0;
    if (node_.type() == "QGemm") return node_.integer("transB", 0) != 0 ? 0 : 1;
    return -1;
  }

  std::string dequantise(int input, std::int64_t axis) {
    onnx::NodeProto& node = nodes_.emplace_back();
    node.set_op_type("DequantizeLinear");
    node.set_name(node_.name());
    for (int i = input; i < input + 3 && node_.has_input(i); ++i) {
      node.add_input(node_.proto.input(i));
    }
    auto* attribute = node.add_attribute();
    attribute->set_name("axis");
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(axis);
    node.add_output(value(std::to_string(input)));
    return node.output(0);
  }

  /// The bias has steps of the input's scale times the weights'.
  Status add_bias(int input, onnx::NodeProto& core) {
    const auto x = context_.constant(node_, 1);
    if (!x) return x.error();
    const auto w = context_.constant(node_, 4);
    if (!w) return w.error();
    if (!(*x)->is_float || (*x)->count() != 1 || !(*w)->is_float) {
      return node_.fail(
          ErrorCode::kShape,
          fmt::format("scales are {} and {}", dims_text((*x)->dims), dims_text((*w)->dims)));
    }
    auto scale = std::make_shared<Constant>();
    for (const float s : (*w)->floats) scale->floats.push_back((*x)->floats[0] * s);
    if (scale->floats.size() > 1) scale->dims = {static_cast<std::int64_t>(scale->floats.size())};
    const std::string name = value("bias_scale");
    context_.values.insert_or_assign(name, std::shared_ptr<const Constant>(std::move(scale)));
    onnx::NodeProto& node = nodes_.emplace_back();
    node.set_op_type("DequantizeLinear");
    node.set_name(node_.name());
    node.add_input(node_.proto.input(input));
    node.add_input(name);
    auto* attribute = node.add_attribute();
    attribute->set_name("axis");
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(-1);
    node.add_output(value("bias"));
    core.add_input(node.output(0));
    return {};
  }

  Context& context_;
  const OnnxNode& node_;
  std::vector<onnx::NodeProto> nodes_;
};

}  // namespace

Status import_stored(Context& context, const OnnxNode& node) {
  if (node.integer("channels_last", 0) != 0) return node.unsupported(kChannelsLast);
  if (node.proto.output_size() == 0 || node.proto.output(0).empty())
    return node.fail(ErrorCode::kMalformed, "has no output");
  const auto parts = Expander(context, node).run(find_onnx_operator(node.type())->stored);
  if (!parts) return parts.error();
  for (const onnx::NodeProto& part : *parts) {
    if (const Status status = import_operator(context, OnnxNode(part, node.name())); !status)
      return status;
  }
  return {};
}

}  // namespace espalier::import_
