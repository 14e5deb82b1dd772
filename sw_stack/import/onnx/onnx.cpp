#include "import/onnx/onnx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <map>
#include <set>
#include <sstream>

#include "import/onnx/dims.hpp"
#include "import/onnx/model_file.hpp"
#include "import/onnx/operators.hpp"
#include "import/onnx/quant_nodes.hpp"

namespace espalier::import_ {
namespace {

/// One import of one graph.
class Importer {
 public:
  Importer(ModelFile file, std::string folder, Refusals* refusals)
      : file_(std::move(file)), graph_(file_.model.graph()), refusals_(refusals) {
    context_.folder = std::move(folder);
    for (const auto& opset : file_.model.opset_import()) {
      if (opset.domain().empty() || opset.domain() == "ai.onnx") {
        context_.opset = static_cast<int>(opset.version());
      }
    }
  }

  Result<Model> run(const std::string& name);

 private:
  Status read_initialisers();
  Status find_live();
  Status read_input();
  Status read_output();
  Status order_output(const Activation& output, const std::string& place);
  void count_uses();
  void release_inputs(const onnx::NodeProto& node);
  Status import_nodes();
  Status judge_node(const onnx::NodeProto& proto);
  bool stand_in(const onnx::NodeProto& proto, const std::string& output);
  Status import_node(const onnx::NodeProto& proto);
  [[nodiscard]] bool input_is_nhwc() const;

  const ModelFile file_;
  const onnx::GraphProto& graph_;
  Refusals* refusals_;  // null: the first refused node ends the import
  Dims dims_;           // once a node is refused
  std::set<std::string> unknown_;
  Context context_;
  std::vector<bool> live_;
  std::map<std::string, int> uses_;  // of values, by live nodes that are still to come
  std::string input_name_;
};

std::string node_name(const onnx::NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output()) {
    if (!output.empty()) return output;
  }
  return {};
}

/// Marks the nodes that the output depends on.
Status Importer::find_live() {
  if (graph_.output_size() != 1) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("model has {} outputs; 1 is supported", graph_.output_size()));
  }
  std::map<std::string, int> producer;
  for (int i = 0; i < graph_.node_size(); ++i) {
    for (const std::string& output : graph_.node(i).output()) {
      if (!output.empty() && !producer.emplace(output, i).second) {
        return fail(ErrorCode::kMalformed, fmt::format("value '{}' is made twice", output),
                    "node '" + node_name(graph_.node(i)) + "'");
      }
    }
  }
  live_.assign(static_cast<std::size_t>(graph_.node_size()), false);
  std::vector<std::string> open = {graph_.output(0).name()};
  while (!open.empty()) {
    const auto found = producer.find(open.back());
    open.pop_back();
    if (found == producer.end() || live_[static_cast<std::size_t>(found->second)]) continue;
    live_[static_cast<std::size_t>(found->second)] = true;
    for (const std::string& input : graph_.node(found->second).input()) {
      if (!input.empty()) open.push_back(input);
    }
  }
  return {};
}

Status Importer::read_initialisers() {
  std::set<std::string> wanted;
  for (int i = 0; i < graph_.node_size(); ++i) {
    if (!live_[static_cast<std::size_t>(i)]) continue;
    wanted.insert(graph_.node(i).input().begin(), graph_.node(i).input().end());
  }
  for (int i = 0; i < graph_.initializer_size(); ++i) {
    const onnx::TensorProto& tensor = graph_.initializer(i);
    if (wanted.count(tensor.name()) == 0) continue;
    auto constant =
        decode_constant(tensor, context_.folder, file_.raw[static_cast<std::size_t>(i)]);
    if (!constant) return constant.error();
    context_.values.insert_or_assign(tensor.name(),
                                     std::make_shared<const Constant>(std::move(constant.value())));
  }
  return {};
}

