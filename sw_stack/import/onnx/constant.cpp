#include "import/onnx/constant.hpp"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace espalier::import_ {
namespace {

using onnx::TensorProto;
namespace fs = std::filesystem;

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const int exponent = (half >> 10) & 0x1F;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | (static_cast<std::uint32_t>(exponent + 112) << 23) |
                              (mantissa << 13));
}

float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

struct ExternalSpan {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool has_length = false;
};

Result<ExternalSpan> external_span(const TensorProto& proto) {
  ExternalSpan span;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") span.location = entry.value();
    if (entry.key() != "offset" && entry.key() != "length") continue;
    std::uint64_t value = 0;
    const char* end = entry.value().data() + entry.value().size();
    const auto [stop, error] = std::from_chars(entry.value().data(), end, value);
    if (error != std::errc{} || stop != end) {
      return fail(
          ErrorCode::kMalformed,
          fmt::format("external data has {} '{}', which is no number", entry.key(), entry.value()));
    }
    (entry.key() == "offset" ? span.offset : span.length) = value;
    span.has_length = span.has_length || entry.key() == "length";
  }
  if (span.location.empty()) return fail(ErrorCode::kMalformed, "external data has no location");
  return span;
}

/// Where external data lies in `file`, which this opens.
Result<RawSpan> open_external(const TensorProto& proto, const std::string& folder,
                              std::ifstream& file) {
  const auto span = external_span(proto);
  if (!span) return span.error();
  std::error_code ignored;
  const fs::path root = fs::weakly_canonical(folder.empty() ? "." : folder, ignored);
  const fs::path wanted = fs::path(span->location);
  const fs::path full = fs::weakly_canonical(root / wanted, ignored);
  const fs::path inside = full.lexically_relative(root);
  if (span->location.find('\0') != std::string::npos || wanted.is_absolute() || inside.empty() ||
      *inside.begin() == "..") {
    return fail(ErrorCode::kRange,
                fmt::format("external data '{}' lies outside the model's folder", span->location));
  }
  if (!fs::is_regular_file(full, ignored)) {
    return fail(ErrorCode::kIo, fmt::format("external data '{}' is not a file", span->location));
  }
  file.open(full, std::ios::binary | std::ios::ate);
  if (!file) {
    return fail(ErrorCode::kIo, fmt::format("external data '{}' cannot be read", span->location));
  }
  const auto size = static_cast<std::uint64_t>(file.tellg());
  const std::uint64_t length =
      span->has_length || span->offset > size ? span->length : size - span->offset;
  if (span->offset > size || length > size - span->offset) {
    return fail(ErrorCode::kMalformed,
                fmt::format("external data '{}' has {} bytes; the tensor wants {} from byte {}",
                            span->location, size, length, span->offset));
  }
  return RawSpan{&file, span->offset, length};
}

template <typename T, typename Convert>
void convert_raw(const std::string& raw, std::size_t count, Convert&& store) {
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    store(value);
  }
}

/// Bytes of one element, 0 where the type is not supported.
std::size_t element_size(int type) {
  switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    default:
      return 0;
  }
}

bool is_float_type(int type) {
  return type == TensorProto::FLOAT || type == TensorProto::DOUBLE ||
         type == TensorProto::FLOAT16 || type == TensorProto::BFLOAT16;
}

void decode_raw(const std::string& raw, int type, std::size_t count, Constant& constant) {
  const auto f = [&](auto v) { constant.floats.push_back(static_cast<float>(v)); };
  const auto i = [&](auto v) { constant.integers.push_back(static_cast<std::int64_t>(v)); };
  if (constant.is_float) {
    constant.floats.reserve(count);
  } else {
    constant.integers.reserve(count);
  }
  switch (type) {
    case TensorProto::FLOAT:
      return convert_raw<float>(raw, count, f);
    case TensorProto::DOUBLE:
      return convert_raw<double>(raw, count, f);
    case TensorProto::FLOAT16:
      return convert_raw<std::uint16_t>(raw, count, [&](auto v) { f(half_to_float(v)); });
    case TensorProto::BFLOAT16:
      return convert_raw<std::uint16_t>(raw, count, [&](auto v) { f(bfloat_to_float(v)); });
    case TensorProto::BOOL:
    case TensorProto::UINT8:
      return convert_raw<std::uint8_t>(raw, count, i);
    case TensorProto::INT8:
      return convert_raw<std::int8_t>(raw, count, i);
    case TensorProto::INT16:
      return convert_raw<std::int16_t>(raw, count, i);
    case TensorProto::UINT16:
      return convert_raw<std::uint16_t>(raw, count, i);
    case TensorProto::INT32:
      return convert_raw<std::int32_t>(raw, count, i);
    case TensorProto::UINT32:
      return convert_raw<std::uint32_t>(raw, count, i);
    case TensorProto::INT64:
      return convert_raw<std::int64_t>(raw, count, i);
    default:
      return convert_raw<std::uint64_t>(raw, count, i);
  }
}

