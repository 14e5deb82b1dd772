#include "images/album.hpp"

#include <fmt/format.h>
#include <stb/stb_image_write.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/whole_file.hpp"

namespace espalier::images {
namespace {

namespace fs = std::filesystem;

constexpr ir::Shape kCifar{3, 32, 32};

/// A file whose pixels are exchanged in memory.
class FileCopy final : public Album::Copy {
 public:
  FileCopy(std::string path, std::string bytes, std::uint64_t offset, std::uint64_t stride)
      : path_(std::move(path)), bytes_(std::move(bytes)), offset_(offset), stride_(stride) {}

  Status put(std::size_t i, const Picture& picture) override {
    const auto channels = static_cast<std::size_t>(picture.channels);
    const std::size_t pixels = picture.pixels.size() / channels;
    char* const to = bytes_.data() + offset_ + i * stride_;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < pixels; ++p)
        to[c * pixels + p] = static_cast<char>(picture.pixels[p * channels + c]);
    }
    return {};
  }
  Status finish() override { return write_file(path_, bytes_); }

 private:
  std::string path_, bytes_;
  std::uint64_t offset_, stride_;
};

/// A folder that is made under another name beside, and renamed.
class FolderCopy final : public Album::Copy {
 public:
  FolderCopy(fs::path path, fs::path beside, std::vector<fs::path> names)
      : path_(std::move(path)), beside_(std::move(beside)), names_(std::move(names)) {}
  ~FolderCopy() override {
    std::error_code error;
    if (!beside_.empty()) fs::remove_all(beside_, error);
  }

  Status put(std::size_t i, const Picture& picture) override {
    std::string png;
    const auto append = [](void* to, void* bytes, int size) {
      static_cast<std::string*>(to)->append(static_cast<const char*>(bytes),
                                            static_cast<std::size_t>(size));
    };
    if (stbi_write_png_to_func(append, &png, picture.width, picture.height, picture.channels,
                               picture.pixels.data(), 0) == 0)
      return fail(ErrorCode::kCapacity, "no memory for a PNG file", names_[i].string());
    return write_file((beside_ / names_[i]).string(), png);
  }
  Status finish() override {
    std::error_code error;
    fs::rename(beside_, path_, error);
    if (error) return fail(ErrorCode::kIo, error.message(), path_.string());
    beside_.clear();
    return {};
  }

 private:
  fs::path path_, beside_;
  std::vector<fs::path> names_;
};

Result<std::unique_ptr<Album::Copy>> folder_copy(const fs::path& from, const Dataset& set,
                                                 const std::string& to) {
  std::error_code error;
  if (fs::exists(to, error))
    return fail(ErrorCode::kUsage, "is there already: name a folder that is not", to);
  std::vector<fs::path> names;
  std::map<fs::path, std::string> taken;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const fs::path name = fs::path(set.name(i)).lexically_relative(from).replace_extension(".png");
    const auto [other, fresh] = taken.emplace(name, set.name(i));
    if (!fresh) {
      return fail(
          ErrorCode::kUsage,
          fmt::format("{} and {} would both be {}", other->second, set.name(i), name.string()), to);
    }
    names.push_back(name);
  }
  fs::path whole = fs::path(to).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // `out/`
  std::string beside = whole.string() + ".XXXXXX";
  if (::mkdtemp(beside.data()) == nullptr) {
    return fail(ErrorCode::kIo,
                fmt::format("no folder can be made beside it: {}",
                            std::error_code(errno, std::generic_category()).message()),
                to);
  }
  auto copy = std::make_unique<FolderCopy>(whole, beside, names);
  fs::permissions(beside, fs::perms(0755), error);  // mkdtemp's are for the owner alone
  for (const fs::path& name : names) {
    if (!error) fs::create_directories((beside / name).parent_path(), error);
  }
  if (error) return fail(ErrorCode::kIo, error.message(), beside);
  return std::unique_ptr<Album::Copy>(std::move(copy));
}

}  // namespace

Result<Album> Album::open(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    auto set = Dataset::open(path, {3, 1, 1});
    if (!set) return set.error();
    return Album(Form::kFolder, path, std::move(*set));
  }
  if (!fs::exists(path, error)) return fail(ErrorCode::kIo, "does not exist", path);
  const bool npy = extension(path) == ".npy";
  ir::Shape shape = kCifar;
  std::uint64_t offset = 1;
  if (npy) {
    const auto array = read_npy(path);
    if (!array) return array.error();
    const auto& extents = array->extents;
    if (array->floats) {
      return fail(ErrorCode::kUnsupported,
                  "float32 values, which may be anything; pictures are uint8", path);
    }
    if (extents.size() != 4 || (extents[1] != 1 && extents[1] != 3) ||
        std::ranges::any_of(extents, [](std::uint64_t e) { return e == 0 || e > (1U << 30); })) {
      return fail(ErrorCode::kShape, "pictures are an array of N x 1 x H x W or N x 3 x H x W",
                  path);
    }
    shape = {static_cast<int>(extents[1]), static_cast<int>(extents[2]),
             static_cast<int>(extents[3])};
    offset = array->data_offset;
  }
  auto set = Dataset::open(path, shape);
  if (!set) return set.error();
  Album album(npy ? Form::kNpy : Form::kCifar, path, std::move(*set));
  album.data_offset_ = offset;
  album.stride_ = static_cast<std::uint64_t>(shape.count()) + (npy ? 0 : 1);
  return album;
}

Result<Picture> Album::read(std::size_t i) const {
  if (form_ == Form::kFolder) return read_picture(set_.name(i), 3);
  const auto values = set_.load(i);
  if (!values) return values.error();
  const ir::Shape& shape = set_.shape();
  const auto channels = static_cast<std::size_t>(shape.c);
  const std::size_t pixels = values->size() / channels;
  Picture picture{shape.w, shape.h, shape.c, std::vector<std::uint8_t>(values->size())};
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < pixels; ++p)
      picture.pixels[p * channels + c] = static_cast<std::uint8_t>((*values)[c * pixels + p]);
  }
  return picture;
}

Result<std::unique_ptr<Album::Copy>> Album::copy(const std::string& path) const {
  if (form_ == Form::kFolder) return folder_copy(path_, set_, path);
  const std::string end = form_ == Form::kNpy ? ".npy" : ".bin";
  if (extension(path) != end)
    return fail(ErrorCode::kUsage, fmt::format("becomes a {} file, and is not called one", end),
                path);
  auto bytes = read_file(path_);
  if (!bytes) return bytes.error();
  return std::unique_ptr<Copy>(
      std::make_unique<FileCopy>(path, std::move(*bytes), data_offset_, stride_));
}

}  // namespace espalier::images