/// Whether the first layout change on the way from the input turns NHWC into NCHW.
bool Importer::input_is_nhwc() const {
  static const std::set<std::string> kPassed = {"Identity", "Cast", "Sub",  "Add",    "Mul",
                                                "Div",      "Pad",  "Clip", "Dropout"};
  std::set<std::string> same = {input_name_};
  for (const auto& node : graph_.node()) {
    if (node.input_size() == 0 || node.output_size() == 0) continue;
    const bool reads =
        same.count(node.input(0)) != 0 || (node.input_size() > 1 && same.count(node.input(1)) != 0);
    if (!reads) continue;
    if (kPassed.count(node.op_type()) != 0) same.insert(node.output(0));
    if (node.op_type() != "Transpose") continue;
    const OnnxNode transpose(node, "");
    if (transpose.integers("perm") == std::vector<std::int64_t>{0, 3, 1, 2}) return true;
  }
  return false;
}

Status Importer::read_input() {
  std::set<std::string> initialised;
  for (const auto& tensor : graph_.initializer()) initialised.insert(tensor.name());
  const onnx::ValueInfoProto* input = nullptr;
  int count = 0;
  for (const auto& candidate : graph_.input()) {
    if (initialised.count(candidate.name()) != 0) continue;
    input = &candidate;
    ++count;
  }
  if (count != 1) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("model has {} inputs beside its weights; 1 is supported", count));
  }
  input_name_ = input->name();
  const std::string place = "input '" + input_name_ + "'";
  const auto& type = input->type().tensor_type();
  if (!input->type().has_tensor_type() || !type.has_shape()) {
    return fail(ErrorCode::kUnsupported, "has no shape", place);
  }
  std::vector<std::int64_t> dims;
  for (int i = 0; i < type.shape().dim_size(); ++i) {
    const auto& dim = type.shape().dim(i);
    const bool known = dim.has_dim_value() && dim.dim_value() > 0;
    const bool is_batch = i == 0 && type.shape().dim_size() != 3;
    if (!known && !is_batch) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("dimension {} is '{}'; only the batch may be open", i,
                              dim.has_dim_param() ? dim.dim_param() : "unknown"),
                  place);
    }
    dims.push_back(known ? dim.dim_value() : 1);
  }
  if (dims.size() < 2 || dims.size() > 4) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("is {}; 2, 3 or 4 dimensions are supported", dims_text(dims)), place);
  }
  using enum Axis;
  View view = dims.size() == 4   ? (input_is_nhwc() ? View{{kBatch}, {kRow}, {kColumn}, {kChannel}}
                                                    : View{{kBatch}, {kChannel}, {kRow}, {kColumn}})
              : dims.size() == 3 ? View{{kChannel}, {kRow}, {kColumn}}
                                 : View{{kBatch}, {kChannel}};
  std::int64_t extents[4] = {1, 1, 1, 1};
  for (std::size_t i = 0; i < dims.size(); ++i) {
    extents[static_cast<std::size_t>(view[i][0])] = dims[i];
  }
  if (extents[0] > kMaxExtent) {
    return fail(ErrorCode::kRange,
                fmt::format("batch is {}; the limit is {}", extents[0], kMaxExtent), place);
  }
  const auto shape = checked_shape(extents[1], extents[2], extents[3]);
  if (!shape) return fail(shape.error().code, shape.error().message, place);
  if (view.back() == std::vector{kChannel} && view.size() == 4 && extents[1] > 1 &&
      extents[2] * extents[3] > 1) {
    context_.work.host_ops.emplace_back("transpose of the input");
  }
  context_.batch = static_cast<int>(extents[0]);
  context_.work.input = context_.work.add_tensor(input_name_, *shape);
  const int tensor = context_.work.input;
  context_.values.insert_or_assign(input_name_,
                                   Activation{tensor, context_.normalised(tensor, view)});
  return {};
}

