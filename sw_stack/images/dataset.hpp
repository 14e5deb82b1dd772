#pragma once
// Images from a CIFAR-10 binary, an .npy array or a folder of pictures.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::images {

/// A set of images of one shape, opened once and loaded one by one. Copies share the same source.
///
/// - a file ending in .bin: CIFAR-10's binary format, 1 label byte and 3 x 32 x 32 pixels each;
/// - a file ending in .npy: N x C x H x W, uint8 pixels or float32 values, which are used as they
///   are and bypass preprocessing;
/// - a folder: its files that is_picture knows in sorted order, without labels; or, where it has
///   sub-folders, those of each sub-folder, the label being the sub-folder's place in sorted order.
///   Turned as their EXIF says, grey for one channel, scaled so that the shorter side is 256/224 of
///   the wanted size, bilinear, cut at the centre.
class Dataset {
 public:
  /// Errors: kIo, kMalformed, kUnsupported, kShape (the images are not of `shape`).
  static Result<Dataset> open(const std::string& path, const ir::Shape& shape);

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const ir::Shape& shape() const;
  [[nodiscard]] bool has_labels() const;
  /// Range: i < size(), has_labels().
  [[nodiscard]] int label(std::size_t i) const;
  /// The values are network inputs, not pixels: preprocessing must not touch them.
  [[nodiscard]] bool raw_float() const;
  /// Names of the classes: those of the sub-folders; empty for other sources.
  [[nodiscard]] const std::vector<std::string>& class_names() const;
  /// Names in a folder, from there, that are no pictures; none that starts with a dot.
  [[nodiscard]] const std::vector<std::string>& left_out() const;
  /// What to call image i in a report: its file, or file and index.
  [[nodiscard]] std::string name(std::size_t i) const;

  /// Image i as planar [C][H][W] values: 0..255 unless raw_float(). Several threads may load.
  /// Errors: kIo, kMalformed, kUnsupported, kRange (a value that is no finite number).
  /// Range: i < size().
  [[nodiscard]] Result<std::vector<float>> load(std::size_t i) const;

  struct Source;  ///< one kind of source; for the readers in this folder
  explicit Dataset(std::shared_ptr<const Source> source) : source_(std::move(source)) {}

 private:
  std::shared_ptr<const Source> source_;
};

inline constexpr std::string_view kPictureKinds = "PNG, JPEG, BMP, GIF, PSD, TGA, PGM or PPM";
/// Whether a folder's file of this name is one of its images.
bool is_picture(const std::string& name);

}  // namespace espalier::images
