// NumPy's .npy format, versions 1.0 to 3.0: magic, version, the header's length, a header that is
// a Python dictionary, the data.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string_view>

#include "images/source.hpp"

namespace espalier::images {
namespace {

constexpr std::size_t kMaxHeader = 1 << 16;  // bytes; four extents need about 100
constexpr std::uint64_t kMaxImages = std::uint64_t{1} << 32;

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
};

/// Reads the dictionary: string keys; values are strings, True, False or tuples of numbers.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  /// Nothing where the text is not such a dictionary, or lacks or repeats a key.
  std::optional<Header> parse() {
    Header header;
    bool seen[3] = {false, false, false};
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const auto key = quoted();
      if (!key || !take(':')) return std::nullopt;
      const int which = *key == "descr"           ? 0
                        : *key == "fortran_order" ? 1
                        : *key == "shape"         ? 2
                                                  : -1;
      if (which < 0 || seen[which]) return std::nullopt;
      seen[which] = true;
      const bool good = which == 0   ? string_value(header.descr)
                        : which == 1 ? bool_value(header.fortran_order)
                                     : tuple_value(header.shape);
      if (!good) return std::nullopt;
      if (!take(',') && !peek('}')) return std::nullopt;
    }
    skip_space();
    if (at_ != text_.size() || !(seen[0] && seen[1] && seen[2])) return std::nullopt;
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  bool peek(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    if (!peek(c)) return false;
    ++at_;
    return true;
  }
  std::optional<std::string> quoted() {
    for (const char quote : {'\'', '"'}) {
      if (!take(quote)) continue;
      const std::size_t end = text_.find(quote, at_);
      if (end == std::string_view::npos) return std::nullopt;
      std::string result(text_.substr(at_, end - at_));
      at_ = end + 1;
      return result;
    }
    return std::nullopt;
  }
  bool string_value(std::string& out) {
    auto value = quoted();
    if (value) out = std::move(*value);
    return value.has_value();
  }
  bool bool_value(bool& out) {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      out = value;
      return true;
    }
    return false;
  }
  bool tuple_value(std::vector<std::uint64_t>& out) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip_space();
      std::uint64_t value = 0;
      const std::size_t start = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        value = value * 10 + std::uint64_t(text_[at_] - '0');
        if (value > kMaxImages) return false;
      }
      if (at_ == start) return false;
      out.push_back(value);
      if (!take(',') && !peek(')')) return false;
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct Npy final : Dataset::Source {
  std::uint64_t data_offset = 0;

  [[nodiscard]] Result<std::vector<float>> load(std::size_t i) const override {
    const auto count = static_cast<std::size_t>(shape.count());
    const std::size_t image = count * (raw_float ? 4 : 1);
    const auto bytes = read_bytes(path, data_offset + std::uint64_t{i} * image, image);
    if (!bytes) return bytes.error();
    if (!raw_float) return std::vector<float>(bytes->begin(), bytes->end());
    std::vector<float> values(count);
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint8_t* const b = bytes->data() + 4 * k;
      values[k] = std::bit_cast<float>(std::uint32_t{b[0]} | std::uint32_t{b[1]} << 8 |
                                       std::uint32_t{b[2]} << 16 | std::uint32_t{b[3]} << 24);
      if (!std::isfinite(values[k])) {
        return fail(
            ErrorCode::kRange,
            fmt::format("image {}: value {} is {}; it must be a finite number", i, k, values[k]),
            path);
      }
    }
    return values;
  }
};

std::string extents_text(const std::vector<std::uint64_t>& extents) {
  std::string text;
  for (const std::uint64_t e : extents) text += fmt::format("{}{}", text.empty() ? "" : "x", e);
  return text.empty() ? "a single number" : text;
}

/// Checks the element type and the order. Errors: kUnsupported.
Result<bool> is_float(const Header& header, const std::string& path) {
  const std::string& d = header.descr;
  if (header.fortran_order) {
    return fail(ErrorCode::kUnsupported, "Fortran order; the array must be in C order", path);
  }
  if (d == "<f4") return true;
  if (d == "|u1" || d == "<u1" || d == "u1") return false;
  if (d.starts_with('>')) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("elements are '{}', big endian; they must be little endian", d), path);
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("elements are '{}'; they must be uint8 ('|u1') or float32 ('<f4')", d),
              path);
}

}  // namespace

Result<NpyArray> read_npy(const std::string& path) {
  const auto file = file_size(path);
  if (!file) return file.error();
  const std::uint64_t size = *file;
  const auto malformed = [&path](std::string message) {
    return fail(ErrorCode::kMalformed, std::move(message), path);
  };
  if (size < 10) return malformed(fmt::format("{} bytes; an .npy file has 10 or more", size));
  const auto bytes =
      read_bytes(path, 0, std::size_t(std::min<std::uint64_t>(size, 12 + kMaxHeader)));
  if (!bytes) return bytes.error();
  const std::vector<std::uint8_t>& b = *bytes;
  const std::string_view text(reinterpret_cast<const char*>(b.data()), b.size());
  if (!text.starts_with("\x93NUMPY")) return malformed("not an .npy file: the magic is wrong");
  if (b[6] < 1 || b[6] > 3) {
    return fail(ErrorCode::kUnsupported,
                fmt::format(".npy version {}.{}; versions 1 to 3 are read", b[6], b[7]), path);
  }
  const std::size_t start = b[6] == 1 ? 10 : 12;
  if (b.size() < start) return malformed("ends within its header");
  std::size_t length = b[8] | std::size_t{b[9]} << 8;
  if (start == 12) length |= std::size_t{b[10]} << 16 | std::size_t{b[11]} << 24;
  if (length > kMaxHeader || start + length > size) {
    return malformed(fmt::format("a header of {} bytes; the limit is {} and the file has {}",
                                 length, kMaxHeader, size));
  }
  auto header = HeaderParser(text.substr(start, length)).parse();
  if (!header) return malformed("the header is not a dictionary of descr, fortran_order and shape");
  const auto floats = is_float(*header, path);
  if (!floats) return floats.error();
  return NpyArray{std::move(header->shape), start + length, *floats};
}

Result<SourcePtr> open_npy(const std::string& path, const ir::Shape& shape) {
  const auto size = file_size(path);
  if (!size) return size.error();
  const auto array = read_npy(path);
  if (!array) return array.error();
  const std::vector<std::uint64_t> wanted{std::uint64_t(shape.c), std::uint64_t(shape.h),
                                          std::uint64_t(shape.w)};
  if (array->extents.size() != 4 ||
      !std::equal(wanted.begin(), wanted.end(), array->extents.begin() + 1)) {
    return fail(ErrorCode::kShape,
                fmt::format("the array is {}; the model takes N x {}", extents_text(array->extents),
                            shape_text(shape)),
                path);
  }
  const std::uint64_t images = array->extents[0];
  if (images == 0) return fail(ErrorCode::kMalformed, "the array holds no image", path);
  const std::uint64_t image_bytes = std::uint64_t(shape.count()) * (array->floats ? 4 : 1);
  const std::uint64_t data = *size - array->data_offset;
  if (data % image_bytes != 0 || data / image_bytes != images) {
    return fail(ErrorCode::kMalformed,
                fmt::format("{} bytes of data; {} images of {} bytes are {}", data, images,
                            image_bytes, images * image_bytes),
                path);
  }
  auto source = std::make_shared<Npy>();
  source->path = path;
  source->shape = shape;
  source->size = static_cast<std::size_t>(images);
  source->raw_float = array->floats;
  source->data_offset = array->data_offset;
  return SourcePtr(std::move(source));
}

}  // namespace espalier::images