/// All nodes that the output depends on; with refusals_ those behind a refused one, too.
void Importer::count_uses() {
  for (const auto& output : graph_.output()) ++uses_[output.name()];
  for (int i = 0; i < graph_.node_size(); ++i) {
    if (!live_[static_cast<std::size_t>(i)]) continue;
    const onnx::NodeProto& node = graph_.node(i);
    for (const std::string& input : node.input()) ++uses_[input];
    const OnnxOperator* known = find_onnx_operator(node.op_type());
    context_.quantised = context_.quantised || (known != nullptr && known->quantises());
  }
}

/// Lets go of the constants that no further node reads: weights are most of the memory.
void Importer::release_inputs(const onnx::NodeProto& node) {
  for (const std::string& input : node.input()) {
    if (--uses_[input] > 0) continue;
    const auto value = context_.values.find(input);
    if (value != context_.values.end() && !std::holds_alternative<Activation>(value->second))
      context_.values.erase(value);
  }
}

Status Importer::import_nodes() {
  count_uses();
  std::vector<const onnx::NodeProto*> noted;
  for (int i = 0; i < graph_.node_size(); ++i) {
    if (!live_[static_cast<std::size_t>(i)]) continue;
    const onnx::NodeProto& proto = graph_.node(i);
    const Status status = refusals_ == nullptr ? import_node(proto) : judge_node(proto);
    if (!status) return status;
    release_inputs(proto);
    noted.push_back(&proto);
  }
  if (refusals_ == nullptr || !refusals_->any()) return {};
  for (std::size_t i = 0; i < noted.size(); ++i)
    refusals_->nodes()[i].macs = node_macs(*noted[i], dims_) / context_.batch;
  return *refusals_->first();
}

/// Imports a node and notes what became of it. Errors: those that are no refusal.
Status Importer::judge_node(const onnx::NodeProto& proto) {
  Refusals::Node note{proto.op_type(), node_name(proto), 0, {}, true};
  note.judged = std::ranges::none_of(
      proto.input(), [this](const std::string& input) { return unknown_.count(input) != 0; });
  Status status;
  if (note.judged) status = import_node(proto);
  if (!status) {
    if (!Refusals::goes_on(status.error())) return status;
    note.refused = status.error();
    if (!refusals_->any()) dims_ = infer_dims(file_.model);
  }
  if (!status || !note.judged) {
    for (const std::string& output : proto.output()) {
      if (!output.empty() && (!note.judged || !stand_in(proto, output))) unknown_.insert(output);
    }
  }
  refusals_->note(std::move(note));
  return {};
}

/// Defines an activation for what a refused node makes: of the layout of an input that has its
/// shape, or N, C, H, W. Returns false where the shape is unknown, or no image's.
bool Importer::stand_in(const onnx::NodeProto& proto, const std::string& output) {
  const auto known = dims_.find(output);
  if (known == dims_.end()) return false;
  const std::vector<std::int64_t>& dims = known->second;
  bool computed = false;
  for (const std::string& input : proto.input()) {
    const auto value = context_.values.find(input);
    const auto* like =
        value == context_.values.end() ? nullptr : std::get_if<Activation>(&value->second);
    computed = computed || like != nullptr;
    if (like == nullptr || context_.dims(*like) != dims) continue;
    const int tensor = context_.work.add_tensor(output, context_.work.shape(like->tensor));
    context_.values.insert_or_assign(output, Activation{tensor, like->view});
    return true;
  }
  if (!computed || (dims.size() != 2 && dims.size() != 4) || dims[0] != context_.batch)
    return false;
  const bool image = dims.size() == 4;
  const auto shape = checked_shape(dims[1], image ? dims[2] : 1, image ? dims[3] : 1);
  if (!shape) return false;
  const int tensor = context_.work.add_tensor(output, *shape);
  View view = context_.nchw(tensor);
  view.resize(dims.size());
  context_.values.insert_or_assign(output, Activation{tensor, std::move(view)});
  return true;
}