/// Reads raw bytes that are as many as `count` elements want.
bool read_raw(const RawSpan& raw, int type, std::size_t count, Constant& constant) {
  raw.in->clear();
  raw.in->seekg(static_cast<std::streamoff>(raw.offset));
  const auto bytes = static_cast<std::streamsize>(raw.bytes);
  if (type == TensorProto::FLOAT) {  // most of a model: no second copy
    constant.floats.resize(count);
    return static_cast<bool>(raw.in->read(reinterpret_cast<char*>(constant.floats.data()), bytes));
  }
  std::string held(raw.bytes, '\0');
  if (!raw.in->read(held.data(), bytes)) return false;
  decode_raw(held, type, count, constant);
  return true;
}

void decode_fields(const TensorProto& proto, Constant& constant) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      constant.floats.assign(proto.float_data().begin(), proto.float_data().end());
      return;
    case TensorProto::DOUBLE:
      for (const double v : proto.double_data()) constant.floats.push_back(static_cast<float>(v));
      return;
    case TensorProto::FLOAT16:
      for (const std::int32_t v : proto.int32_data()) {
        constant.floats.push_back(half_to_float(static_cast<std::uint16_t>(v)));
      }
      return;
    case TensorProto::BFLOAT16:
      for (const std::int32_t v : proto.int32_data()) {
        constant.floats.push_back(bfloat_to_float(static_cast<std::uint16_t>(v)));
      }
      return;
    case TensorProto::INT64:
      constant.integers.assign(proto.int64_data().begin(), proto.int64_data().end());
      return;
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      for (const std::uint64_t v : proto.uint64_data()) {
        constant.integers.push_back(static_cast<std::int64_t>(v));
      }
      return;
    default:
      constant.integers.assign(proto.int32_data().begin(), proto.int32_data().end());
  }
}

}  // namespace

std::int64_t element_count(const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0 || dim > (std::int64_t{1} << 40)) return -1;
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (count > (std::int64_t{1} << 40) / dim) return -1;
    count *= dim;
  }
  return empty ? 0 : count;
}

Result<Constant> decode_constant(const TensorProto& proto, const std::string& folder,
                                 const RawSpan& raw) {
  const std::string place = "tensor '" + proto.name() + "'";
  const std::size_t size = element_size(proto.data_type());
  if (size == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("element type {} is not supported", proto.data_type()), place);
  }
  Constant constant;
  constant.dims.assign(proto.dims().begin(), proto.dims().end());
  constant.is_float = is_float_type(proto.data_type());
  constant.element = proto.data_type();
  const std::int64_t dims = element_count(constant.dims);
  if (dims < 0) return fail(ErrorCode::kMalformed, "dimensions are out of range", place);
  const auto count = static_cast<std::size_t>(dims);

  std::ifstream file;
  RawSpan span = raw;
  if (proto.data_location() == TensorProto::EXTERNAL) {
    auto external = open_external(proto, folder, file);
    if (!external) return fail(external.error().code, external.error().message, place);
    span = *external;
  }
  if (span.in == nullptr && !proto.has_raw_data()) {
    decode_fields(proto, constant);
    if (constant.count() != count) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("has {} elements; its dimensions want {}", constant.count(), count),
                  place);
    }
    return constant;
  }
  const std::uint64_t bytes = span.in != nullptr ? span.bytes : proto.raw_data().size();
  if (bytes / size != count || bytes % size != 0) {
    return fail(ErrorCode::kMalformed,
                fmt::format("has {} bytes; its dimensions want {}", bytes, count * size), place);
  }
  if (span.in == nullptr) {
    decode_raw(proto.raw_data(), proto.data_type(), count, constant);
  } else if (!read_raw(span, proto.data_type(), count, constant)) {
    return fail(ErrorCode::kIo, "its data cannot be read", place);
  }
  return constant;
}

}  // namespace espalier::import_
