// How a camera was held: EXIF's orientation, and pictures turned by it.

#include <algorithm>
#include <string_view>
#include <utility>

#include "images/source.hpp"

namespace espalier::images {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t kOrientation = 0x0112, kShort = 3;  // tag and type of EXIF

/// Numbers of a file of either order of bytes; 0 outside of it.
struct Numbers {
  Bytes bytes;
  bool big = true;

  [[nodiscard]] std::uint32_t get(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value = value << 8 | bytes[at + (big ? i : size - 1 - i)];
    return value;
  }
};

bool starts(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() &&
         std::equal(text.begin(), text.end(), bytes.begin(),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

/// Of a TIFF header and its first directory; 1 where it does not say.
int of_exif(Bytes tiff) {
  const bool big = starts(tiff, std::string_view("MM\0\x2a", 4));
  if (!big && !starts(tiff, std::string_view("II\x2a\0", 4))) return 1;
  const Numbers file{tiff, big};
  const std::size_t first = file.get(4, 4), entries = file.get(first, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = first + 2 + 12 * i;
    if (entry + 12 > tiff.size()) break;
    if (file.get(entry, 2) != kOrientation || file.get(entry + 2, 2) != kShort) continue;
    const std::uint32_t value = file.get(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

/// The segments of a JPEG file up to its image.
int of_jpeg(Bytes bytes) {
  const Numbers file{bytes};
  for (std::size_t at = 2; file.get(at, 1) == 0xFF;) {
    const std::uint32_t marker = file.get(at + 1, 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    const std::size_t size = file.get(at + 2, 2);
    if (marker == 0xDA || marker == 0xD9 || size < 2 || at + 2 + size > bytes.size()) break;
    const Bytes data = bytes.subspan(at + 4, size - 2);
    constexpr std::string_view kExif("Exif\0\0", 6);
    if (marker == 0xE1 && starts(data, kExif)) return of_exif(data.subspan(kExif.size()));
    at += 2 + size;
  }
  return 1;
}

/// The chunks of a PNG file.
int of_png(Bytes bytes) {
  const Numbers file{bytes};
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    const std::size_t size = file.get(at, 4);
    if (size > bytes.size() - at - 12) break;
    if (starts(bytes.subspan(at + 4), "eXIf")) return of_exif(bytes.subspan(at + 8, size));
    at += 12 + size;
  }
  return 1;
}

}  // namespace

int orientation(Bytes bytes) {
  if (starts(bytes, "\xFF\xD8")) return of_jpeg(bytes);
  if (starts(bytes, "\x89PNG\r\n\x1a\n")) return of_png(bytes);
  return 1;
}

Picture turned(const Picture& picture, int orientation) {
  // From 5 on rows are columns; then which of the stored sides the first row and column come from.
  const bool swapped = orientation >= 5;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Picture out{picture.width, picture.height, picture.channels, {}};
  if (swapped) std::swap(out.width, out.height);
  out.pixels.reserve(picture.pixels.size());
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const int across = swapped ? y : x, down = swapped ? x : y;
      const int from_x = from_right ? picture.width - 1 - across : across;
      const int from_y = from_bottom ? picture.height - 1 - down : down;
      const std::uint8_t* const pixel =
          &picture.pixels[(std::size_t(from_y) * picture.width + from_x) * picture.channels];
      out.pixels.insert(out.pixels.end(), pixel, pixel + picture.channels);
    }
  }
  return out;
}

}  // namespace espalier::images
