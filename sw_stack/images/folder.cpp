#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "images/source.hpp"

namespace espalier::images {
namespace {

namespace fs = std::filesystem;

/// What stb_image.c decodes, by its names' ends.
constexpr std::string_view kPictures[] = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib",
                                          ".gif", ".psd", ".tga",  ".pgm", ".ppm",  ".pnm"};

struct Folder final : Dataset::Source {
  std::vector<std::string> files;

  [[nodiscard]] std::string name(std::size_t i) const override { return files[i]; }
  [[nodiscard]] Result<std::vector<float>> load(std::size_t i) const override {
    const auto picture = read_picture(files[i], shape.c);
    if (!picture) return picture.error();
    return scale_and_crop(*picture, shape.h, shape.w);
  }
};

struct Listing {
  std::vector<std::string> folders, pictures, others;  ///< names, sorted; none starts with a dot
};

Result<Listing> list(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code kind_error;
    if (name.starts_with('.')) continue;
    if (entry->is_directory(kind_error)) {
      listing.folders.push_back(name);
    } else {
      const bool picture = entry->is_regular_file(kind_error) && is_picture(name);
      (picture ? listing.pictures : listing.others).push_back(name);
    }
  }
  if (error) return fail(ErrorCode::kIo, error.message(), folder.string());
  for (auto* names : {&listing.folders, &listing.pictures, &listing.others})
    std::ranges::sort(*names);
  return listing;
}

}  // namespace

bool is_picture(const std::string& name) {
  return std::ranges::find(kPictures, extension(name)) != std::end(kPictures);
}

Result<SourcePtr> open_folder(const std::string& path, const ir::Shape& shape) {
  if (shape.c != 3 && shape.c != 1) {
    return fail(ErrorCode::kShape,
                fmt::format("pictures have 3 channels, or are made grey for 1; the model takes {}",
                            shape_text(shape)),
                path);
  }
  const auto top = list(path);
  if (!top) return top.error();
  if (!top->folders.empty() && !top->pictures.empty()) {
    return fail(ErrorCode::kUsage,
                fmt::format("{} sub-folders beside {} pictures; a folder has one or the other",
                            top->folders.size(), top->pictures.size()),
                path);
  }
  auto source = std::make_shared<Folder>();
  source->path = path;
  source->shape = shape;
  source->left_out = top->others;
  for (const std::string& name : top->pictures) {
    source->files.push_back((fs::path(path) / name).string());
  }
  for (std::size_t i = 0; i < top->folders.size(); ++i) {
    const fs::path folder = fs::path(path) / top->folders[i];
    const auto inner = list(folder);
    if (!inner) return inner.error();
    for (const std::string& name : inner->pictures) {
      source->files.push_back((folder / name).string());
      source->labels.push_back(static_cast<int>(i));
    }
    for (const auto* names : {&inner->folders, &inner->others}) {
      for (const std::string& name : *names)
        source->left_out.push_back((fs::path(top->folders[i]) / name).string());
    }
  }
  if (source->files.empty())
    return fail(ErrorCode::kIo, fmt::format("holds no {} file", kPictureKinds), path);
  source->size = source->files.size();
  source->class_names = top->folders;
  return SourcePtr(std::move(source));
}

}  // namespace espalier::images
