#include <fmt/format.h>
#define STBI_NO_STDIO
#include <stb/stb_image.h>

#include <algorithm>
#include <string_view>

#include "images/source.hpp"

namespace espalier::images {
namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 28;   // bytes
constexpr std::int64_t kMaxPicture = std::int64_t{1} << 26;  // pixels
constexpr int kColours = 3;

struct Free {
  void operator()(stbi_uc* p) const { stbi_image_free(p); }
};

/// Whether a file begins as the kinds that have a magic do. TGA has none: the decoder would take
/// many a damaged file for one.
bool has_magic(const std::vector<std::uint8_t>& bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kMagic[] = {"\x89PNG", "\xFF\xD8", "BM", "GIF8", "8BPS", "P5", "P6"};
  return std::ranges::any_of(kMagic, [text](auto magic) { return text.starts_with(magic); });
}

Picture grey(const Picture& picture) {
  Picture out{picture.width, picture.height, 1, {}};
  out.pixels.reserve(picture.pixels.size() / kColours);
  for (std::size_t i = 0; i < picture.pixels.size(); i += kColours) {
    const std::uint8_t* const p = &picture.pixels[i];
    out.pixels.push_back(
        static_cast<std::uint8_t>((19595U * p[0] + 38470U * p[1] + 7471U * p[2] + 32768U) >> 16));
  }
  return out;
}

}  // namespace

Result<Picture> read_picture(const std::string& path, int channels) {
  ESP_CHECK(channels == 1 || channels == kColours);
  const auto size = file_size(path);
  if (!size) return size.error();
  if (*size == 0 || *size > kMaxFile) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} bytes; the range is 1..{}", *size, kMaxFile), path);
  }
  const auto bytes = read_bytes(path, 0, static_cast<std::size_t>(*size));
  if (!bytes) return bytes.error();
  const auto length = static_cast<int>(bytes->size());
  Picture picture;
  int components = 0;
  const auto malformed = [&path] {
    return fail(ErrorCode::kMalformed, fmt::format("not a picture: {}", stbi_failure_reason()),
                path);
  };
  if (!has_magic(*bytes) && !path.ends_with(".tga") && !path.ends_with(".TGA"))
    return fail(ErrorCode::kMalformed, fmt::format("no {} file by its content", kPictureKinds),
                path);
  // The size is looked at first: a few bytes may claim a picture that fills the memory.
  if (stbi_info_from_memory(bytes->data(), length, &picture.width, &picture.height, &components) ==
      0) {
    return malformed();
  }
  if (std::int64_t{picture.width} * picture.height > kMaxPicture) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{}x{} pixels; the limit is {}", picture.width, picture.height, kMaxPicture),
        path);
  }
  const std::unique_ptr<stbi_uc, Free> pixels(stbi_load_from_memory(
      bytes->data(), length, &picture.width, &picture.height, &components, kColours));
  if (pixels == nullptr) return malformed();
  const std::size_t count = std::size_t(picture.width) * picture.height * kColours;
  picture.pixels.assign(pixels.get(), pixels.get() + count);
  if (channels == 1) picture = grey(picture);
  const int held = orientation(*bytes);
  return held == 1 ? picture : turned(picture, held);
}

}  // namespace espalier::images
