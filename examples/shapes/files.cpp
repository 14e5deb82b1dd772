#include "examples/shapes/files.hpp"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <string>
#include <vector>

#include "examples/shapes/draw.hpp"
#include "base/whole_file.hpp"

namespace espalier::shapes {
namespace {

constexpr std::size_t kSheetColumns = 20;
constexpr std::size_t kZoom = 2;
constexpr std::size_t kGap = 2;
constexpr std::size_t kCell = kSide * kZoom + kGap;

Status check_count(std::uint64_t count) {
  if (count < 1 || count > kMaxCount) {
    return fail(ErrorCode::kRange, "count is " + std::to_string(count) +
                                       "; it has to be between 1 and " + std::to_string(kMaxCount));
  }
  return {};
}

void place(const Drawing& drawing, std::uint8_t* corner, std::size_t pitch) {
  for (std::size_t y = 0; y < kSide * kZoom; ++y) {
    for (std::size_t x = 0; x < kSide * kZoom; ++x) {
      for (std::size_t plane = 0; plane < 3; ++plane) {
        corner[y * pitch + x * 3 + plane] =
            drawing.planes[plane * kPlaneBytes + y / kZoom * kSide + x / kZoom];
      }
    }
  }
}

}  // namespace

Status write_records(const std::string& path, std::uint64_t seed, std::uint64_t count) {
  if (Status status = check_count(count); !status) {
    return status;
  }
  std::string records;
  records.reserve(count * (1 + kImageBytes));
  for (std::uint64_t i = 0; i < count; ++i) {
    const Drawing drawing = draw(seed, i);
    records.push_back(static_cast<char>(drawing.label));
    records.append(reinterpret_cast<const char*>(drawing.planes.data()), kImageBytes);
  }
  return write_file(path, records);
}

Status write_class_names(const std::string& path) {
  std::string lines;
  for (const std::string_view name : kClassNames) lines += std::string(name) + '\n';
  return write_file(path, lines);
}

Status write_sheet(const std::string& path, std::uint64_t seed, std::uint64_t count) {
  if (Status status = check_count(count); !status) {
    return status;
  }
  const auto shown = static_cast<std::size_t>(std::min(count, kMaxSheetCount));
  const std::size_t columns = std::min(shown, kSheetColumns);
  const std::size_t rows = (shown + columns - 1) / columns;
  const std::size_t pitch = 3 * (columns * kCell + kGap);
  const std::size_t height = rows * kCell + kGap;
  std::vector<std::uint8_t> sheet(pitch * height, 255);
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t top = i / columns * kCell + kGap;
    const std::size_t left = i % columns * kCell + kGap;
    place(draw(seed, i), &sheet[top * pitch + 3 * left], pitch);
  }
  std::string png;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data),
                                          static_cast<std::size_t>(size));
  };
  ESP_CHECK(stbi_write_png_to_func(append, &png, static_cast<int>(pitch / 3),
                                   static_cast<int>(height), 3, sheet.data(),
                                   static_cast<int>(pitch)) != 0);
  return write_file(path, png);
}

}  // namespace espalier::shapes
