#pragma once
// What the readers of this folder share: the interface of a source, and bytes from files.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "images/dataset.hpp"

namespace espalier::images {

struct Dataset::Source {
  std::string path;
  ir::Shape shape;
  std::size_t size = 0;
  bool raw_float = false;
  std::vector<int> labels;  ///< empty, or one an image
  std::vector<std::string> class_names;
  std::vector<std::string> left_out;  ///< see Dataset::left_out

  virtual ~Source() = default;
  [[nodiscard]] virtual std::string name(std::size_t i) const;
  [[nodiscard]] virtual Result<std::vector<float>> load(std::size_t i) const = 0;
};

using SourcePtr = std::shared_ptr<const Dataset::Source>;

Result<SourcePtr> open_cifar(const std::string& path, const ir::Shape& shape);
Result<SourcePtr> open_npy(const std::string& path, const ir::Shape& shape);
Result<SourcePtr> open_folder(const std::string& path, const ir::Shape& shape);

/// An .npy file of uint8 or little-endian float32 in C order.
struct NpyArray {
  std::vector<std::uint64_t> extents;
  std::uint64_t data_offset = 0;  ///< bytes before the first element
  bool floats = false;
};
/// Reads the header. Errors: kIo, kMalformed, kUnsupported.
Result<NpyArray> read_npy(const std::string& path);

/// Bytes [offset, offset + count) of a regular file. Errors: kIo.
Result<std::vector<std::uint8_t>> read_bytes(const std::string& path, std::uint64_t offset,
                                             std::size_t count);

/// Size of a regular file. Errors: kIo.
Result<std::uint64_t> file_size(const std::string& path);

/// How a path ends, from its dot on, in lower case: `.npy`; empty where it has no dot.
std::string extension(const std::string& path);

/// `3x32x32`.
std::string shape_text(const ir::Shape& shape);

/// A decoded picture. Shapes: pixels [height][width][channels].
struct Picture {
  int width = 0, height = 0, channels = 3;
  std::vector<std::uint8_t> pixels;
};

/// A file of one of the kinds that is_picture knows, turned as its EXIF says. Range: channels 3, or
/// 1: luma as ITU-R BT.601 has it, (19595 R + 38470 G + 7471 B) / 65536, rounded.
/// Errors: kIo, kMalformed, kUnsupported (too large).
Result<Picture> read_picture(const std::string& path, int channels);

/// EXIF's orientation of a JPEG or PNG file's bytes, 1 to 8; 1, upright, where it has none.
int orientation(std::span<const std::uint8_t> bytes);
/// The picture as it is meant to be seen.
Picture turned(const Picture& picture, int orientation);

/// Which old positions make one new position of an axis, and how much of each.
struct Blend {
  int first = 0;
  std::vector<double> weights;  ///< from there on; their sum is 1
};
/// Blends for new positions [from, from + count) of an axis scaled from `in` to `out`, bilinear (a
/// triangle as wide as the step between new pixels, as Pillow does).
std::vector<Blend> blends(int in, int out, int from, int count);

/// Scales so that the picture covers 256/224 of height x width, bilinear (a triangle as wide as the
/// step between output pixels, as Pillow does), and cuts height x width out of the centre.
/// Shapes: result [channels][height][width], whole numbers 0..255.
std::vector<float> scale_and_crop(const Picture& picture, int height, int width);

}  // namespace espalier::images
