#include "export/onnx_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "export/model_builder.hpp"
#include "ir/numerics.hpp"

namespace espalier::export_ {
namespace {

using onnx::TensorProto;

class Writer {
 public:
  Writer(const ir::QuantGraph& graph, const OnnxOptions& options)
      : graph_(graph),
        options_(options),
        qdq_(options.form == Form::kQdq),
        model_(graph.name, !qdq_) {}

  Result<std::string> run() {
    find_uses();
    name_values();
    const ir::QuantTensor& in = tensor(graph_.input);
    const std::string input = fresh("input");
    model_.input(input, in.shape);
    for (std::size_t t = 0; t < graph_.tensors.size(); ++t) {
      if (inlined_[t]) continue;
      model_.floats(scale(id(t)), {graph_.tensors[t].quant.scale}, true);
      model_.bytes(zero(id(t)), {static_cast<std::int8_t>(graph_.tensors[t].quant.zero)}, {});
    }
    model_.node("QuantizeLinear", fresh("quantise_input"),
                {input, scale(graph_.input), zero(graph_.input)}, value(graph_.input));
    for (const ir::QuantNode& node : graph_.nodes) {
      if (const auto* add = std::get_if<ir::QuantAdd>(&node.op)) {
        if (const Status status = check_multipliers(node, *add); !status) return status.error();
      }
      if (inlined_[node.output]) continue;
      const Status status = std::visit([&](const auto& op) { return write(node, op); }, node.op);
      if (!status) return status.error();
    }
    write_output();
    return model_.take();
  }

 private:
  static int id(std::size_t t) { return static_cast<int>(t); }
  [[nodiscard]] const ir::QuantTensor& tensor(int t) const {
    return graph_.tensors[static_cast<std::size_t>(t)];
  }
  [[nodiscard]] const std::string& value(int t) const { return values_[t]; }
  [[nodiscard]] std::string scale(int t) const { return values_[t] + "_scale"; }
  [[nodiscard]] std::string zero(int t) const { return values_[t] + "_zero_point"; }

