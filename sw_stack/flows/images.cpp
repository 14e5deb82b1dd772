#include "flows/images.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "images/input.hpp"

namespace espalier::flows {
namespace {

constexpr std::size_t kNamed = 5;  // files, of those that are left out

}  // namespace

Result<images::Dataset> open_images(const std::string& path, const ir::Shape& shape,
                                    const Listener& listener) {
  auto set = images::Dataset::open(path, shape);
  if (set) tell_left_out(set->left_out(), path, listener);
  return set;
}

void tell_left_out(const std::vector<std::string>& names, const std::string& path,
                   const Listener& listener) {
  if (names.empty()) return;
  std::string list;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i)
    list += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) list += fmt::format(" and {} more", names.size() - kNamed);
  listener.tell(
      fmt::format("{}: {} left out, which {} no {} file: {}", path,
                  names.size() == 1 ? "1 file is" : fmt::format("{} files are", names.size()),
                  names.size() == 1 ? "is" : "are", images::kPictureKinds, list));
}

Result<std::size_t> count_images(const images::Dataset& set, const std::string& path,
                                 std::uint64_t first, std::optional<std::uint64_t> count) {
  const std::uint64_t size = set.size();
  if (first >= size) {
    return fail(ErrorCode::kUsage, fmt::format("is {}; {} has {} images", first, path, size),
                "--first");
  }
  if (count && *count > size - first) {
    return fail(
        ErrorCode::kUsage,
        fmt::format("is {}; {} has {} images from {} on", *count, path, size - first, first),
        "--count");
  }
  return static_cast<std::size_t>(count.value_or(size - first));
}

Result<std::vector<std::int8_t>> load_input(const images::Dataset& set, const ir::QuantGraph& graph,
                                            std::size_t i) {
  const auto pixels = set.load(i);
  if (!pixels) return pixels.error();
  return images::quantise_input(graph, *pixels, set.raw_float());
}

}  // namespace espalier::flows
