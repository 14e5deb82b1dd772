// Binary form of a QuantGraph: little endian; strings and arrays are a 32-bit count and their
// elements; floats are their bits. Magic, version, body, nothing after it.

#include <fmt/format.h>

#include <bit>
#include <type_traits>

#include "ir/graph.hpp"

namespace espalier::ir {
namespace {

constexpr std::uint32_t kMagic = 0x52495345;  // "ESIR"
// 2: an add may have one input; 3: several inputs, backward graphs; 4: padding with values
constexpr std::uint32_t kVersion = 4;

enum class Tag : std::uint8_t {
  kConv,
  kAdd,
  kPool,
  kConcat,
  kGate,
  kScore,
  kSlice,
  kInterleave,
  kConvOfRanges,  ///< a convolution, then the channels that it reads
};

class Writer {
 public:
  void u8(std::uint8_t v) { bytes_.push_back(v); }
  void u32(std::uint32_t v) {
    for (int i = 0; i < 4; ++i) u8(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  void field(int v) { u32(static_cast<std::uint32_t>(v)); }
  void field(std::uint32_t v) { u32(v); }
  void field(float v) { u32(std::bit_cast<std::uint32_t>(v)); }
  void field(bool v) { u8(v ? 1 : 0); }
  void field(std::int8_t v) { u8(static_cast<std::uint8_t>(v)); }
  void field(char v) { u8(static_cast<std::uint8_t>(v)); }
  void field(PoolKind v) { u8(static_cast<std::uint8_t>(v)); }
  void field(const ChannelRange& v) { fields(v.first, v.last); }
  void field(const std::string& v) { list(v); }
  void field(const std::vector<std::int8_t>& v) {  // weights: most of a graph
    u32(static_cast<std::uint32_t>(v.size()));
    bytes_.insert(bytes_.end(), v.begin(), v.end());
  }
  template <typename T>
  void field(const std::vector<T>& v) {
    list(v);
  }
  template <typename... T>
  void fields(const T&... v) {
    (field(v), ...);
  }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  template <typename List>
  void list(const List& v) {
    u32(static_cast<std::uint32_t>(v.size()));
    for (const auto& element : v) field(element);
  }
  std::vector<std::uint8_t> bytes_;
};

/// Reads fields until one does not fit; from then on every read gives zero and ok() is false.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool ok() const { return problem_.empty(); }
  [[nodiscard]] bool at_end() const { return offset_ == size_; }
  [[nodiscard]] Diagnostic error() const {
    return fail(ErrorCode::kMalformed, problem_, fmt::format("graph, byte {}", offset_));
  }
  void complain(std::string problem) {
    if (ok()) problem_ = std::move(problem);
  }

  std::uint8_t u8() { return need(1) ? data_[offset_++] : std::uint8_t{0}; }
  std::uint32_t u32() {
    if (!need(4)) return 0;
    std::uint32_t v = 0;
    for (int i = 0; i < 4; ++i) v |= std::uint32_t{data_[offset_++]} << (8 * i);
    return v;
  }
  /// A count of things of at least `least` bytes each, which must fit into what is left.
  std::size_t count(std::size_t least) {
    const std::size_t n = u32();
    if (ok() && n > (size_ - offset_) / least) {
      complain(
          fmt::format("{} elements of {} bytes; {} bytes are left", n, least, size_ - offset_));
    }
    return ok() ? n : 0;
  }

  void field(int& v) { v = static_cast<int>(u32()); }
  void field(std::uint32_t& v) { v = u32(); }
  void field(float& v) { v = std::bit_cast<float>(u32()); }
  void field(std::int8_t& v) { v = static_cast<std::int8_t>(u8()); }
  void field(char& v) { v = static_cast<char>(u8()); }
  void field(bool& v) {
    const std::uint8_t byte = u8();
    if (byte > 1) complain(fmt::format("flag is {}; it must be 0 or 1", byte));
    v = byte == 1;
  }
  void field(PoolKind& v) {
    const std::uint8_t byte = u8();
    if (byte > 1) complain(fmt::format("pool kind is {}; it must be 0 or 1", byte));
    v = byte == 0 ? PoolKind::kMax : PoolKind::kAverage;
  }
  void field(ChannelRange& v) { fields(v.first, v.last); }
  void field(Reads& v) { list(v, 8); }
  void field(std::string& v) { list(v, 1); }
  void field(std::vector<std::string>& v) { list(v, 4); }
  void field(std::vector<std::int8_t>& v) {
    const std::size_t values = count(1);
    v.assign(data_ + offset_, data_ + offset_ + values);
    offset_ += values;
  }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void field(std::vector<T>& v) { list(v, sizeof(T)); }
  template <typename... T>
  void fields(T&... v) {
    (field(v), ...);
  }

 private:
  bool need(std::size_t bytes) {
    if (ok() && size_ - offset_ < bytes) {
      complain(fmt::format("needs {} bytes; {} are left", bytes, size_ - offset_));
    }
    return ok();
  }
  template <typename List>
  void list(List& v, std::size_t least) {
    v.clear();
    v.resize(count(least));
    for (auto& element : v) field(element);
  }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t offset_ = 0;
  std::string problem_;
};

// The order of fields, once for both directions.

template <typename Codec, typename W>
void window(Codec& codec, W& w) {
  codec.fields(w.kh, w.kw, w.stride_h, w.stride_w, w.pad_top, w.pad_left, w.pad_bottom, w.pad_right,
               w.dilation_h, w.dilation_w);
}

template <typename Codec, typename Op>
void op_fields(Codec& codec, Op& op) {
  using T = std::remove_const_t<Op>;
  if constexpr (std::is_same_v<T, QuantConv>) {
    window(codec, op.window);
    codec.fields(op.out_channels, op.weights, op.bias, op.scale, op.lo, op.hi, op.border);
  } else if constexpr (std::is_same_v<T, QuantAdd>) {
    codec.fields(op.ma, op.mb, op.shift, op.lo, op.hi);
  } else if constexpr (std::is_same_v<T, QuantPool>) {
    codec.fields(op.kind);
    window(codec, op.window);
    codec.fields(op.count_include_pad, op.lo, op.hi);
  } else if constexpr (std::is_same_v<T, QuantGate>) {
    codec.fields(op.low, op.high);
  } else if constexpr (std::is_same_v<T, QuantSlice>) {
    codec.fields(op.first);
  } else if constexpr (std::is_same_v<T, QuantInterleave>) {
    codec.fields(op.rows, op.cols);
  }
}

template <typename Codec, typename Tensor>
void tensor_fields(Codec& codec, Tensor& t) {
  codec.fields(t.name, t.shape.c, t.shape.h, t.shape.w, t.quant.scale, t.quant.zero);
}

template <typename Codec, typename Graph>
void tail_fields(Codec& codec, Graph& graph) {
  codec.fields(graph.input, graph.output, graph.more_inputs, graph.keep, graph.preprocess.mean,
               graph.preprocess.std, graph.softmax, graph.host_ops);
}

template <typename Op>
QuantOp read_op(Reader& reader) {
  Op op;
  op_fields(reader, op);
  return op;
}

QuantOp read_tagged_op(Reader& reader) {
  const std::uint8_t tag = reader.u8();
  switch (static_cast<Tag>(tag)) {
    case Tag::kConv:
      return read_op<QuantConv>(reader);
    case Tag::kAdd:
      return read_op<QuantAdd>(reader);
    case Tag::kPool:
      return read_op<QuantPool>(reader);
    case Tag::kConcat:
      return read_op<QuantConcat>(reader);
    case Tag::kGate:
      return read_op<QuantGate>(reader);
    case Tag::kScore:
      return read_op<QuantScore>(reader);
    case Tag::kSlice:
      return read_op<QuantSlice>(reader);
    case Tag::kInterleave:
      return read_op<QuantInterleave>(reader);
    case Tag::kConvOfRanges: {
      auto op = std::get<QuantConv>(read_op<QuantConv>(reader));
      reader.field(op.reads);
      if (op.reads.empty()) reader.complain("a convolution of ranges without a range");
      return op;
    }
  }
  reader.complain(
      fmt::format("operator {}; the last is {}", tag, static_cast<int>(Tag::kConvOfRanges)));
  return QuantConcat{};
}

}  // namespace

std::vector<std::uint8_t> serialise(const QuantGraph& graph) {
  Writer writer;
  std::size_t weights = 0;
  for (const QuantNode& node : graph.nodes) {
    if (const auto* conv = std::get_if<QuantConv>(&node.op)) weights += conv->weights.size();
  }
  writer.reserve(weights + weights / 16);  // and room for all else where it is short
  writer.fields(kMagic, kVersion, graph.name);
  writer.u32(static_cast<std::uint32_t>(graph.tensors.size()));
  for (const QuantTensor& tensor : graph.tensors) tensor_fields(writer, tensor);
  writer.u32(static_cast<std::uint32_t>(graph.nodes.size()));
  for (const QuantNode& node : graph.nodes) {
    writer.fields(node.name, node.inputs, node.output);
    const auto* conv = std::get_if<QuantConv>(&node.op);
    const bool ranges = conv != nullptr && !conv->reads.empty();
    writer.u8(ranges ? static_cast<std::uint8_t>(Tag::kConvOfRanges)
                     : static_cast<std::uint8_t>(node.op.index()));
    std::visit([&writer](const auto& op) { op_fields(writer, op); }, node.op);
    if (ranges) writer.field(conv->reads);
  }
  tail_fields(writer, graph);
  return writer.take();
}

Result<QuantGraph> parse_graph(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kLeastTensor = 24, kLeastNode = 13;  // bytes, with empty names and lists
  Reader reader(data, size);
  if (reader.u32() != kMagic) reader.complain("not a graph: the magic number is wrong");
  if (const std::uint32_t version = reader.u32(); reader.ok() && version != kVersion) {
    return fail(ErrorCode::kMismatch,
                fmt::format("graph format version {}; this reader has {}", version, kVersion),
                "graph, byte 4");
  }
  QuantGraph graph;
  reader.field(graph.name);
  graph.tensors.resize(reader.count(kLeastTensor));
  for (QuantTensor& tensor : graph.tensors) tensor_fields(reader, tensor);
  graph.nodes.resize(reader.count(kLeastNode));
  for (QuantNode& node : graph.nodes) {
    reader.fields(node.name, node.inputs, node.output);
    if (reader.ok()) node.op = read_tagged_op(reader);
  }
  tail_fields(reader, graph);
  if (reader.ok() && !reader.at_end()) reader.complain("bytes after the end of the graph");
  if (!reader.ok()) return reader.error();
  if (Status s = verify(graph); !s) return s.error();
  return graph;
}

}  // namespace espalier::ir