  std::string fresh(const std::string& wanted) {
    std::string name = wanted.empty() ? "value" : wanted;
    for (int i = 2; !used_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  void name_values() {
    for (const ir::QuantTensor& t : graph_.tensors) {
      values_.push_back(fresh(t.name));
      for (const char* suffix :
           {"_scale", "_zero_point", "_real", "_unclamped", "_exact", "_flat"}) {
        used_.insert(values_.back() + suffix);
      }
    }
  }

  /// Which tensors are vectors of shape [1][C], made by Gemm, and which changes of scale are a
  /// concatenation's own.
  void find_uses() {
    const std::size_t count = graph_.tensors.size();
    std::vector<int> uses(count, 0), in_concats(count, 0);
    vector_.assign(count, false);
    inlined_.assign(count, false);
    dequantised_.assign(count, false);
    source_.assign(count, -1);
    std::vector<bool> image(count, false);  // some reader wants [1][C][H][W]
    for (const ir::QuantNode& node : graph_.nodes) {
      const bool joins = std::holds_alternative<ir::QuantConcat>(node.op);
      for (const int input : node.inputs) {
        ++uses[input];
        in_concats[input] += joins ? 1 : 0;
        image[input] = image[input] || !is_dense(node);
      }
    }
    for (const ir::QuantNode& node : graph_.nodes) {
      vector_[node.output] = is_dense(node) && !image[node.output];
      const auto* add = std::get_if<ir::QuantAdd>(&node.op);
      inlined_[node.output] = add != nullptr && node.inputs.size() == 1 && add->lo == -128 &&
                              add->hi == 127 && uses[node.output] > 0 &&
                              uses[node.output] == in_concats[node.output] &&
                              node.output != graph_.output;
      if (inlined_[node.output]) source_[node.output] = node.inputs[0];
    }
  }

  /// A convolution whose kernel is its whole input.
  [[nodiscard]] bool is_dense(const ir::QuantNode& node) const {
    const auto* conv = std::get_if<ir::QuantConv>(&node.op);
    if (conv == nullptr) return false;
    const ir::Shape& x = tensor(node.inputs[0]).shape;
    const ir::Window& w = conv->window;
    return w.kh == x.h && w.kw == x.w && tensor(node.output).shape.h == 1 &&
           tensor(node.output).shape.w == 1 && w.pad_top == 0 && w.pad_left == 0 &&
           w.pad_bottom == 0 && w.pad_right == 0 && (w.dilation_h == 1 || w.kh == 1) &&
           (w.dilation_w == 1 || w.kw == 1);
  }

  /// The real numbers of a stored tensor.
  std::string real(int t) {
    std::string name = value(t) + "_real";
    if (!dequantised_[t]) {
      model_.node("DequantizeLinear", fresh(value(t) + ".dequantise"),
                  {value(t), scale(t), zero(t)}, name);
      dequantised_[t] = true;
    }
    return name;
  }

  /// Stores `from` as tensor t, clamped where that is more than saturation.
  void store(const ir::QuantNode& node, std::string from, int lo, int hi) {
    const int t = node.output;
    const ir::Quant& y = tensor(t).quant;
    if (lo == y.zero && hi == 127 && lo > -128) {
      model_.node("Relu", fresh(node.name + ".relu"), {from}, value(t) + "_exact");
      from = value(t) + "_exact";
    } else if (lo > -128 || hi < 127) {
      const auto bound = [&](const char* what, int steps) {
        const std::string name = fresh(value(t) + what);
        model_.floats(name, {static_cast<float>(steps - y.zero) * y.scale}, true);
        return name;
      };
      const std::string low = bound("_least", lo), high = bound("_most", hi);
      model_.node("Clip", fresh(node.name + ".clip"), {from, low, high}, value(t) + "_exact");
      from = value(t) + "_exact";
    }
    model_.node("QuantizeLinear", fresh(value(t) + ".quantise"), {from, scale(t), zero(t)},
                value(t));
  }

  /// Where an operator on integers puts its result: a Clip of integers may follow.
  [[nodiscard]] std::string raw(int t, int lo, int hi) const {
    return lo > -128 || hi < 127 ? value(t) + "_unclamped" : value(t);
  }
  void clamp_raw(const ir::QuantNode& node, int lo, int hi) {
    const int t = node.output;
    if (lo <= -128 && hi >= 127) return;
    const std::string low = fresh(value(t) + "_least"), high = fresh(value(t) + "_most");
    model_.bytes(low, {static_cast<std::int8_t>(lo)}, {});
    model_.bytes(high, {static_cast<std::int8_t>(hi)}, {});
    model_.node("Clip", fresh(node.name + ".clip"), {raw(t, lo, hi), low, high}, value(t));
  }

  /// A weight scale s with (x * s) / y equal to the multiplier, as runtimes compute it.
  static float weight_scale(float multiplier, float x, float y) {
    const auto guess =
        static_cast<float>(static_cast<double>(multiplier) * static_cast<double>(y) / x);
    float above = guess, below = guess;
    for (int i = 0; i < 16; ++i) {
      if ((x * above) / y == multiplier) return above;
      if ((x * below) / y == multiplier) return below;
      above = std::nextafter(above, std::numeric_limits<float>::infinity());
      below = std::nextafter(below, 0.0F);
    }
    return 0;
  }

  /// Into how many equal groups the channels fall; 1 where they do not.
  static int groups_of(const ir::QuantConv& op, int channels) {
    if (op.reads.empty() || op.reads[0].empty()) return 1;
    const int per_group = op.reads[0].last - op.reads[0].first;
    const int groups = channels / per_group;
    if (channels % per_group != 0 || op.out_channels % groups != 0) return 1;
    for (int n = 0; n < op.out_channels; ++n) {
      const int first = n / (op.out_channels / groups) * per_group;
      if (!(op.reads[static_cast<std::size_t>(n)] == ir::ChannelRange{first, first + per_group}))
        return 1;
    }
    return groups;
  }

  /// Weights [N][KH][KW][C] as [N][C of the group][KH][KW].
  static std::vector<std::int8_t> reordered(const ir::QuantConv& op, int channels, int groups) {
    const std::size_t taps = static_cast<std::size_t>(op.window.kh) * op.window.kw;
    const auto c_count = static_cast<std::size_t>(channels);
    const std::size_t per_group = c_count / static_cast<std::size_t>(groups);
    std::vector<std::int8_t> result(op.weights.size() / static_cast<std::size_t>(groups));
    std::size_t at = 0;
    for (std::size_t n = 0; n < op.bias.size(); ++n) {
      const std::size_t first = n * static_cast<std::size_t>(groups) / op.bias.size() * per_group;
      for (std::size_t c = first; c < first + per_group; ++c) {
        for (std::size_t t = 0; t < taps; ++t) {
          result[at++] = op.weights[(n * taps + t) * c_count + c];
        }
      }
    }
    return result;
  }

  Status write(const ir::QuantNode& node, const ir::QuantConv& op) {
    if (!op.border.empty()) {
      return fail(ErrorCode::kUnsupported,
                  "padding has a value for each channel; a convolution of ONNX pads with 0",
                  "node '" + node.name + "'");
    }
    const int x = node.inputs[0], y = node.output;
    const ir::Quant &qx = tensor(x).quant, &qy = tensor(y).quant;
    const ir::Shape& in = tensor(x).shape;
    std::vector<float> scales, bias_scales;
    for (std::size_t n = 0; n < op.scale.size(); ++n) {
      const float s = weight_scale(op.scale[n], qx.scale, qy.scale);
      if (!std::isnormal(s)) {
        return fail(
            ErrorCode::kUnsupported,
            fmt::format("output channel {}: no weight scale gives the multiplier {} between "
                        "scales {} and {}",
                        n, op.scale[n], qx.scale, qy.scale),
            "node '" + node.name + "'");
      }
      scales.push_back(s);
      bias_scales.push_back(qx.scale * s);
    }
    const bool gemm = vector_[y];
    const std::string w = fresh(node.name + ".weight"), b = fresh(node.name + ".bias");
    const std::string ws = fresh(w + "_scale"), wz = fresh(w + "_zero_point");
    const auto outputs = static_cast<std::int64_t>(op.out_channels);
    const int groups = gemm ? 1 : groups_of(op, in.c);
    model_.bytes(
        w, reordered(op, in.c, groups),
        gemm ? std::vector<std::int64_t>{outputs, in.count()}
             : std::vector<std::int64_t>{outputs, in.c / groups, op.window.kh, op.window.kw});
    model_.floats(ws, scales);
    model_.bytes(wz, std::vector<std::int8_t>(scales.size(), 0), {outputs});
    model_.words(b, op.bias);
    const auto flat = [&](const std::string& from) {
      if (vector_[x]) return from;
      const std::string name = fresh(value(x) + "_flat");
      model_.node("Flatten", fresh(node.name + ".flatten"), {from}, name).integer("axis", 1);
      return name;
    };
    const auto finish = [&](NodeBuilder made) {
      if (gemm) {
        made.integer("transB", 1);
      } else {
        window(made, op.window);
        if (groups > 1) made.integer("group", groups);
      }
    };
    if (!qdq_) {
      const std::string out = raw(y, op.lo, op.hi);
      if (gemm) {
        finish(model_.node("QGemm", node.name,
                           {flat(value(x)), scale(x), zero(x), w, ws, wz, b, scale(y), zero(y)},
                           out, true));
      } else {
        finish(model_.node("QLinearConv", node.name,
                           {value(x), scale(x), zero(x), w, ws, wz, scale(y), zero(y), b}, out));
      }
      clamp_raw(node, op.lo, op.hi);
      return {};
    }
    const std::string bs = fresh(b + "_scale"), bz = fresh(b + "_zero_point");
    model_.floats(bs, bias_scales);
    model_.words(bz, std::vector<std::int32_t>(op.bias.size(), 0));
    const std::string rw = fresh(w + "_real"), rb = fresh(b + "_real");
    model_.node("DequantizeLinear", fresh(w + ".dequantise"), {w, ws, wz}, rw).integer("axis", 0);
    model_.node("DequantizeLinear", fresh(b + ".dequantise"), {b, bs, bz}, rb).integer("axis", 0);
    const std::string out = value(y) + "_unclamped";
    const std::string from = gemm ? flat(real(x)) : real(x);
    finish(model_.node(gemm ? "Gemm" : "Conv", node.name, {from, rw, rb}, out));
    store(node, out, op.lo, op.hi);
    return {};
  }

  static void window(NodeBuilder& node, const ir::Window& w, bool dilates = true) {
    node.integers("kernel_shape", {w.kh, w.kw})
        .integers("strides", {w.stride_h, w.stride_w})
        .integers("pads", {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right});
    if (dilates) node.integers("dilations", {w.dilation_h, w.dilation_w});
  }

  /// Other runtimes derive the multipliers of a sum from the scales: ours must be the same.
  Status check_multipliers(const ir::QuantNode& node, const ir::QuantAdd& op) const {
    const double y = tensor(node.output).quant.scale;
    const double a = tensor(node.inputs[0]).quant.scale;
    const double b = node.inputs.size() > 1 ? tensor(node.inputs[1]).quant.scale : 0;
    const auto m = ir::add_multipliers(a / y, b / y);
    if (m && m->ma == op.ma && m->mb == op.mb && m->shift == op.shift) return {};
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("has multipliers {} and {}, shift {}, which are not those of its scales", op.ma,
                    op.mb, op.shift),
        "node '" + node.name + "'");
  }

  Status write(const ir::QuantNode& node, const ir::QuantAdd& op) {
    const int y = node.output;
    if (node.inputs.size() == 1) {
      const int x = node.inputs[0];
      if (qdq_ || !(tensor(x).quant == tensor(y).quant)) {
        if (qdq_) {
          store(node, real(x), op.lo, op.hi);
        } else {
          model_.node("QuantizeLinear", node.name, {real(x), scale(y), zero(y)},
                      raw(y, op.lo, op.hi));
          clamp_raw(node, op.lo, op.hi);
        }
        return {};
      }
      const std::string low = fresh(value(y) + "_least"), high = fresh(value(y) + "_most");
      model_.bytes(low, {static_cast<std::int8_t>(op.lo)}, {});
      model_.bytes(high, {static_cast<std::int8_t>(op.hi)}, {});
      model_.node("Clip", node.name, {value(x), low, high}, value(y));
      return {};
    }
    const int a = node.inputs[0], b = node.inputs[1];
    if (qdq_) {
      const std::string out = value(y) + "_unclamped";
      const std::string ra = real(a), rb = real(b);
      model_.node("Add", node.name, {ra, rb}, out);
      store(node, out, op.lo, op.hi);
      return {};
    }
    model_.node("QLinearAdd", node.name,
                {value(a), scale(a), zero(a), value(b), scale(b), zero(b), scale(y), zero(y)},
                raw(y, op.lo, op.hi), true);
    clamp_raw(node, op.lo, op.hi);
    return {};
  }

  /// Whether an axis of a pool needs ceil mode: 0 no, 1 yes, 2 either is the same.
  static int ceil_need(int out, int size, int kernel, int stride, int dilation, int before,
                       int after) {
    const int room = size + before + after - dilation * (kernel - 1) - 1;
    if (room >= 0 && room % stride == 0) return 2;
    if (room >= 0 && out == room / stride + 1) {
      // ONNX leaves out a last window that starts in the pad.
      return out * stride >= size + before ? 2 : 0;
    }
    return 1;
  }

  Status write(const ir::QuantNode& node, const ir::QuantPool& op) {
    const int x = node.inputs[0], y = node.output;
    const ir::Shape &in = tensor(x).shape, &out = tensor(y).shape;
    const ir::Window& w = op.window;
    const int rows =
        ceil_need(out.h, in.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
    const int columns =
        ceil_need(out.w, in.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
    const bool average = op.kind == ir::PoolKind::kAverage;
    const bool dilates = w.dilation_h > 1 || w.dilation_w > 1;
    if ((rows == 1 && columns == 0) || (rows == 0 && columns == 1) || (average && dilates)) {
      return fail(ErrorCode::kUnsupported,
                  average && dilates ? "is a dilated average, which opset 13 does not have"
                                     : "takes a last partial window on one axis only",
                  "node '" + node.name + "'");
    }
    const bool padded = (w.pad_top | w.pad_left | w.pad_bottom | w.pad_right) != 0;
    const bool global =
        average && w.kh == in.h && w.kw == in.w && !padded && out.h == 1 && out.w == 1;
    const auto finish = [&](NodeBuilder made) {
      if (global) return;
      window(made, w, !average);
      if (rows == 1 || columns == 1) made.integer("ceil_mode", 1);
      if (average) made.integer("count_include_pad", op.count_include_pad ? 1 : 0);
    };
    const std::string type = !average ? "MaxPool" : global ? "GlobalAveragePool" : "AveragePool";
    if (qdq_) {
      const std::string made = value(y) + "_unclamped";
      const std::string from = real(x);
      finish(model_.node(type, node.name, {from}, made));
      store(node, made, op.lo, op.hi);
      return {};
    }
    const std::string made = raw(y, op.lo, op.hi);
    if (average) {
      finish(model_.node("QLinear" + type, node.name,
                         {value(x), scale(x), zero(x), scale(y), zero(y)}, made, true));
    } else {
      finish(model_.node(type, node.name, {value(x)}, made));
    }
    clamp_raw(node, op.lo, op.hi);
    return {};
  }

  /// What only backward graphs have.
  template <typename Op>
  Status write(const ir::QuantNode& node, const Op& op) {
    return fail(ErrorCode::kUnsupported, "ONNX has no operator " + ir::op_name(op),
                "node '" + node.name + "'");
  }

  Status write(const ir::QuantNode& node, const ir::QuantConcat&) {
    const int y = node.output;
    std::vector<std::string> inputs;
    if (!qdq_) inputs = {scale(y), zero(y)};
    for (int t : node.inputs) {
      if (inlined_[t]) t = source_[t];
      if (qdq_) {
        inputs.push_back(real(t));
      } else {
        inputs.insert(inputs.end(), {value(t), scale(t), zero(t)});
      }
    }
    if (qdq_) {
      const std::string made = value(y) + "_unclamped";
      model_.node("Concat", node.name, inputs, made).integer("axis", 1);
      store(node, made, -128, 127);
    } else {
      model_.node("QLinearConcat", node.name, inputs, value(y), true).integer("axis", 1);
    }
    return {};
  }

  void write_output() {
    const int t = graph_.output;
    const ir::Shape& shape = tensor(t).shape;
    std::vector<std::int64_t> dims = {1, shape.c, shape.h, shape.w};
    std::string last = real(t);
    if (vector_[t]) {
      dims = {1, shape.c};
    } else if (shape.h == 1 && shape.w == 1) {
      const std::string flat = fresh("output_flat");
      model_.node("Flatten", fresh("flatten_output"), {last}, flat).integer("axis", 1);
      last = flat;
      dims = {1, shape.c};
    }
    if (graph_.softmax) {
      const std::string soft = fresh("probabilities");
      model_.node("Softmax", fresh("softmax"), {last}, soft).integer("axis", 1);
      last = soft;
    }
    model_.output(last, TensorProto::FLOAT, dims);
    if (!options_.all_outputs) return;
    for (std::size_t i = 0; i < graph_.tensors.size(); ++i) {
      const ir::Shape& s = graph_.tensors[i].shape;
      if (inlined_[i]) continue;
      model_.output(values_[i], TensorProto::INT8,
                    vector_[i] ? std::vector<std::int64_t>{1, s.c}
                               : std::vector<std::int64_t>{1, s.c, s.h, s.w});
    }
  }

  const ir::QuantGraph& graph_;
  const OnnxOptions& options_;
  bool qdq_;
  ModelBuilder model_;
  std::vector<std::string> values_;  ///< of each tensor
  std::set<std::string> used_;
  std::vector<bool> vector_, inlined_, dequantised_;
  std::vector<int> source_;  ///< of an inlined change of scale
};

}  // namespace

Result<std::string> write_onnx(const ir::QuantGraph& graph, const OnnxOptions& options) {
  if (const Status status = ir::verify(graph); !status) return status.error();
  auto bytes = Writer(graph, options).run();
  constexpr std::size_t kMaxBytes = 0x7FFFFFFF;
  if (bytes && bytes->size() > kMaxBytes) {
    return fail(ErrorCode::kCapacity, fmt::format("the model has {} bytes; the limit of ONNX is {}",
                                                  bytes->size(), kMaxBytes));
  }
  return bytes;
}

}  // namespace espalier::export_
