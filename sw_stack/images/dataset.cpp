#include "images/dataset.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "images/source.hpp"

namespace espalier::images {
namespace {

Result<SourcePtr> open_source(const std::string& path, const ir::Shape& shape) {
  if (shape.c < 1 || shape.h < 1 || shape.w < 1) {
    return fail(ErrorCode::kShape, fmt::format("images of {} are empty", shape_text(shape)), path);
  }
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return open_folder(path, shape);
  if (!std::filesystem::exists(path, error)) return fail(ErrorCode::kIo, "does not exist", path);
  const std::string kind = extension(path);
  if (kind == ".bin") return open_cifar(path, shape);
  if (kind == ".npy") return open_npy(path, shape);
  return fail(ErrorCode::kUnsupported,
              fmt::format("images are a CIFAR-10 .bin file, an .npy file or a folder of {} files",
                          kPictureKinds),
              path);
}

}  // namespace

std::string Dataset::Source::name(std::size_t i) const { return fmt::format("{}#{}", path, i); }

Result<Dataset> Dataset::open(const std::string& path, const ir::Shape& shape) {
  auto source = open_source(path, shape);
  if (!source) return source.error();
  return Dataset(std::move(*source));
}

std::size_t Dataset::size() const { return source_->size; }
const ir::Shape& Dataset::shape() const { return source_->shape; }
bool Dataset::has_labels() const { return !source_->labels.empty(); }
bool Dataset::raw_float() const { return source_->raw_float; }
const std::vector<std::string>& Dataset::class_names() const { return source_->class_names; }

const std::vector<std::string>& Dataset::left_out() const { return source_->left_out; }

int Dataset::label(std::size_t i) const {
  ESP_CHECK(i < source_->labels.size());
  return source_->labels[i];
}

std::string Dataset::name(std::size_t i) const {
  ESP_CHECK(i < source_->size);
  return source_->name(i);
}

Result<std::vector<float>> Dataset::load(std::size_t i) const {
  ESP_CHECK(i < source_->size);
  return source_->load(i);
}

}  // namespace espalier::images
