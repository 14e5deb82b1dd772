#pragma once
// A set of pictures as files, to be written again with other pixels.

#include <memory>
#include <string>
#include <vector>

#include "images/source.hpp"

namespace espalier::images {

/// The pictures of a CIFAR-10 file, of an .npy file of uint8 (N x 1 or 3 x H x W), or of a folder
/// as Dataset reads it, at their own sizes. Several threads may read.
class Album {
 public:
  /// Errors: kIo, kMalformed, kUnsupported, kShape.
  static Result<Album> open(const std::string& path);

  [[nodiscard]] std::size_t size() const { return set_.size(); }
  [[nodiscard]] std::string name(std::size_t i) const { return set_.name(i); }
  /// Files of a folder that are no pictures.
  [[nodiscard]] const std::vector<std::string>& left_out() const { return set_.left_out(); }
  /// Errors: kIo, kMalformed, kUnsupported. Range: i < size().
  [[nodiscard]] Result<Picture> read(std::size_t i) const;

  /// The same album elsewhere, whole or not at all.
  class Copy {
   public:
    virtual ~Copy() = default;
    /// Picture i, of its size. Several threads may put. Errors: kIo.
    virtual Status put(std::size_t i, const Picture& picture) = 0;
    /// All are there now. Errors: kIo.
    virtual Status finish() = 0;
  };
  /// In the same form: a file whose name ends like this one's, or a folder of PNG files that is not
  /// there yet. Errors: kIo, kUsage (of the name; of two pictures that would have one).
  [[nodiscard]] Result<std::unique_ptr<Copy>> copy(const std::string& path) const;

 private:
  enum class Form { kCifar, kNpy, kFolder };
  Album(Form form, std::string path, Dataset set)
      : form_(form), path_(std::move(path)), set_(std::move(set)) {}

  Form form_;
  std::string path_;
  Dataset set_;
  std::uint64_t data_offset_ = 0,
                stride_ = 0;  ///< of files: the first pixel, from picture to picture
};

}  // namespace espalier::images
