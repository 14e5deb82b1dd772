#include <fmt/format.h>
#define STBI_NO_STDIO
#include <stb/stb_image.h>

#include "images/source.hpp"

namespace espalier::images {
namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 28;   // bytes
constexpr std::int64_t kMaxPicture = std::int64_t{1} << 26;  // pixels
constexpr int kChannels = 3;

struct Free {
  void operator()(stbi_uc* p) const { stbi_image_free(p); }
};

}  // namespace

Result<Picture> read_picture(const std::string& path) {
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
    return fail(ErrorCode::kMalformed,
                fmt::format("not a PNG or JPEG image: {}", stbi_failure_reason()), path);
  };
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
      bytes->data(), length, &picture.width, &picture.height, &components, kChannels));
  if (pixels == nullptr) return malformed();
  const std::size_t count = std::size_t(picture.width) * picture.height * kChannels;
  picture.pixels.assign(pixels.get(), pixels.get() + count);
  return picture;
}

}  // namespace espalier::images
