#include "import/onnx/model_file.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <istream>
#include <string>

namespace espalier::import_ {
namespace {

namespace io = google::protobuf::io;
using google::protobuf::internal::WireFormatLite;

constexpr std::streamoff kMaxBytes = 0x7FFFFFFF;
/// Shorter raw data is not worth a seek of its own.
constexpr std::uint32_t kLongRaw = 1 << 16;

constexpr std::uint32_t tag_of(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

/// Skips by seeking.
class Seekable : public io::CopyingInputStream {
 public:
  Seekable(std::istream& in, std::streamoff bytes) : in_(in), bytes_(bytes) {}
  int Read(void* to, int size) override {
    in_.read(static_cast<char*>(to), std::min<std::streamoff>(size, bytes_ - in_.tellg()));
    return in_.bad() ? -1 : static_cast<int>(in_.gcount());
  }
  int Skip(int count) override {
    const std::streamoff from = in_.tellg();
    const std::streamoff step = std::min<std::streamoff>(count, bytes_ - from);
    in_.seekg(from + step);
    return in_ ? static_cast<int>(step) : 0;
  }

 private:
  std::istream& in_;
  std::streamoff bytes_;
};

class Reader {
 public:
  Reader(std::istream& in, io::CodedInputStream& coded) : in_(in), coded_(coded) {}

  bool read(ModelFile& file) {
    return fields(file.model, tag_of(onnx::ModelProto::kGraphFieldNumber), [&] {
      return nested([&] { return read_graph(*file.model.mutable_graph(), file.raw); });
    });
  }

 private:
  bool read_graph(onnx::GraphProto& graph, std::vector<RawSpan>& raw) {
    return fields(graph, tag_of(onnx::GraphProto::kInitializerFieldNumber), [&] {
      onnx::TensorProto& tensor = *graph.add_initializer();
      return nested([&] { return read_tensor(tensor, raw.emplace_back()); });
    });
  }

  bool read_tensor(onnx::TensorProto& tensor, RawSpan& raw) {
    return fields(tensor, tag_of(onnx::TensorProto::kRawDataFieldNumber), [&] {
      std::uint32_t bytes = 0;
      if (!coded_.ReadVarint32(&bytes)) return false;
      tensor.clear_raw_data();
      raw = {};
      if (bytes < kLongRaw) return coded_.ReadString(tensor.mutable_raw_data(), as_int(bytes));
      raw = {&in_, static_cast<std::uint64_t>(coded_.CurrentPosition()), bytes};
      return coded_.Skip(as_int(bytes));
    });
  }

  /// Reads a message's fields up to its end: `special` reads those of one tag, `message` all else.
  template <typename Message, typename Special>
  bool fields(Message& message, std::uint32_t special_tag, const Special& special) {
    std::string others;
    {
      io::StringOutputStream stream(&others);
      io::CodedOutputStream out(&stream);
      while (const std::uint32_t tag = coded_.ReadTag()) {
        const bool read =
            tag == special_tag ? special() : WireFormatLite::SkipField(&coded_, tag, &out);
        if (!read) return false;
      }
    }
    return coded_.ConsumedEntireMessage() && message.MergeFromString(others);
  }

  /// Reads a length, then that many bytes by `read`.
  template <typename Read>
  bool nested(const Read& read) {
    std::uint32_t bytes = 0;
    if (!coded_.ReadVarint32(&bytes) || bytes > kMaxBytes) return false;
    const auto limit = coded_.PushLimit(as_int(bytes));
    const bool whole = read() && coded_.BytesUntilLimit() == 0;
    coded_.PopLimit(limit);
    return whole;
  }

  static int as_int(std::uint32_t bytes) {
    return static_cast<int>(std::min<std::uint32_t>(bytes, kMaxBytes));
  }

  std::istream& in_;
  io::CodedInputStream& coded_;
};

}  // namespace

Result<ModelFile> read_model(std::istream& in) {
  const std::streamoff bytes = in.seekg(0, std::ios::end).tellg();
  if (bytes > kMaxBytes) {
    return fail(ErrorCode::kRange,
                fmt::format("model has {} bytes; the limit is {}", bytes, kMaxBytes));
  }
  in.seekg(0);
  ModelFile file;
  Seekable seekable(in, bytes);
  io::CopyingInputStreamAdaptor stream(&seekable);
  io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(static_cast<int>(kMaxBytes));
  const bool parsed = Reader(in, coded).read(file);
  if (bytes < 0 || in.bad()) return fail(ErrorCode::kIo, "cannot be read");
  if (!parsed) return fail(ErrorCode::kMalformed, "is not an ONNX model");
  if (!file.model.has_graph()) return fail(ErrorCode::kMalformed, "the model has no graph");
  return file;
}

}  // namespace espalier::import_