Status Importer::import_node(const onnx::NodeProto& proto) {
  const OnnxNode node(proto, node_name(proto));
  const OnnxOperator* known = find_onnx_operator(proto.op_type());
  const bool standard = proto.domain().empty() || proto.domain() == "ai.onnx";
  const bool microsoft = proto.domain() == "com.microsoft";
  if (microsoft && proto.op_type().starts_with("Nhwc")) return node.unsupported(kChannelsLast);
  if (!standard && !(microsoft && known != nullptr && known->quantises())) {
    return node.unsupported(
        fmt::format("operator of domain '{}' is not supported", proto.domain()));
  }
  context_.work.type = proto.op_type();
  return import_operator(context_, node);
}

/// The accelerator leaves an image channel by channel; the host turns it where the model's output
/// is pixel by pixel. Errors: kUnsupported, other orders.
Status Importer::order_output(const Activation& output, const std::string& place) {
  std::vector<Axis> order;
  for (const auto& dim : output.view) {
    for (const Axis axis : dim) {
      if (axis != Axis::kBatch && context_.axis_extent(output.tensor, axis) > 1)
        order.push_back(axis);
    }
  }
  if (std::ranges::is_sorted(order)) return {};
  std::rotate(order.begin(), std::ranges::find(order, Axis::kChannel), order.end());
  if (!std::ranges::is_sorted(order)) {
    return fail(ErrorCode::kUnsupported,
                "has its axes in an order that is neither C, H, W nor H, W, C", place);
  }
  context_.work.host_ops.emplace_back(ir::kTransposeOutput);
  return {};
}

Status Importer::read_output() {
  const std::string& name = graph_.output(0).name();
  const std::string place = "output '" + name + "'";
  const auto found = context_.values.find(name);
  if (found == context_.values.end()) {
    return fail(ErrorCode::kMalformed, "no node makes it", place);
  }
  const auto* value = std::get_if<Activation>(&found->second);
  if (value == nullptr) return fail(ErrorCode::kUnsupported, "does not depend on the input", place);
  context_.work.output = value->tensor;
  if (const Status status = order_output(*value, place); !status) return status;
  if (context_.log_softmax < 0) return {};
  bool last = context_.log_softmax == value->tensor;
  for (const WorkNode& node : context_.work.nodes()) {
    for (const int input : node.inputs) last = last && input != context_.log_softmax;
  }
  if (last) return {};
  return fail(ErrorCode::kUnsupported, "LogSoftmax is supported as the last operator only", place);
}

Result<Model> Importer::run(const std::string& name) {
  if (context_.opset < 1 || context_.opset > 64) {
    return fail(ErrorCode::kUnsupported, fmt::format("opset is {}", context_.opset));
  }
  if (const Status status = find_live(); !status) return status.error();
  if (const Status status = read_initialisers(); !status) return status.error();
  if (const Status status = read_input(); !status) return status.error();
  if (const Status status = import_nodes(); !status) return status.error();
  if (const Status status = read_output(); !status) return status.error();
  if (is_quantised(context_.work)) {
    auto graph = lower_quantised(std::move(context_.work), context_.dense, kOnnx, name);
    if (!graph) return graph.error();
    return Model(std::move(*graph));
  }
  auto graph = std::move(context_.work).finish(name);
  if (!graph) return graph.error();
  return Model(std::move(*graph));
}

}  // namespace

Result<Model> parse_onnx_model(std::istream& in, const std::string& folder, const std::string& name,
                               Refusals* refusals) {
  auto file = read_model(in);
  if (!file) return file.error();
  return Importer(std::move(*file), folder, refusals).run(name);
}

Result<Model> parse_onnx_model(std::string bytes, const std::string& folder,
                               const std::string& name, Refusals* refusals) {
  std::istringstream in(std::move(bytes));
  return parse_onnx_model(in, folder, name, refusals);
}

Result<ir::FloatGraph> parse_onnx(std::string_view bytes, const std::string& folder,
                                  const std::string& name) {
  auto model = parse_onnx_model(std::string(bytes), folder, name);
  if (!model) return model.error();
  if (auto* graph = std::get_if<ir::FloatGraph>(&*model)) return std::move(*graph);
  return fail(ErrorCode::kUnsupported, "is quantised already");
}

}  // namespace espalier::import_
