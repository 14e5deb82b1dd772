#include <fmt/format.h>

#include "images/source.hpp"

namespace espalier::images {
namespace {

constexpr ir::Shape kShape{3, 32, 32};
constexpr std::size_t kPixels = 3072;
constexpr std::size_t kRecord = 1 + kPixels;
constexpr int kClasses = 10;

struct Cifar final : Dataset::Source {
  [[nodiscard]] Result<std::vector<float>> load(std::size_t i) const override {
    const auto bytes = read_bytes(path, std::uint64_t{i} * kRecord + 1, kPixels);
    if (!bytes) return bytes.error();
    return std::vector<float>(bytes->begin(), bytes->end());
  }
};

}  // namespace

Result<SourcePtr> open_cifar(const std::string& path, const ir::Shape& shape) {
  if (!(shape == kShape)) {
    return fail(ErrorCode::kShape,
                fmt::format("CIFAR-10 images are {}; the model takes {}", shape_text(kShape),
                            shape_text(shape)),
                path);
  }
  const auto bytes = file_size(path);
  if (!bytes) return bytes.error();
  if (*bytes == 0 || *bytes % kRecord != 0) {
    return fail(ErrorCode::kMalformed,
                fmt::format("{} bytes; a CIFAR-10 file has a multiple of {}", *bytes, kRecord),
                path);
  }
  auto source = std::make_shared<Cifar>();
  source->path = path;
  source->shape = shape;
  source->size = static_cast<std::size_t>(*bytes / kRecord);
  // The labels come once, in pieces, so that a large file needs no large buffer.
  constexpr std::size_t kPiece = 1000;
  for (std::size_t first = 0; first < source->size; first += kPiece) {
    const std::size_t count = std::min(kPiece, source->size - first);
    const auto records = read_bytes(path, std::uint64_t{first} * kRecord, count * kRecord);
    if (!records) return records.error();
    for (std::size_t i = 0; i < count; ++i) {
      const int label = (*records)[i * kRecord];
      if (label >= kClasses) {
        return fail(
            ErrorCode::kMalformed,
            fmt::format("image {} has label {}; the last is {}", first + i, label, kClasses - 1),
            path);
      }
      source->labels.push_back(label);
    }
  }
  return SourcePtr(std::move(source));
}

}  // namespace espalier::images
